// From codes to words: chains, protocols, places, scenarios, nodes, and the sentences that the service writes for everybody.
// Names come from the service's own lists, so that a new chain or adapter has its name here too.

import { CHAINS, PROTOCOLS } from './facts.js'
import * as format from './format.js'

/** A name that somebody else chose: no control, no direction marks, not endless. */
export function named(text, longest = 24) {
  const plain = [...String(text ?? '')].filter((one) => !/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u.test(one))
  const shown = plain.length > longest ? `${plain.slice(0, longest - 1).join('')}…` : plain.join('')
  return shown.trim() ? shown : 'unnamed'
}

export const chain = (id) => CHAINS[id] ?? named(id)
export const protocol = (slug) => PROTOCOLS[slug] ?? named(slug)

/** The start and the end of something long that nobody reads whole. */
export function short(address) {
  return address.length > 14 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address
}

/** Whether a margin account owes something, or may. */
export const owes = (account) => account.debt_usd === null || format.number(account.debt_usd) > 0

/** Whether any of them does. */
export function owing(document) {
  return document.margin_accounts.some(owes)
}

/** A position's place without its chain: Aave v3 Core. */
export function spot(item) {
  return [protocol(item.protocol), item.label ? named(item.label, 40) : ''].filter(Boolean).join(' ')
}

/** A position's place: Aave v3 Core on Ethereum. */
export const place = (item) => `${spot(item)} on ${chain(item.chain)}`

const SLUGS = new RegExp(
  `(^|[\\s:(/])(${Object.keys(PROTOCOLS)
    .map((one) => one.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('|')})(?=[\\s@:),/]|$)`,
  'g',
)
const ASSET = /eip155:\d+\/(?:erc20:0x[0-9a-fA-F]{40}|slip44:\d+)/g

/** Codes within a sentence of the service as words. `symbols`: of assets by their id. */
export function humane(text, symbols = new Map()) {
  const words = String(text ?? '')
    .replace(ASSET, (id) => (symbols.has(id) ? `${named(symbols.get(id))} on ${chain(id.split('/')[0])}` : id))
    .replace(/(\S+) \((\1 on [^)]+)\)/g, '$2')
    .replace(/(\d+) (?:seconds|s) old/g, (_, seconds) => `${format.duration(Number(seconds))} old`)
    .replace(/heartbeat is (\d+) s\b/g, (_, seconds) => `heartbeat is ${format.duration(Number(seconds))}`)
    .replace(/\bfor (\d+) seconds\b/g, (_, seconds) => `for ${format.duration(Number(seconds))}`)
    .replace(/\b(\d+(?:\.\d+)?(?:e[+-]?\d+)?) USD\b/g, (_, value) => format.usd(value))
    .replace(/0x[0-9a-fA-F]{12,}/g, short)
    .replace(SLUGS, (_, before, slug) => before + PROTOCOLS[slug])
    .replace(/eip155:\d+/g, (id) => CHAINS[id] ?? id)
  return named(words, 400)
}

/** A code as a title: price-note is Price note. */
export function title(code) {
  const words = named(String(code).replace(/[-_]/g, ' '), 60)
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Symbols of every asset that a health document names, by id. */
export function symbolsOf(document) {
  const found = new Map()
  for (const leg of legsOf(document)) found.set(leg.asset, leg.symbol)
  return found
}

/** Every leg, of margin accounts and of all other positions. */
function* legsOf(document) {
  for (const account of document.margin_accounts) for (const position of account.positions) yield* position.legs
  for (const position of document.positions) yield* position.legs
}

const SCENARIOS = [
  [/^crisis-(\d{4}-\d\d-\d\d)$/, (_, day) => `a day like ${format.day(day)}`],
  [/^protocol:(.+)-fails$/, (_, slug) => `a failure of ${protocol(slug)}`],
  [/^bridge:(.+)-fails$/, (_, id) => `a failure of the bridge to ${chain(id)}`],
  [/^issuer:(.+)-fails$/, (_, symbol) => `a failure of the issuer of ${named(symbol)}`],
  [/^oracle:(.+)@(.+)-fails$/, (_, slug, id) => `a failure of the oracle of ${protocol(slug)} on ${chain(id)}`],
  [/^[^:]+:(.+)-discount$/, (_, symbol) => `a discount on ${named(symbol)}`],
  [/^yield-stable-discounts$/, () => 'discounts on yield-bearing dollars'],
  [/^all-down-with-discounts$/, () => 'a fall of everything, with discounts'],
  [/^all-down$/, () => 'a fall of everything'],
  [/^all-up$/, () => 'a rise of everything'],
  [/^unchanged$/, () => 'unchanged prices'],
  [/^(.+)-break$/, (_, symbol) => `a break of ${named(symbol)}’s peg`],
  [/^(.+)-down$/, (_, symbol) => `a fall of ${named(symbol)}`],
  [/^(.+)-up$/, (_, symbol) => `a rise of ${named(symbol)}`],
]

/** A scenario's name in words that can follow “set by”. */
export function scenario(name) {
  for (const [pattern, words] of SCENARIOS) if (pattern.test(name)) return name.replace(pattern, words)
  return humane(name)
}

/** A node of the exposure graph, which is written as its lenders, its protocol and chain, or a token's symbol. */
export const node = (text) => humane(text).slice(0, 60)

/** A step of a causal path, `kind:protocol/name@chain`, as its kind and its words. */
export function step(text) {
  const [, kind, rest] = /^([a-z]+):(.+)$/.exec(text) ?? [null, '', text]
  if (kind === 'chain') return { kind, words: chain(rest) }
  const [place, id] = rest.split('@')
  const parts = place.split('/').map((one) => named(/^0x[0-9a-fA-F]{12,}$/.test(one) ? short(one) : one, 40))
  // a pool's reserve is told apart by its token, not by the pool's address
  const words = [protocol(parts[0]), ...parts.slice(parts.length > 2 ? 2 : 1)].join(' ')
  return { kind, words: id ? `${words} on ${chain(id)}` : words }
}
