// The analyst's page: liquidation curves, the exposure matrix, systemic importance as a band, alerts in time, coverage.

import * as api from './api.js'
import { axis, base, chart } from './charts.js'
import { h, table } from './dom.js'
import * as format from './format.js'
import * as states from './states.js'

/** Shows the page in `view` until `signal` aborts; returns how to refresh it. */
export async function systemicPage(view, signal) {
  const cards = [
    states.lazyCard('curves', 'Liquidation curves', 'the populations', () => api.curves(null, signal), curves),
    states.lazyCard('rank', 'Systemic importance', 'the ranking', () => api.rank(signal), ranking),
    states.lazyCard('exposure', 'Who is exposed to what', 'the exposures', () => api.graph(signal), exposures),
    states.lazyCard('alerts', 'Alerts', 'the alerts', () => api.alerts(signal), alerts),
    states.lazyCard('coverage', 'Coverage', 'the coverage', () => api.coverage(signal), covered),
  ]
  view.replaceChildren(
    h('div', { class: 'heading' }, h('h1', {}, 'Systemic'), h('p', { class: 'soft' }, 'Whole protocols instead of one owner: what a fall would liquidate, who matters most, and what has begun.')),
    h('div', { class: 'grid' }, cards.map((one) => one.section)),
  )
  const show = () => Promise.all(cards.map((one) => one.start()))
  await show()
  return show
}

function nothing(document, text) {
  return [states.partial(document.coverage), h('p', { class: 'soft' }, text)].filter(Boolean)
}

function curves(document) {
  const list = document.curves ?? []
  if (!list.length) return nothing(document, 'No population has been read, so there is no curve. Unknown is not the same as low.')
  const pick = h('select', { id: 'curve-asset' }, list.map((one, index) => h('option', { value: index }, format.named(one.asset))))
  const place = h('div', {})
  const draw = () => {
    const one = list[Number(pick.value)]
    place.replaceChildren(
      chart(
        `Against moves of ${format.named(one.asset)}: liquidatable debt, collateral at risk and bad debt, in dollars`,
        (palette) => ({
          ...base(palette),
          xAxis: axis(palette, { type: 'category', data: one.moves.map((move) => format.percent(String(move), 0)), boundaryGap: false }),
          yAxis: axis(palette, { axisLabel: { color: palette.soft, formatter: (value) => format.shortUsd(String(value)) } }),
          series: [
            ['liquidatable debt', one.liquidatable_debt_usd],
            ['collateral at risk', one.collateral_at_risk_usd],
            ['bad debt', one.bad_debt_usd],
          ].map(([name, data]) => ({ name, type: 'line', showSymbol: false, areaStyle: { opacity: 0.08 }, data: data.map(Number) })),
        }),
        { height: 300 },
      ),
    )
  }
  pick.addEventListener('change', draw)
  draw()
  return [states.partial(document.coverage), h('label', { for: 'curve-asset' }, 'Moves of '), pick, place].filter(Boolean)
}

function ranking(document) {
  const rows = (document.rows ?? []).slice(0, 20)
  if (!rows.length) return nothing(document, 'No network of exposures is known yet.')
  const names = rows.map((one) => format.node(one.name)).reverse()
  const low = rows.map((one) => Number(one.low)).reverse()
  const high = rows.map((one) => Number(one.high)).reverse()
  return [
    states.partial(document.coverage),
    chart(
      'Loss of the system if it fails, as a band from the calmest model to the harshest',
      (palette) => ({
        ...base(palette),
        legend: { show: false },
        tooltip: { ...base(palette).tooltip, trigger: 'item', formatter: (one) => `${names[one.dataIndex]}: ${format.percent(String(low[one.dataIndex]))} to ${format.percent(String(high[one.dataIndex]))}` },
        xAxis: axis(palette, { axisLabel: { color: palette.soft, formatter: (value) => format.percent(String(value), 0) } }),
        yAxis: axis(palette, { type: 'category', data: names }),
        series: [
          { type: 'bar', stack: 'band', itemStyle: { color: 'transparent' }, data: low, silent: true },
          { type: 'bar', stack: 'band', data: high.map((value, index) => value - low[index]), barMaxWidth: 10, itemStyle: { borderRadius: 4, color: palette.series[0] } },
          { type: 'scatter', symbolSize: 9, itemStyle: { color: palette.accent }, data: high.map((value, index) => [(value + low[index]) / 2, index]) },
        ],
      }),
      { height: 60 + 24 * rows.length },
    ),
    h('details', {}, h('summary', {}, 'As a table'), table('Systemic importance', [
      { title: 'Name', cell: (one) => format.node(one.name) },
      { title: 'Kind', cell: (one) => format.named(one.kind) },
      { title: 'From', number: true, cell: (one) => format.percent(one.low) },
      { title: 'To', number: true, cell: (one) => format.percent(one.high) },
      { title: 'Rank', number: true, cell: (one) => one.best_rank === one.worst_rank ? String(one.rank) : `${one.best_rank}–${one.worst_rank}` },
    ], rows)),
  ].filter(Boolean)
}

