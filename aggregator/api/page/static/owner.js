// An owner's page: health, what falls first, what is owned and owed, shocks, haircuts in words, history.

import * as api from './api.js'
import { axis, base, chart } from './charts.js'
import { bar, card, h, table } from './dom.js'
import * as format from './format.js'
import { haircuts, scoreWords } from './explain.js'
import { sliders } from './sliders.js'
import * as states from './states.js'

/** Shows the owner in `view` until `signal` aborts; returns how to refresh it. */
export async function ownerPage(view, name, signal) {
  view.replaceChildren(states.loading('every chain at one moment'))
  let current = null
  const show = async () => {
    try {
      const document = await api.health(name, signal)
      if (signal.aborted) return
      current = document
      render(view, name, document, signal)
    } catch (problem) {
      if (signal.aborted || problem.name === 'AbortError') return
      if (current === null) view.replaceChildren(states.failed(problem, show, 'h1'))
      else view.querySelector('#refresh-note')?.replaceChildren(`Could not be refreshed: ${problem.message}`)
    }
  }
  await show()
  return show
}

function render(view, name, document, signal) {
  const open = new Set([...view.querySelectorAll('details[open]')].map((one) => one.id).filter(Boolean))
  const kept = view.querySelector('#shocks')
  const owned = document.margin_accounts.length + document.positions.length + (document.venue_accounts ?? []).length
  const parts = [heading(document), states.partial(document.coverage), states.stale(document.snapshots)]
  if (!owned && document.coverage.complete) {
    view.replaceChildren(...parts.filter(Boolean), states.empty('Nothing here', 'This owner holds and owes nothing on the chains that were read.'))
    return
  }
  const history = states.lazyCard('history', 'History', 'the history', () => api.history(name, signal), historyChart)
  view.replaceChildren(
    ...[
      ...parts,
      h(
        'div',
        { class: 'grid' },
        summary(document),
        netting(document),
        first(document),
        kept && kept.dataset.owner === name ? kept : sliders(name, document, signal),
        holdings(document),
        haircuts(document),
        history.section,
        remarks(document),
      ),
    ].filter(Boolean),
  )
  for (const one of view.querySelectorAll('details')) if (open.has(one.id)) one.open = true
  history.start()
}

function heading(document) {
  const owners = document.owners.map((one) => one.split(':').pop())
  const times = document.snapshots.map((one) => one.timestamp).filter(Boolean).sort()
  const blocks = document.snapshots.map((one) => `${format.chain(one.chain)} ${one.block ?? 'not reached'}`).join(' · ')
  return h(
    'div',
    { class: 'heading' },
    h('h1', { title: owners.join(' ') }, owners.map(format.short).join(' + ')),
    h(
      'p',
      { class: 'soft' },
      times.length ? h('time', { datetime: times[0], title: times[0] }, `as of ${format.ago(times[0])}`) : 'as of nothing',
      ` · ${blocks} `,
      h('button', { type: 'button', class: 'quiet', onclick: share }, 'Copy link'),
      h('span', { id: 'refresh-note', class: 'bad-text', role: 'status' }),
    ),
  )
}

async function share(event) {
  const button = event.currentTarget
  try {
    await navigator.clipboard.writeText(location.href)
    button.textContent = 'Copied'
  } catch {
    button.textContent = location.href
  }
}

function level(score) {
  if (score === null) return 'none'
  return score >= 80 ? 'good' : score >= 60 ? 'warn' : 'bad'
}

function summary(document) {
  const { health } = document
  const score = format.number(health.score)
  const kind = level(score)
  return card(
    'summary',
    'Unified health',
    h(
      'div',
      { class: 'hero' },
      h(
        'div',
        { class: `score ${kind}` },
        h('strong', {}, score === null ? 'unknown' : score.toFixed(score === 100 ? 0 : 1)),
        h('span', {}, score === null ? 'no score: too little could be read' : 'score of 100'),
        bar((score ?? 0) / 100, kind),
      ),
      h(
        'dl',
        { class: 'figures' },
        figure('Equity', format.usd(health.equity_usd)),
        figure('Owned', format.usd(health.collateral_usd)),
        figure('Owed', format.usd(health.debt_usd)),
        figure('After haircuts', format.usd(health.collateral_after_haircuts_usd)),
        figure('Margin ratio', format.ratio(health.margin_ratio), 'equity over what the unified method requires; below 1 is under-margined'),
      ),
    ),
    h('p', {}, scoreWords(document)),
  )
}

function figure(name, value, hint) {
  return h('div', {}, h('dt', { title: hint }, name), h('dd', {}, value))
}

