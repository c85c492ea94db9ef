// The exposure matrix: rows would lose what stands in a cell if the column paid nothing.

import { axis, base, chart } from './charts.js'
import { h, narrow, table } from './dom.js'
import * as format from './format.js'
import * as states from './states.js'
import { node } from './words.js'

const MOST_ROWS = 12
const MOST_COLUMNS = 12
const MOST_NARROW_COLUMNS = 4
const LISTED = 60
const LENDERS = 'lenders of '

export function exposures(document) {
  const edges = document.edges ?? []
  if (!edges.length) return [states.partial(document.coverage), h('p', { class: 'soft' }, 'No exposures are known yet.')]
  const names = new Map((document.nodes ?? []).map((one) => [one.id, node(one.name)]))
  const small = narrow()
  const rows = largest(edges, 'source', MOST_ROWS)
  const columns = largest(edges, 'target', small ? MOST_NARROW_COLUMNS : MOST_COLUMNS)
  const cells = edges
    .filter((edge) => rows.includes(edge.source) && columns.includes(edge.target))
    .map((edge) => [columns.indexOf(edge.target), rows.indexOf(edge.source), tone(edge.amount_usd), edge.amount_usd])
  const drawn = chart({ height: (small ? 200 : 170) + 34 * rows.length, caption: false })
  const left = edges.length - cells.length
  drawn.show(
    `Exposure matrix of ${rows.length} lenders to ${columns.length} protocols and tokens; the table below has the same figures`,
    (palette) => option({ rows, columns, cells, names, small }, palette),
  )
  return [
    states.partial(document.coverage),
    h(
      'p',
      { class: 'soft' },
      'The lenders of the protocol in a row would lose what stands in the cell if the column paid nothing. Colours follow powers of ten.',
    ),
    drawn.figure,
    left > 0 ? h('p', { class: 'soft' }, `${left} smaller exposures are not in the picture.`) : null,
    h(
      'details',
      { id: 'exposure-table' },
      h('summary', {}, 'As a table'),
      table(
        'Exposures, the largest first',
        [
          { title: 'Who', cell: (one) => names.get(one.source) ?? one.source },
          { title: 'Exposed to', cell: (one) => names.get(one.target) ?? one.target },
          { title: 'Amount', number: true, cell: (one) => format.shortUsd(one.amount_usd) },
        ],
        [...edges].sort((a, b) => format.number(b.amount_usd) - format.number(a.amount_usd)).slice(0, LISTED),
      ),
    ),
  ]
}

/** Dollars differ by orders of magnitude, so colours follow their logarithm. */
const tone = (amount) => Math.log10(Math.max(1, format.number(amount) ?? 0))

/** The ends of edges with the most dollars on them. */
function largest(edges, end, most) {
  const weight = new Map()
  for (const edge of edges) weight.set(edge[end], (weight.get(edge[end]) ?? 0) + (format.number(edge.amount_usd) ?? 0))
  return [...weight.keys()].sort((a, b) => weight.get(b) - weight.get(a)).slice(0, most)
}

function option({ rows, columns, cells, names, small }, palette) {
  const tones = cells.map((cell) => cell[2])
  const [lowest, highest] = [Math.floor(Math.min(...tones)), Math.ceil(Math.max(...tones))]
  const name = (id) => names.get(id) ?? id
  const held = rows.every((id) => name(id).startsWith(LENDERS)) ? (id) => name(id).slice(LENDERS.length) : name
  return {
    ...base(palette),
    legend: { show: false },
    grid: { left: 4, right: 8, top: 44, bottom: 4, containLabel: true },
    tooltip: {
      ...base(palette).tooltip,
      trigger: 'item',
      formatter: ({ value }) => `${name(rows[value[1]])}\nexposed to ${name(columns[value[0]])}\n${format.shortUsd(value[3])}`,
    },
    xAxis: axis(palette, {
      type: 'category',
      data: columns.map(name),
      splitLine: { show: false },
      axisLabel: { rotate: 35, interval: 0, width: 150, overflow: 'truncate', hideOverlap: false },
    }),
    yAxis: axis(palette, {
      type: 'category',
      inverse: true,
      data: rows.map(held),
      splitLine: { show: false },
      axisLabel: {
        interval: 0,
        color: palette.text,
        width: small ? 105 : 190,
        overflow: small ? 'break' : 'truncate',
        lineHeight: 13,
        hideOverlap: false,
      },
    }),
    visualMap: {
      type: 'continuous',
      min: lowest,
      max: highest,
      dimension: 2,
      orient: 'horizontal',
      right: 0,
      top: 0,
      itemWidth: 12,
      itemHeight: small ? 90 : 140,
      calculable: false,
      text: [format.axisUsd(10 ** highest), format.axisUsd(10 ** lowest)],
      textGap: 8,
      textStyle: { color: palette.soft, fontSize: 12 },
      inRange: { color: [palette.sunk, palette.accent] },
    },
    series: [
      {
        type: 'heatmap',
        data: cells.map((cell) => ({
          value: cell,
          label: { color: cell[2] - lowest > 0.6 * (highest - lowest) ? palette.onAccent : palette.text },
        })),
        itemStyle: { borderColor: palette.card, borderWidth: 2, borderRadius: 4 },
        emphasis: { itemStyle: { borderColor: palette.text } },
        label: { show: true, fontSize: 11, formatter: ({ value }) => format.axisUsd(Number(Number(value[3]).toPrecision(2))) },
      },
    ],
  }
}
