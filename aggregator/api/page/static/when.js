// Ages that go on while somebody looks, by the service's clock: local chains live in a time of their own.

import { h } from './dom.js'
import * as format from './format.js'

let ahead = 0
/** milliseconds, of the service's clock before this one */

const age = (timestamp) => format.ago(timestamp, Date.now() + ahead)

/** The service says what time it is there. */
export function clock(now) {
  const there = Date.parse(now)
  if (Number.isFinite(there)) ahead = there - Date.now()
}

/** How long ago it was, kept up to date by `tick`. */
export function when(timestamp) {
  return h('time', { datetime: timestamp, title: format.moment(timestamp), 'data-age': true }, age(timestamp))
}

export function tick() {
  for (const one of document.querySelectorAll('time[data-age]')) {
    const shown = age(one.dateTime)
    if (one.textContent !== shown) one.textContent = shown
  }
}