function netting(document) {
  const { health } = document
  const levels = [
    ['Isolated', health.isolated_requirement_usd, 'every account and chain by itself'],
    ['Transfer-aware', health.requirement_usd, 'what can arrive in time may help elsewhere: the requirement'],
    ['Pooled', health.pooled_requirement_usd, 'everything in one pool'],
  ]
  const largest = Math.max(...levels.map(([, value]) => format.number(value) ?? 0), format.number(health.equity_usd) ?? 0)
  const rows = [...levels, ['Equity', health.equity_usd, 'what stands against it']]
  const worst = health.worst_scenario
  return card(
    'netting',
    'Requirement, three levels of netting',
    h(
      'dl',
      { class: 'bars' },
      rows.map(([name, value, hint]) => {
        const amount = format.number(value)
        return h(
          'div',
          {},
          h('dt', { title: hint }, name),
          h('dd', {}, bar(largest && amount !== null ? amount / largest : 0, name === 'Equity' ? 'good' : ''), h('span', {}, format.shortUsd(value))),
        )
      }),
    ),
    h(
      'p',
      { class: 'soft' },
      worst ? `Set by ${worst.name}, which would lose ${format.usd(worst.loss_usd)}. ` : '',
      health.netting_benefit_usd ? `Netting saves ${format.usd(health.netting_benefit_usd)}. ` : '',
      format.number(health.trapped_collateral_usd) > 0 ? `${format.usd(health.trapped_collateral_usd)} cannot arrive in time where it would be needed.` : '',
    ),
    document.isolated_versus_cross && comparison(document.isolated_versus_cross),
  )
}

function comparison(compared) {
  const rows = [['Delta', compared.delta], ['Vega', compared.vega], ['Requirement', compared.requirement]]
  return h(
    'details',
    { id: 'compare' },
    h('summary', {}, 'Isolated or cross'),
    table('Isolated versus cross', [
      { title: '', cell: ([name]) => name },
      { title: 'Isolated', number: true, cell: ([, pair]) => format.usd(pair.isolated) },
      { title: 'Cross', number: true, cell: ([, pair]) => format.usd(pair.cross) },
    ], rows),
    h('p', { class: 'soft' }, `Isolated: ${compared.liquidation_trigger.isolated ?? 'no account can be liquidated'}. Cross: ${compared.liquidation_trigger.cross ?? 'no liquidation'}.`),
  )
}

function first(document) {
  const owing = document.margin_accounts.filter((one) => one.health_factor !== null || one.debt_usd === null)
  const falls = (one) => (one.liquidation.liquidatable ? 0 : Math.abs(format.number(one.liquidation.market_move) ?? Infinity))
  const accounts = [...owing].sort((a, b) => falls(a) - falls(b))
  if (!accounts.length) return card('first', 'What falls first', h('p', {}, 'No margin account owes anything, so nothing can be liquidated.'))
  return card(
    'first',
    'What falls first',
    h('ol', { class: 'accounts' }, accounts.map(accountRow)),
  )
}

function accountRow(account) {
  const { liquidation } = account
  const danger = liquidation.liquidatable ? 'bad' : Math.abs(format.number(liquidation.market_move) ?? 1) < 0.15 ? 'warn' : 'good'
  const volatile = liquidation.prices.filter((one) => one.volatile && format.number(one.move) !== null)
  const nearest = volatile.sort((a, b) => Math.abs(a.move) - Math.abs(b.move))[0]
  let words = 'no common move of the market liquidates it'
  if (liquidation.liquidatable) words = liquidation.blocked ? `liquidatable, but ${liquidation.blocked}` : 'can be liquidated now'
  else if (liquidation.liquidatable === null) words = 'could not be judged'
  else if (liquidation.market_move !== null) words = `falls when the market moves ${format.move(liquidation.market_move)}`
  return h(
    'li',
    {},
    h('div', { class: 'row' }, h('strong', {}, format.place(account)), h('span', { class: `pill ${danger}` }, words)),
    h(
      'p',
      { class: 'soft' },
      `health factor ${format.ratio(account.health_factor)} · at market prices ${format.ratio(account.shadow_health_factor)}`,
      ` · owns ${format.usd(account.collateral_usd)}, owes ${format.usd(account.debt_usd)}`,
    ),
    nearest && h('p', {}, `${format.named(nearest.symbol)} alone: at ${format.price(nearest.price_usd)} (${format.move(nearest.move)})`),
  )
}

