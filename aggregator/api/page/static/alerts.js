// Alerts as a timeline: what happened to whom, how grave it is, along which path it came, and when it is over.

import { choice, h } from './dom.js'
import * as format from './format.js'
import { humane, short, step, title } from './words.js'

const SEVERITIES = ['info', 'warning', 'critical']
const KIND = { critical: 'bad', warning: 'warn', info: 'quiet' }
const MOST = 20
let groups = 0

/** A list with a filter by severity; `items` are the newest first. `owners` says that subjects are accounts of the reader. */
export function timeline(items, nothing) {
  groups += 1
  const list = h('ol', { class: 'timeline' })
  const more = h('p', { class: 'soft', role: 'status' })
  const show = (least) => {
    const found = items.filter((one) => SEVERITIES.indexOf(one.severity) >= SEVERITIES.indexOf(least))
    list.replaceChildren(...found.slice(0, MOST).map(item))
    more.textContent =
      found.length > MOST ? `The newest ${MOST} of ${found.length}.` : found.length ? '' : items.length ? 'None as grave as that.' : nothing
  }
  const counts = (least) => items.filter((one) => SEVERITIES.indexOf(one.severity) >= SEVERITIES.indexOf(least)).length
  const pick = choice(
    `severity-${groups}`,
    'Least severity',
    [
      ['info', `All ${counts('info')}`],
      ['warning', `Warning ${counts('warning')}`],
      ['critical', `Critical ${counts('critical')}`],
    ],
    'info',
    show,
  )
  show('info')
  return items.length ? [pick, list, more] : [more]
}

function item(one) {
  return h(
    'li',
    { class: `${one.severity} ${one.state}` },
    h(
      'div',
      { class: 'row' },
      h('strong', {}, `${title(one.rule)}: ${subject(one)}`),
      h('span', { class: `pill ${KIND[one.severity] ?? 'quiet'}` }, one.severity),
    ),
    h(
      'p',
      { class: 'soft' },
      h('time', { datetime: one.timestamp, title: one.timestamp }, format.ago(one.timestamp)),
      one.state ? ` · ${one.state}` : '',
    ),
    path(one),
    one.state !== 'resolved' && one.clears_when ? h('p', { class: 'soft' }, `Clears when ${humane(one.clears_when)}.`) : null,
  )
}

const subject = (one) => (/^0x[0-9a-fA-F]{12,}$/.test(one.subject) ? short(one.subject) : humane(one.subject).slice(0, 60))

/** The cause first, then what it reaches. One step alone says nothing that the subject does not say. */
function path(one) {
  if (!one.path || one.path.length < 2) return null
  return h(
    'ol',
    { class: 'path', 'aria-label': 'Causal path, the cause first' },
    one.path.map(step).map(({ kind, words }) => h('li', {}, kind ? h('small', {}, kind) : null, words)),
  )
}
