// Liquidation curves: what falls of one asset make liquidatable, put at risk, and leave unpaid.

import { axis, base, chart } from './charts.js'
import { figures, h, narrow } from './dom.js'
import * as format from './format.js'
import * as states from './states.js'
import { named } from './words.js'

const SERIES = [
  ['liquidatable debt', 'liquidatable_debt_usd'],
  ['collateral at risk', 'collateral_at_risk_usd'],
  ['bad debt', 'bad_debt_usd'],
]
const FIRST_MOVE = -0.2

export function curves(document) {
  const list = document.curves ?? []
  if (!list.length)
    return [
      states.partial(document.coverage),
      h('p', { class: 'soft' }, 'No population has been read, so there is no curve. Unknown is not the same as low.'),
    ]
  const wanted = new URLSearchParams(location.search).get('asset')
  const pick = h(
    'select',
    { id: 'curve-asset' },
    list.map((one, index) => h('option', { value: index, selected: one.asset === wanted }, named(one.asset))),
  )
  const drawn = chart({ height: 300 })
  const at = h('input', { id: 'curve-move', type: 'range', step: 1 })
  const shown = h('output', { for: 'curve-move', class: 'figure' })
  const result = h('div', { 'aria-live': 'polite' })
  const read = () => {
    const one = list[Number(pick.value)]
    const place = Number(at.value)
    shown.textContent = format.move(one.moves[place], 0)
    at.style.setProperty('--to', `${(100 * at.value) / at.max}%`)
    at.setAttribute('aria-valuetext', `${named(one.asset)} ${format.move(one.moves[place], 0)}`)
    result.replaceChildren(
      figures(
        [...SERIES.map(([name, field]) => [name, format.shortUsd(one[field][place])]), ['accounts', format.count(one.accounts[place])]],
        'even',
      ),
      one.lower_bounds ? h('p', { class: 'soft' }, 'Not everything could be read: these are lower bounds.') : '',
    )
  }
  const draw = () => {
    const one = list[Number(pick.value)]
    at.max = one.moves.length - 1
    at.value = Math.max(
      0,
      one.moves.findIndex((move) => Number(move) <= FIRST_MOVE),
    )
    drawn.show(`Dollars by a fall of ${named(one.asset)}, all else unchanged`, (palette) => option(one, palette))
    read()
  }
  at.addEventListener('input', read)
  pick.addEventListener('change', () => {
    const search = new URLSearchParams(location.search)
    search.set('asset', list[Number(pick.value)].asset)
    history.replaceState(history.state, '', `${location.pathname}?${search}${location.hash}`)
    draw()
  })
  draw()
  return [
    states.partial(document.coverage),
    h('div', { class: 'line' }, h('label', { for: 'curve-asset' }, 'A fall of'), pick),
    drawn.figure,
    h('div', { class: 'slider' }, h('label', { for: 'curve-move' }, 'At'), at, shown),
    result,
  ]
}

function option(one, palette) {
  const small = narrow()
  return {
    ...base(palette),
    grid: { ...base(palette).grid, top: small ? 58 : 36, right: 26 },
    tooltip: {
      ...base(palette).tooltip,
      formatter: (found) =>
        [
          format.move(one.moves[found[0].dataIndex], 0),
          ...found.map((point) => `${point.seriesName}: ${format.shortUsd(point.value)}`),
          `accounts: ${format.count(one.accounts[found[0].dataIndex])}`,
        ].join('\n'),
    },
    xAxis: axis(palette, {
      type: 'category',
      data: one.moves.map((move) => format.move(move, 0)),
      boundaryGap: false,
      splitLine: { show: false },
      axisLabel: { interval: small ? 19 : 9 },
    }),
    yAxis: axis(palette, { splitNumber: 4, axisLabel: { formatter: format.axisUsd } }),
    series: SERIES.map(([name, field]) => ({
      name,
      type: 'line',
      showSymbol: false,
      lineStyle: { width: 2 },
      areaStyle: { opacity: 0.06 },
      data: one[field].map(Number),
    })),
  }
}