function holdings(document) {
  const places = new Map()
  const add = (item) => {
    const key = `${item.chain} ${item.protocol} ${item.label ?? ''}`
    const entry = places.get(key) ?? { item, legs: [] }
    for (const position of item.positions ?? [item]) entry.legs.push(...position.legs)
    places.set(key, entry)
  }
  document.margin_accounts.forEach(add)
  document.positions.forEach(add)
  const value = (leg) => format.number(leg.value_usd) ?? 0
  const sum = (legs, debt) => legs.filter((leg) => (leg.side === 'debt') === debt).reduce((total, leg) => total + value(leg), 0)
  const entries = [...places.values()].sort((a, b) => sum(b.legs, false) - sum(a.legs, false))
  const largest = Math.max(1, ...entries.map((one) => Math.max(sum(one.legs, false), sum(one.legs, true))))
  const groups = entries.map((entry, index) =>
    h(
      'details',
      { class: 'place', id: `place-${index}` },
      h(
        'summary',
        {},
        h('span', { class: 'where' }, format.place(entry.item)),
        h('span', { class: 'sums' }, h('span', {}, format.shortUsd(String(sum(entry.legs, false)))), sum(entry.legs, true) ? h('span', { class: 'bad-text' }, `owes ${format.shortUsd(String(sum(entry.legs, true)))}`) : null),
        bar(sum(entry.legs, false) / largest, 'good'),
        sum(entry.legs, true) ? bar(sum(entry.legs, true) / largest, 'bad') : null,
      ),
      legTable(entry.legs, format.place(entry.item)),
    ),
  )
  const venues = (document.venue_accounts ?? []).map((one) => venue(one))
  return card('holdings', 'Owned and owed', h('div', { class: 'places' }, groups, venues))
}

function legTable(legs, label) {
  return table(`Tokens in ${label}`, [
    { title: 'Token', cell: (leg) => h('span', { title: leg.asset }, format.named(leg.symbol)) },
    { title: 'Side', cell: (leg) => leg.side },
    { title: 'Amount', number: true, cell: (leg) => format.amount(leg.amount_raw, leg.decimals) },
    { title: 'Price', number: true, cell: (leg) => format.price(leg.price_usd) },
    { title: 'Value', number: true, cell: (leg) => format.usd(leg.value_usd) },
    { title: 'Haircut', number: true, cell: (leg) => format.percent(leg.haircut) },
    { title: 'Made of', cell: (leg) => leg.look_through.map((one) => format.named(one.symbol)).join(', ') || '' },
  ], legs)
}

function venue(account) {
  return h(
    'details',
    { class: 'place' },
    h(
      'summary',
      {},
      h('span', { class: 'where' }, `${format.named(account.venue)} ${format.named(account.label || account.account)}`),
      h('span', { class: 'sums' }, h('span', {}, format.shortUsd(account.equity_usd))),
    ),
    table('Positions at the venue', [
      { title: 'Instrument', cell: (one) => format.named(one.instrument) },
      { title: 'Size', number: true, cell: (one) => one.size },
      { title: 'Mark', number: true, cell: (one) => format.price(one.mark_price) },
      { title: 'Profit', number: true, cell: (one) => format.usd(one.unrealised) },
      { title: 'Liquidation', number: true, cell: (one) => format.price(one.liquidation_price) },
    ], account.holdings),
  )
}

function historyChart(document) {
  const points = document.points ?? []
  if (points.length < 2) return h('p', { class: 'soft' }, 'There is no history yet. It grows with every block at which this owner is assessed.')
  const series = (field) => points.map((one) => [one.timestamp, format.number(one[field])])
  const last = points[points.length - 1]
  return chart(
    `Score (left) and margin ratio (right) over time; last: score ${last.score ?? 'unknown'}, ratio ${format.ratio(last.margin_ratio)}`,
    (palette) => ({
      ...base(palette),
      xAxis: axis(palette, { type: 'time' }),
      yAxis: [axis(palette, { min: 0, max: 100 }), axis(palette, { splitLine: { show: false }, scale: true })],
      series: [
        { name: 'score', type: 'line', step: 'end', showSymbol: false, data: series('score'), connectNulls: false },
        { name: 'margin ratio', type: 'line', step: 'end', showSymbol: false, yAxisIndex: 1, data: series('margin_ratio'), connectNulls: false },
      ],
    }),
  )
}

function remarks(document) {
  if (!document.warnings.length) return null
  return card(
    'remarks',
    'To know',
    h('ul', { class: 'remarks' }, document.warnings.slice(0, 60).map((one) => h('li', {}, h('code', {}, one.code), ' ', one.detail))),
  )
}