function alerts(document) {
  const items = document.alerts ?? []
  if (!items.length) return nothing(document, 'No alert is open and none was raised. See the coverage for what is watched.')
  return [
    states.partial(document.coverage),
    h('ol', { class: 'timeline' }, items.map((one) => h(
      'li',
      { class: one.severity },
      h('div', { class: 'row' },
        h('strong', {}, `${format.named(one.rule)}: ${format.node(one.subject)}`),
        h('span', { class: `pill ${one.severity === 'critical' ? 'bad' : one.severity.startsWith('warn') ? 'warn' : 'good'}` }, one.severity)),
      h('p', { class: 'soft' }, h('time', { datetime: one.timestamp, title: one.timestamp }, format.ago(one.timestamp)), one.state ? ` · ${one.state}` : ''),
      one.path?.length ? h('p', { class: 'path' }, one.path.map((step) => format.node(step)).join(' → ')) : null,
      one.clears_when && h('p', { class: 'soft' }, `Clears when ${one.clears_when}`),
    ))),
  ].filter(Boolean)
}

function exposures(document) {
  const nodes = document.nodes ?? []
  const edges = document.edges ?? []
  if (!edges.length) return nothing(document, 'No exposures are known yet.')
  const weight = new Map(nodes.map((one) => [one.id, 0]))
  for (const edge of edges) for (const end of [edge.source, edge.target]) weight.set(end, (weight.get(end) ?? 0) + (format.number(edge.amount_usd) ?? 0))
  const label = new Map(nodes.map((one) => [one.id, format.node(one.name ?? one.id)]))
  const narrow = matchMedia('(max-width: 560px)').matches
  const sources = largest(edges.map((edge) => edge.source), weight, narrow ? 7 : 14)
  const targets = largest(edges.map((edge) => edge.target), weight, narrow ? 4 : 14)
  const cells = edges
    .filter((edge) => sources.includes(edge.source) && targets.includes(edge.target))
    .map((edge) => [targets.indexOf(edge.target), sources.indexOf(edge.source), tone(edge.amount_usd), edge.amount_usd])
  const tones = cells.map((cell) => cell[2])
  return [
    states.partial(document.coverage),
    chart(
      'Exposure: rows depend on columns; ten times the dollars is one step darker or brighter',
      (palette) => ({
        ...base(palette),
        legend: { show: false },
        tooltip: { ...base(palette).tooltip, trigger: 'item', formatter: ({ data }) => `${label.get(sources[data[1]])} on ${label.get(targets[data[0]])}: ${format.shortUsd(data[3])}` },
        xAxis: axis(palette, { type: 'category', data: targets.map((one) => label.get(one) ?? one), axisLabel: { color: palette.soft, fontSize: 12, rotate: 40, interval: 0 } }),
        yAxis: axis(palette, { type: 'category', data: sources.map((one) => label.get(one) ?? one) }),
        visualMap: { min: Math.min(...tones) - 1, max: Math.max(...tones), dimension: 2, show: false, inRange: { color: [palette.card, palette.accent] } },
        series: [{ type: 'heatmap', data: cells, itemStyle: { borderColor: palette.card, borderWidth: 1 } }],
      }),
      { height: 170 + 26 * sources.length },
    ),
  ].filter(Boolean)
}

/** Dollars differ by orders of magnitude, so colours follow their logarithm. */
function tone(amount) {
  return Math.log10(1 + (format.number(amount) ?? 0))
}

function largest(ids, weight, most) {
  return [...new Set(ids)].sort((a, b) => weight.get(b) - weight.get(a)).slice(0, most)
}

function covered(document) {
  const chains = document.chains ?? []
  return [
    states.partial(document.coverage ?? document),
    chains.length
      ? table('Chains', [
          { title: 'Chain', cell: (one) => format.chain(one.chain) },
          { title: 'Block', number: true, cell: (one) => one.block ?? format.UNKNOWN },
          { title: 'As of', cell: (one) => (one.timestamp ? format.ago(one.timestamp) : format.UNKNOWN) },
          { title: 'State', cell: (one) => one.status },
        ], chains)
      : h('p', { class: 'soft' }, 'No chain has been read yet.'),
  ].filter(Boolean)
}
