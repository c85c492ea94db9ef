// Haircuts: how many dollars are taken off what is owned, for which of four reasons, and from which tokens.

import { card, first, h, narrow, stack } from './dom.js'
import * as format from './format.js'
import { chain, named, protocol } from './words.js'

const PARTS = [
  ['market', 'how far a price may fall before the token is sold'],
  ['liquidity', 'how much selling this amount moves the price'],
  ['basis', 'how far it may part from what it follows'],
  ['structure', 'bridge, contract, issuer and redemption'],
]
const MOST = 6
const MOST_NARROW = 3

export function haircuts(document) {
  const rows = tokens(document)
  if (!rows.length) return null
  const totals = Object.fromEntries(
    PARTS.map(([name]) => [
      name,
      document.explain ? (format.number(document.explain.haircuts[name]) ?? 0) : rows.reduce((sum, row) => sum + row.taken[name], 0),
    ]),
  )
  const all = PARTS.reduce((sum, [name]) => sum + totals[name], 0)
  const owned = format.number(document.health.collateral_usd)
  const widest = Math.max(...rows.map((row) => row.dollars), 1e-9)
  return card(
    'haircuts',
    'Haircuts',
    {},
    h(
      'p',
      {},
      h('strong', { class: 'figure' }, format.shortUsd(all)),
      owned
        ? ` (${format.percent(all / owned)}) is taken off what is owned, because it could not be sold for today’s value in a bad moment.`
        : '',
    ),
    stack(PARTS.map(([name]) => ({ kind: name, share: all > 0 ? totals[name] / all : 0 }))),
    h(
      'dl',
      { class: 'reasons' },
      PARTS.map(([name, words]) =>
        h(
          'div',
          {},
          h('dt', {}, h('i', { class: `dot ${name}` }), name),
          h('dd', {}, h('span', { class: 'soft' }, words), h('span', { class: 'figure' }, format.shortUsd(totals[name]))),
        ),
      ),
    ),
    first(
      narrow() ? MOST_NARROW : MOST,
      rows.map((row) => item(row, widest)),
      (nodes) => h('ul', { class: 'cuts' }, nodes),
      'more-cuts',
    ),
  )
}

/** Tokens of the same kind in the same place together, most dollars taken first; their share is the average by value. */
function tokens(document) {
  const found = new Map()
  const add = (item) => {
    for (const position of item.positions ?? [item]) {
      for (const leg of position.legs) {
        const [share, value] = [format.number(leg.haircut), format.number(leg.value_usd)]
        if (share === null || !leg.haircut_parts || value === null) continue
        const inside = position.identifiers.pool ? ` in ${protocol(position.protocol)}` : ''
        const key = `${leg.asset} ${inside}`
        const row = found.get(key) ?? {
          name: named(leg.symbol),
          where: `${inside ? `${inside.trim()} ` : ''}on ${chain(item.chain)}`,
          dollars: 0,
          value: 0,
          taken: { market: 0, liquidity: 0, basis: 0, structure: 0 },
        }
        row.value += value
        row.dollars += value * share
        for (const [name, dollars] of Object.entries(divided(leg.haircut_parts, share * value))) row.taken[name] += dollars
        found.set(key, row)
      }
    }
  }
  for (const item of [...document.margin_accounts, ...document.positions]) add(item)
  return [...found.values()]
    .filter((row) => row.dollars >= 0.005)
    .map((row) => ({ ...row, share: row.dollars / row.value }))
    .sort((a, b) => b.dollars - a.dollars)
}

/** Dollars by part, in the order in which the parts are taken off; together they are what is taken. */
function divided(parts, dollars) {
  const logs = PARTS.map(([name]) => [name, -Math.log1p(-Math.min(format.number(parts[name]) ?? 0, 0.999999))])
  const whole = logs.reduce((sum, [, log]) => sum + log, 0)
  return Object.fromEntries(logs.map(([name, log]) => [name, whole > 0 ? (dollars * log) / whole : 0]))
}

function item(row, widest) {
  const words = PARTS.map(([name]) => [name, row.taken[name]])
    .filter(([, dollars]) => dollars / row.dollars > 0.005)
    .map(([name, dollars]) => `${name} ${format.percent((row.share * dollars) / row.dollars)}`)
  return h(
    'li',
    { title: words.join(' · ') },
    h('span', {}, row.name, h('small', { class: 'soft' }, ` ${row.where}`)),
    h('span', { class: 'figure' }, format.percent(row.share)),
    h('span', { class: 'figure' }, format.shortUsd(row.dollars)),
    stack(PARTS.map(([name]) => ({ kind: name, share: row.taken[name] / widest }))),
    h('span', { class: 'unseen' }, words.join(', ')),
  )
}
