// Systemic importance: how much of the others' equity is lost if one fails, as a band from the calmest model to the harshest.

import { axis, base, chart } from './charts.js'
import { h, narrow, table } from './dom.js'
import * as format from './format.js'
import * as states from './states.js'
import { named, node } from './words.js'

const MOST = 12
const SMALLEST = 0.0005
const ROW_PIXELS = 30

export function ranking(document) {
  const rows = document.rows ?? []
  if (!rows.length) return [states.partial(document.coverage), h('p', { class: 'soft' }, 'No network of exposures is known yet.')]
  const shown = rows.filter((one) => format.number(one.high) >= SMALLEST).slice(0, MOST)
  const drawn = chart({ height: 40 + ROW_PIXELS * shown.length, caption: false })
  drawn.show(`Systemic importance of ${shown.map((one) => `${node(one.name)} ${band(one)}`).join(', ')}`, (palette) =>
    option(shown, palette),
  )
  return [
    states.partial(document.coverage),
    h('p', { class: 'soft' }, 'Share of everybody else’s equity that is lost if it fails: a band from the calmest model to the harshest.'),
    drawn.figure,
    h('p', { class: 'soft' }, agreement(document, shown)),
    h(
      'details',
      { id: 'rank-table' },
      h('summary', {}, `All ${rows.length} as a table`),
      table(
        'Everybody by rank',
        [
          {
            title: 'Rank',
            number: true,
            cell: (one) => (one.best_rank === one.worst_rank ? String(one.rank) : `${one.best_rank}–${one.worst_rank}`),
          },
          { title: 'Name', cell: (one) => node(one.name) },
          { title: 'Kind', cell: (one) => named(one.kind) },
          { title: 'Lost', number: true, cell: band },
        ],
        rows,
      ),
    ),
  ]
}

/** Both ends where they differ as they are shown. */
function band(one) {
  const digits = format.number(one.high) < 0.01 ? 2 : 1
  const [low, high] = [one.low, one.high].map((value) => format.percent(value, digits))
  return low === high ? high : `${low} – ${high}`
}

function agreement(document, shown) {
  const models = document.models.length
  const apart = shown.filter((one) => Math.abs(format.number(one.high) - format.number(one.low)) >= SMALLEST)
  if (!models) return ''
  if (!apart.length) return `All ${models} models agree here, so each band is a single mark.`
  const stability = format.number(document.stability)
  return `${models} models; ${apart.length} of ${shown.length} bands are wider than a mark.${stability === null ? '' : ` The order is alike to ${format.percent(stability, 0)}.`}`
}

function option(rows, palette) {
  const listed = [...rows].reverse()
  const small = narrow()
  const [low, high] = ['low', 'high'].map((end) => listed.map((one) => format.number(one[end])))
  const ends = { type: 'scatter', symbol: 'rect', symbolSize: [3, 14], itemStyle: { color: palette.series[0], opacity: 1 } }
  return {
    ...base(palette),
    legend: { show: false },
    grid: { left: 4, right: small ? 76 : 96, top: 4, bottom: 4, containLabel: true },
    tooltip: {
      ...base(palette).tooltip,
      trigger: 'item',
      formatter: ({ dataIndex }) =>
        `${node(listed[dataIndex].name)}\n${band(listed[dataIndex])} of the others’ equity\nrank ${listed[dataIndex].rank}`,
    },
    xAxis: axis(palette, { min: 0, splitNumber: small ? 2 : 4, axisLabel: { formatter: (value) => format.percent(value, 0) } }),
    yAxis: axis(palette, {
      type: 'category',
      data: listed.map((one) => node(one.name)),
      splitLine: { show: false },
      axisLabel: { color: palette.text, width: small ? 120 : 190, overflow: small ? 'break' : 'truncate', lineHeight: 13 },
    }),
    series: [
      { type: 'bar', stack: 'band', itemStyle: { color: 'transparent' }, data: low, silent: true },
      {
        type: 'bar',
        stack: 'band',
        barWidth: 8,
        itemStyle: { color: palette.series[0], opacity: 0.45 },
        data: high.map((value, index) => value - low[index]),
      },
      { ...ends, data: low.map((value, index) => [value, index]) },
      {
        ...ends,
        data: high.map((value, index) => [value, index]),
        label: {
          show: true,
          position: 'right',
          distance: 8,
          color: palette.soft,
          fontSize: 12,
          formatter: ({ dataIndex }) => band(listed[dataIndex]),
        },
      },
    ],
  }
}
