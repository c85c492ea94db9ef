// Scores and haircuts in words.

import { bar, card, h } from './dom.js'
import * as format from './format.js'

/** What the score means for this owner, and what drives it. */
export function scoreWords(document) {
  const { health } = document
  const chances = health.liquidation_probability
  if (!chances) return 'Too little could be read to say how likely a liquidation is. The notes above name what is missing.'
  const owing = document.margin_accounts.filter((one) => one.liquidation.probability)
  const day = (one) => format.number(one.liquidation.probability['1d']) ?? 0
  const driver = [...owing].sort((a, b) => day(b) - day(a))[0]
  const parts = [`If nobody acts, at least one account is liquidated within a day with a chance of ${format.chance(chances['1d'])}, within a week ${format.chance(chances['7d'])}.`]
  if (driver && day(driver) > 0) parts.push(`${format.place(driver)} drives it.`)
  else parts.push('Nothing is owed that could be liquidated.')
  return parts.join(' ')
}

const PARTS = [
  ['market', 'how far it may fall before it is sold'],
  ['liquidity', 'what selling this much moves the price'],
  ['basis', 'how far it may part from what it follows'],
  ['structure', 'bridge, contract, issuer, redemption'],
]

/** The haircut of each token that is owned, largest value first, in its four parts. */
export function haircuts(document) {
  const tokens = new Map()
  const positions = [...document.margin_accounts.flatMap((one) => one.positions), ...document.positions]
  for (const position of positions) {
    for (const leg of position.legs) {
      if (leg.haircut === null || !leg.haircut_parts) continue
      const pooled = position.legs.length > 1 && position.protocol.startsWith('uniswap') ? ` in ${format.named(position.protocol)}` : ''
      const name = `${format.named(leg.symbol)}${pooled}`
      const key = `${name} ${Number(leg.haircut).toFixed(3)}`
      const known = tokens.get(key) ?? { name, leg, value: 0 }
      known.value += format.number(leg.value_usd) ?? 0
      tokens.set(key, known)
    }
  }
  const list = [...tokens.values()].sort((a, b) => b.value - a.value).slice(0, 12)
  if (!list.length) return null
  return card(
    'haircuts',
    'Haircuts',
    h('p', { class: 'soft' }, 'What is taken off a token’s value: 1 − (1 − market)(1 − liquidity)(1 − basis)(1 − structure).'),
    h('ul', { class: 'haircuts' }, list.map(row)),
  )
}

function row({ name, leg, value }) {
  const parts = PARTS.map(([name, words]) => ({ name, words, share: format.number(leg.haircut_parts[name]) ?? 0 })).filter((one) => one.share > 0.00005)
  const largest = [...parts].sort((a, b) => b.share - a.share)[0]
  return h(
    'li',
    {},
    h('div', { class: 'row' }, h('strong', {}, name), h('span', {}, `${format.percent(leg.haircut)} of ${format.shortUsd(String(value))}`)),
    bar(format.number(leg.haircut) ?? 0, 'warn'),
    h(
      'p',
      { class: 'soft' },
      largest ? `Mostly ${largest.name}: ${largest.words}. ` : 'Next to nothing is taken off. ',
      parts.map((one) => `${one.name} ${format.percent(String(one.share))}`).join(' · '),
    ),
  )
}
