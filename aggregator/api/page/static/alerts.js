// Alerts as a timeline: each episode with what became of it, how grave it is, along which path it came, and when it is over.

import { choice, first, h } from './dom.js'
import { when } from './when.js'
import { humane, short, step, title } from './words.js'

const SEVERITIES = ['info', 'warning', 'critical']
const KIND = { critical: 'bad', warning: 'warn', info: 'quiet' }
const RESOLVED = 'resolved'
const MOST = 3
const MOST_STEPS = 4
let groups = 0

/** Episodes of the messages `items`, which come the newest first, with a filter by severity. `nothing` is said where there are none. */
export function timeline(items, nothing) {
  if (!items.length) return [h('p', { class: 'soft' }, nothing)]
  groups += 1
  const found = episodes(items)
  const list = h('div', { class: 'body' })
  const grave = (least) => found.filter((one) => one.severity >= SEVERITIES.indexOf(least))
  const show = (least) => {
    const wanted = grave(least)
    const empty = h('p', { class: 'soft', role: 'status' }, 'None as grave as that.')
    list.replaceChildren(
      ...(wanted.length ? first(MOST, wanted, (some) => h('ol', { class: 'timeline' }, some.map(entry)), 'more-alerts') : [empty]),
    )
  }
  const options = SEVERITIES.map((one) => [one, `${one === 'info' ? 'All' : title(one)} ${grave(one).length}`])
  show('info')
  return [choice(`severity-${groups}`, 'Least severity', options, 'info', show), list]
}

/** Messages by episode: what is not over first, the gravest of it, then the newest. */
function episodes(items) {
  const found = new Map()
  for (const one of items) found.set(one.episode, [...(found.get(one.episode) ?? []), one])
  const list = [...found.values()].map((messages) => ({
    messages,
    latest: messages[0],
    severity: Math.max(...messages.map((one) => SEVERITIES.indexOf(one.severity))),
    over: messages[0].state === RESOLVED,
  }))
  return [...list.filter((one) => !one.over).sort((a, b) => b.severity - a.severity), ...list.filter((one) => one.over)]
}

function entry({ messages, latest, severity, over }) {
  const name = SEVERITIES[severity] ?? latest.severity
  return h(
    'li',
    { class: over ? RESOLVED : name },
    h(
      'div',
      { class: 'row' },
      h('strong', {}, `${title(latest.rule)}: ${subject(latest)}`),
      h('span', { class: `pill ${over ? 'quiet' : (KIND[name] ?? 'quiet')}` }, over ? RESOLVED : name),
    ),
    h(
      'p',
      { class: 'soft dotted' },
      [...messages].reverse().map((one) => h('span', {}, `${one.state || 'told'} `, when(one.timestamp))),
    ),
    path(messages.find((one) => one.path?.length > 1)),
    !over && latest.clears_when ? h('p', { class: 'soft' }, `Clears when ${humane(latest.clears_when)}.`) : null,
  )
}

const subject = (one) => (/^0x[0-9a-fA-F]{12,}$/.test(one.subject) ? short(one.subject) : humane(one.subject).slice(0, 60))

/** The cause first, then what it reaches. One step alone says nothing that the subject does not say. */
function path(message) {
  if (!message) return null
  const steps = message.path.map((one) => {
    const { kind, words } = step(one)
    return h('li', { title: one }, kind ? h('small', {}, kind) : null, words)
  })
  const way = (some, label) => h('ol', { class: 'path', 'aria-label': label }, some)
  if (steps.length <= MOST_STEPS + 1) return way(steps, 'Causal path, the cause first')
  return [
    way(steps.slice(0, MOST_STEPS), 'Causal path, the cause first'),
    h(
      'details',
      { class: 'more' },
      h('summary', {}, `reaches ${steps.length - MOST_STEPS} more`),
      way(steps.slice(MOST_STEPS), 'What else it reaches'),
    ),
  ]
}
