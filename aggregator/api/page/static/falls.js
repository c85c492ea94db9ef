// What falls first: every account that owes something, by how far the market is from its line.

import { bar, card, first, h } from './dom.js'
import * as format from './format.js'
import { named, owes, place, protocol } from './words.js'

const CLOSE = 0.1
const NEAR = 0.2
const MOST = 6
const WHOLE_BAR = 0.6
/** of distance: what is farther away fills the bar as well */

export function falls(document) {
  const owing = document.margin_accounts.filter(owes)
  const venues = (document.venue_accounts ?? []).filter((one) => format.number(one.maintenance_margin_usd) !== 0)
  if (!owing.length && !venues.length)
    return card(
      'first',
      'What falls first',
      {},
      h('p', { class: 'soft' }, 'No margin account owes anything, so nothing can be liquidated.'),
    )
  const rows = [...owing.map(lending), ...venues.map(trading)].sort((a, b) => a.distance - b.distance)
  return card(
    'first',
    'What falls first',
    {},
    h('p', { class: 'soft lead-in' }, 'How far the market as a whole may move before the account can be liquidated.'),
    first(
      MOST,
      rows.map((one) => one.node),
      (nodes) => h('ol', { class: 'accounts' }, nodes),
      'more-falls',
    ),
  )
}

const danger = (distance) => (distance < CLOSE ? 'bad' : distance < NEAR ? 'warn' : 'good')

function lending(account) {
  const { liquidation } = account
  const move = format.number(liquidation.market_move)
  const distance = liquidation.liquidatable ? 0 : liquidation.liquidatable === null ? -1 : move === null ? Infinity : Math.abs(move)
  let words = ['far', 'not by a common move']
  if (liquidation.liquidatable)
    words = liquidation.blocked ? ['bad', `below the line, but ${liquidation.blocked}`] : ['bad', 'can be liquidated now']
  else if (liquidation.liquidatable === null) words = ['warn', 'could not be judged']
  else if (move !== null) words = [danger(distance), format.move(move)]
  return {
    distance,
    node: row(place(account), words, distance, [
      alone(liquidation),
      healthWords(account),
      `owes ${format.shortUsd(account.debt_usd)} against ${format.shortUsd(account.collateral_usd)}`,
      costWords(liquidation),
    ]),
  }
}

/** The nearest price of one token alone at which the account falls. */
function alone(liquidation) {
  if (liquidation.liquidatable) return null
  const size = (one) => Math.abs(format.number(one.move))
  const known = liquidation.prices.filter((one) => format.number(one.move) !== null && one.price_usd !== null)
  const nearest = known.filter((one) => one.volatile).sort((a, b) => size(a) - size(b))[0] ?? known.sort((a, b) => size(a) - size(b))[0]
  if (!nearest) return null
  return [
    h('strong', {}, `${named(nearest.symbol)} at `, h('span', { class: 'figure' }, format.price(nearest.price_usd))),
    ` alone (${format.move(nearest.move)})`,
  ]
}

function healthWords(account) {
  const [own, market] = [format.ratio(account.health_factor), format.ratio(account.shadow_health_factor)]
  return own === market ? `health factor ${own}` : `health factor ${own}, ${market} at market prices`
}

/** What a liquidation at the line takes from the owner. */
function costWords(liquidation) {
  const cost = format.number(liquidation.loss?.owner_usd)
  return cost > 0 && !liquidation.blocked ? `a liquidation would cost ${format.shortUsd(cost)}` : null
}

function trading(account) {
  const [equity, margin] = [format.number(account.equity_usd), format.number(account.maintenance_margin_usd)]
  const distance = account.liquidatable ? 0 : equity === null || margin === null || equity <= 0 ? -1 : Math.max(0, 1 - margin / equity)
  const words = account.liquidatable
    ? ['bad', 'can be liquidated now']
    : distance < 0
      ? ['warn', 'could not be judged']
      : [danger(distance), `${format.percent(distance)} of equity to lose`]
  return {
    distance,
    node: row(`${protocol(account.venue)} ${named(account.label || account.account)}`, words, distance, [
      `equity ${format.shortUsd(account.equity_usd)}`,
      `maintenance margin ${format.shortUsd(account.maintenance_margin_usd)}`,
    ]),
  }
}

function row(name, [kind, words], distance, details) {
  return h(
    'li',
    {},
    h('div', { class: 'row' }, h('strong', {}, name), h('span', { class: `pill ${kind}` }, words)),
    bar(distance < 0 ? 0 : Math.min(1, distance / WHOLE_BAR), kind),
    h(
      'p',
      { class: 'soft dotted' },
      details.filter(Boolean).map((one) => h('span', {}, one)),
    ),
  )
}
