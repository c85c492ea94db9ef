// From decimal strings to what people read. A figure that is not known is a dash with a word, never a zero.

const DOLLARS = new Intl.NumberFormat('en', { style: 'currency', currency: 'USD', maximumFractionDigits: 0 })
const CENTS = new Intl.NumberFormat('en', { style: 'currency', currency: 'USD', minimumFractionDigits: 2, maximumFractionDigits: 2 })
const COMPACT = new Intl.NumberFormat('en', { style: 'currency', currency: 'USD', notation: 'compact', maximumFractionDigits: 2 })
const MINUS = '−'

export const UNKNOWN = '–'

/** A number, or null where the document has none. */
export function number(text) {
  if (text === null || text === undefined) return null
  const value = Number(text)
  return Number.isFinite(value) ? value : null
}

export function usd(text) {
  const value = number(text)
  if (value === null) return UNKNOWN
  return (Math.abs(value) < 100 ? CENTS : DOLLARS).format(value).replace('-', MINUS)
}

export function shortUsd(text) {
  const value = number(text)
  return value === null ? UNKNOWN : COMPACT.format(value).replace('-', MINUS)
}

/** A price with six significant digits. */
export function price(text) {
  const value = number(text)
  if (value === null) return UNKNOWN
  return new Intl.NumberFormat('en', { style: 'currency', currency: 'USD', maximumSignificantDigits: 6 }).format(value)
}

/** A share of one as a percentage. */
export function percent(text, digits = 1) {
  const value = number(text)
  return value === null ? UNKNOWN : `${(value * 100).toFixed(digits).replace('-', MINUS)} %`
}

export function move(text) {
  const value = number(text)
  return value === null ? UNKNOWN : `${value > 0 ? '+' : ''}${percent(text)}`
}

export function ratio(text) {
  const value = number(text)
  if (value === null) return UNKNOWN
  return value > 1000 ? '> 1000' : value.toFixed(3).replace('-', MINUS)
}

/** A probability in words that do not pretend: below a millionth it is just that. */
export function chance(text) {
  const value = number(text)
  if (value === null) return UNKNOWN
  if (value <= 0) return '0'
  if (value < 1e-6) return '< 0.0001 %'
  return `${(value * 100).toPrecision(2)} %`.replace(/\.0+ /, ' ')
}

/** Whole units of a raw amount: exact digits, at most six behind the point. */
export function amount(raw, decimals) {
  const sign = raw.startsWith('-') ? MINUS : ''
  const digits = raw.replace('-', '').padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = decimals ? digits.slice(digits.length - decimals).slice(0, 6).replace(/0+$/, '') : ''
  return sign + whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',') + (fraction ? `.${fraction}` : '')
}

/** A name that somebody else chose: no control, no direction marks, not endless. */
export function named(text, longest = 24) {
  const plain = [...String(text ?? '')].filter((one) => !/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u.test(one)).slice(0, longest).join('')
  return plain || 'unnamed'
}

const CHAINS = {
  'eip155:1': 'Ethereum', 'eip155:10': 'Optimism', 'eip155:56': 'BNB', 'eip155:100': 'Gnosis', 'eip155:137': 'Polygon',
  'eip155:8453': 'Base', 'eip155:42161': 'Arbitrum', 'eip155:43114': 'Avalanche', 'eip155:59144': 'Linea', 'eip155:534352': 'Scroll',
}

export function chain(id) {
  return CHAINS[id] ?? named(id)
}

export function short(address) {
  return address.length > 14 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address
}

export function ago(timestamp, now = Date.now()) {
  const seconds = Math.round((now - Date.parse(timestamp)) / 1000)
  if (!Number.isFinite(seconds)) return UNKNOWN
  if (seconds < 0) return 'just now'
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60]]) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit} ago`
  }
  return `${seconds} s ago`
}

/** A node of the exposure graph: chains by their names, long addresses shortened. */
export function node(text) {
  const words = String(text ?? '').replace(/eip155:\d+/g, (id) => CHAINS[id] ?? id).replace(/0x[0-9a-fA-F]{12,}/g, short)
  return named(words, 48)
}

/** A position's place: protocol, market label where there is one, chain. */
export function place(item) {
  return [named(item.protocol), item.label ? named(item.label) : '', `on ${chain(item.chain)}`].filter(Boolean).join(' ')
}
