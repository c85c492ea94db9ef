// From decimal strings to figures that people read. One rule for each kind of figure, so that the same figure looks the same everywhere.
// A figure that is not known is a dash, never a zero.

const MINUS = '−'
const THIN = '\u00a0'

export const UNKNOWN = '–'

const dollars = (options) => new Intl.NumberFormat('en', { style: 'currency', currency: 'USD', ...options })
const WHOLE = dollars({ maximumFractionDigits: 0 })
const CENTS = dollars({ minimumFractionDigits: 2, maximumFractionDigits: 2 })
const FOUR = dollars({ minimumFractionDigits: 4, maximumFractionDigits: 4 })
const SMALL = dollars({ maximumSignificantDigits: 4 })
const COMPACT = dollars({ notation: 'compact', minimumSignificantDigits: 3, maximumSignificantDigits: 3 })
const COUNT = new Intl.NumberFormat('en')

const signed = (text) => text.replace('-', MINUS)

/** A number, or null where the document has none. */
export function number(text) {
  if (text === null || text === undefined || text === '') return null
  const value = Number(text)
  return Number.isFinite(value) ? value : null
}

/** Dollars in full: whole from a thousand on, else with cents. */
export function usd(text) {
  const value = number(text)
  if (value === null) return UNKNOWN
  return signed((Math.abs(value) < 1000 ? CENTS : WHOLE).format(value))
}

/** Dollars in three digits from ten thousand on: $83.6K, $2.72M. */
export function shortUsd(text) {
  const value = number(text)
  if (value === null) return UNKNOWN
  if (Math.abs(value) >= 10_000) return signed(COMPACT.format(value))
  return value !== 0 && Math.abs(value) < 0.005 ? `${value < 0 ? MINUS : ''}< $0.01` : usd(value)
}

/** A mark on a dollar axis: $0, $500M, $1.5B. */
export function axisUsd(value) {
  return signed(dollars({ notation: 'compact', maximumSignificantDigits: 3 }).format(value))
}

/** A price: cents from ten dollars on, four digits behind the point around one dollar, four digits below ten cents. */
export function price(text) {
  const value = number(text)
  if (value === null) return UNKNOWN
  const size = Math.abs(value)
  return signed((size >= 10 || size === 0 ? CENTS : size >= 0.1 ? FOUR : SMALL).format(value))
}

/** A share of one as a percentage. */
export function percent(text, digits = 1) {
  const value = number(text)
  if (value === null) return UNKNOWN
  const shown = (value * 100).toFixed(digits)
  return `${signed(Number(shown) === 0 ? shown.replace('-', '') : shown)}${THIN}%`
}

/** A change, with its sign. */
export function move(text, digits = 1) {
  const value = number(text)
  return value === null ? UNKNOWN : `${value > 0 ? '+' : ''}${percent(value, digits)}`
}

/** A ratio or a health factor: two digits behind the point, four where they decide on which side of one it is. */
export function ratio(text) {
  const value = number(text)
  if (value === null) return UNKNOWN
  if (value > 1000) return '> 1000'
  return signed(value.toFixed(Math.abs(value - 1) < 0.05 && value !== 1 ? 4 : 2))
}

export function score(text) {
  const value = number(text)
  return value === null ? UNKNOWN : value >= 100 ? '100' : value.toFixed(1)
}

export function count(value) {
  return value === null || value === undefined ? UNKNOWN : COUNT.format(value)
}

/** A probability in two digits that do not pretend: what is next to nothing or next to certain is just that. */
export function chance(text) {
  const value = number(text)
  if (value === null) return UNKNOWN
  if (value <= 0) return `0${THIN}%`
  if (value < 1e-6) return `below 0.0001${THIN}%`
  if (value >= 0.9999) return value >= 1 ? `100${THIN}%` : `above 99.99${THIN}%`
  const shown = value * 100
  return `${shown >= 10 ? shown.toFixed(0) : Number(shown.toPrecision(2))}${THIN}%`
}

/** Whole units of a raw amount, exact. */
export function exactAmount(raw, decimals) {
  const sign = raw.startsWith('-') ? MINUS : ''
  const digits = raw.replace('-', '').padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = decimals ? digits.slice(digits.length - decimals).replace(/0+$/, '') : ''
  return sign + whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',') + (fraction ? `.${fraction}` : '')
}

/** An amount as far as it can be taken in: two digits behind the point from a thousand on, four from one on, else four that count. */
export function amount(raw, decimals) {
  const value = Number(raw) / 10 ** decimals
  const size = Math.abs(value)
  if (size >= 1e15) return signed(value.toExponential(3))
  if (size > 0 && size < 1e-6) return `${value < 0 ? MINUS : ''}< 0.000001`
  const options =
    size >= 1000
      ? { minimumFractionDigits: 2, maximumFractionDigits: 2 }
      : size >= 1
        ? { maximumFractionDigits: 4 }
        : { maximumSignificantDigits: 4, maximumFractionDigits: 8 }
  return signed(new Intl.NumberFormat('en', options).format(value))
}

/** Seconds as a person says them: 45 seconds, 12 minutes, 5 hours, 3 days. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds))
  for (const [unit, size] of [
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
  ]) {
    if (whole >= 2 * size) return `${Math.floor(whole / size)} ${unit}s`
  }
  return whole === 1 ? '1 second' : `${whole} seconds`
}

/** How long ago something was. */
export const since = (seconds) => (seconds < 1 ? 'just now' : `${duration(seconds)} ago`)

const DAY = { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' }
const CLOCK = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: 'UTC' }

/** 29 Jan 2026, 10:31 UTC. */
export function moment(timestamp) {
  const at = new Date(timestamp)
  if (Number.isNaN(at.getTime())) return UNKNOWN
  return `${at.toLocaleDateString('en-GB', DAY)}, ${at.toLocaleTimeString('en-GB', CLOCK)} UTC`
}

/** 12 March 2020, of 2020-03-12. */
export function day(text) {
  const at = new Date(`${text}T00:00:00Z`)
  return Number.isNaN(at.getTime()) ? text : at.toLocaleDateString('en-GB', { ...DAY, month: 'long' })
}

/** How long ago, within two days; the moment itself otherwise: local chains and old blocks have a time of their own. */
export function ago(timestamp, now = Date.now()) {
  const seconds = (now - Date.parse(timestamp)) / 1000
  if (!Number.isFinite(seconds)) return UNKNOWN
  return seconds > -60 && seconds < 2 * 86_400 ? since(seconds) : moment(timestamp)
}
