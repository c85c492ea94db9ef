// What is owned and owed, by chain, then by protocol, then token by token.

import { bar, card, first, h, narrow, table } from './dom.js'
import * as format from './format.js'
import { chain, named, protocol, spot } from './words.js'

const MOST_PLACES = 8
const FEW_PLACES = 2
/** so few are open from the start */
const MOST_LEGS = 40

const value = (leg) => format.number(leg.value_usd) ?? 0
const owed = (leg) => leg.side === 'debt'
const sum = (legs) => legs.reduce((total, leg) => total + value(leg), 0)

export function holdings(document) {
  const chains = grouped(document)
  const largest = Math.max(1, ...chains.flatMap((one) => one.places.map((place) => Math.max(place.owned, place.owed))))
  const venues = document.venue_accounts ?? []
  const few = !narrow() && chains.reduce((total, one) => total + one.places.length, 0) <= FEW_PLACES
  return card(
    'holdings',
    'Owned and owed',
    { aside: legend() },
    chains.map((one) => group(one, largest, few)),
    venues.length
      ? h('details', { class: 'chain', id: 'chain-venues', open: true }, h('summary', {}, h('h3', {}, 'Trading venues')), venues.map(venue))
      : null,
  )
}

const legend = () => h('span', { class: 'key' }, h('i', { class: 'dot owned' }), 'owned', h('i', { class: 'dot owed' }), 'owed')

/** Chains with their places, the largest first. */
function grouped(document) {
  const chains = new Map()
  for (const item of [...document.margin_accounts, ...document.positions]) {
    const places = chains.get(item.chain) ?? new Map()
    chains.set(item.chain, places)
    const name = spot(item)
    const place = places.get(name) ?? { name, key: `${item.chain}-${item.protocol}-${item.label ?? ''}`, legs: [] }
    places.set(name, place)
    for (const position of item.positions ?? [item]) for (const leg of position.legs) place.legs.push({ ...leg, of: detail(position) })
  }
  const rows = [...chains].map(([id, places]) => {
    const list = [...places.values()].map((place) => ({
      ...place,
      owned: sum(place.legs.filter((leg) => !owed(leg))),
      owed: sum(place.legs.filter(owed)),
    }))
    list.sort((a, b) => Math.max(b.owned, b.owed) - Math.max(a.owned, a.owed))
    return {
      id,
      places: list,
      owned: list.reduce((total, one) => total + one.owned, 0),
      owed: list.reduce((total, one) => total + one.owed, 0),
    }
  })
  return rows.sort((a, b) => b.owned - a.owned)
}

/** What tells positions of one protocol apart: the token that stands for it, its range, its state. */
function detail(position) {
  const { token_id: number, in_range: range, status } = position.identifiers
  return [
    number ? `#${named(number, 12)}` : '',
    range === 'true' ? 'in range' : range === 'false' ? 'out of range' : '',
    status ? named(status) : '',
  ]
    .filter(Boolean)
    .join(', ')
}

function sums(one) {
  return h(
    'span',
    { class: 'sums' },
    h('span', { class: 'figure' }, format.shortUsd(one.owned)),
    one.owed ? h('span', { class: 'figure owed-text' }, `owes ${format.shortUsd(one.owed)}`) : null,
  )
}

function group(one, largest, few) {
  return h(
    'details',
    { class: 'chain', id: `chain-${one.id.replace(':', '-')}`, open: !narrow() },
    h('summary', {}, h('span', { class: 'row' }, h('h3', {}, chain(one.id)), sums(one))),
    first(
      MOST_PLACES,
      one.places.map((place) => placeRow(place, largest, few)),
      (nodes) => h('div', { class: 'places' }, nodes),
      `more-${one.id.replace(':', '-')}`,
    ),
  )
}

function placeRow(place, largest, few) {
  const id = `place-${place.key.replace(/[^A-Za-z0-9]+/g, '-')}`
  const symbols = [...new Set(place.legs.map((leg) => named(leg.symbol)))]
  return h(
    'details',
    { class: 'place', id, open: few },
    h(
      'summary',
      {},
      h('span', { class: 'where' }, place.name),
      h('span', { class: 'tokens soft' }, symbols.slice(0, 4).join(', ') + (symbols.length > 4 ? ` +${symbols.length - 4}` : '')),
      sums(place),
      h('span', { class: 'pair' }, bar(place.owned / largest, 'owned'), place.owed ? bar(place.owed / largest, 'owed') : null),
    ),
    legs(place, id),
  )
}

function legs(place, id) {
  const rows = [...place.legs].sort((a, b) => value(b) - value(a))
  const some = rows.some((leg) => leg.of)
  const columns = [
    {
      title: 'Token',
      kind: 'token',
      cell: (leg) => [h('span', { title: `${leg.asset} ${leg.price?.detail ?? ''}`.trim() }, named(leg.symbol)), made(leg)],
    },
    some && { title: 'Position', kind: 'of', cell: (leg) => leg.of },
    { title: 'Side', kind: 'side', cell: (leg) => h('span', { class: owed(leg) ? 'owed-text' : null }, leg.side) },
    {
      title: 'Amount',
      number: true,
      kind: 'amount',
      cell: (leg) => h('span', { title: format.exactAmount(leg.amount_raw, leg.decimals) }, format.amount(leg.amount_raw, leg.decimals)),
    },
    { title: 'Price', number: true, kind: 'price', cell: (leg) => format.price(leg.price_usd) },
    {
      title: 'Value',
      number: true,
      kind: 'value',
      cell: (leg) =>
        leg.value_usd === null ? h('span', { title: leg.price?.detail || 'no believed price' }, 'no price') : format.usd(leg.value_usd),
    },
    { title: 'Haircut', number: true, kind: 'cut', cell: (leg) => (owed(leg) ? '' : format.percent(leg.haircut)) },
  ].filter(Boolean)
  return h(
    'div',
    {},
    first(MOST_LEGS, rows, (list) => table(`Tokens in ${place.name}`, columns, list, 'legs'), `${id}-more`),
  )
}

/** What a token stands for, where that is something else. */
function made(leg) {
  const parts = [...new Set(leg.look_through.map((one) => named(one.symbol, 12)))].filter((one) => one !== leg.symbol)
  return parts.length ? h('small', { class: 'soft' }, ` of ${parts.join(', ')}`) : null
}

function venue(account) {
  return h(
    'details',
    { class: 'place', id: `venue-${account.venue}-${account.account}`.replace(/[^A-Za-z0-9]+/g, '-') },
    h(
      'summary',
      {},
      h('span', { class: 'where' }, `${protocol(account.venue)} ${named(account.label || account.account)}`),
      h('span', { class: 'tokens soft' }, account.mode),
      h('span', { class: 'sums' }, h('span', { class: 'figure' }, format.shortUsd(account.equity_usd))),
    ),
    table(
      'Positions at the venue',
      [
        { title: 'Instrument', kind: 'token', cell: (one) => named(one.instrument) },
        { title: 'Size', number: true, kind: 'amount', cell: (one) => one.size },
        { title: 'Mark', number: true, kind: 'price', cell: (one) => format.price(one.mark_price) },
        { title: 'Profit', number: true, kind: 'value', cell: (one) => format.usd(one.unrealised) },
        { title: 'Liquidation', number: true, kind: 'cut', cell: (one) => format.price(one.liquidation_price) },
      ],
      account.holdings,
      'legs',
    ),
  )
}
