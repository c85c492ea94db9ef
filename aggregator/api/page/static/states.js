// What stands where figures do not: loading, empty, stale, partial, and what went wrong.

import { card, h } from './dom.js'
import { chain, named } from './format.js'

export function loading(what) {
  return h('div', { class: 'state', role: 'status', 'aria-busy': 'true' }, h('span', { class: 'spin', 'aria-hidden': 'true' }), `Reading ${what}…`)
}

export function empty(title, text, heading = 'h2') {
  return h('div', { class: 'state' }, h(heading, {}, title), h('p', {}, text))
}

/** A problem with its own words and a way to try again. */
export function failed(problem, again, heading = 'h3') {
  return h(
    'div',
    { class: 'state bad', role: 'alert' },
    h(heading, {}, problem.title ?? 'Something went wrong'),
    h('p', {}, problem.detail || problem.message || 'The page could not show this.'),
    again && h('button', { type: 'button', onclick: again }, 'Try again'),
  )
}

/** What was not read, by name. Nothing where coverage is complete. */
export function partial(coverage) {
  if (!coverage || coverage.complete) return null
  const missing = coverage.missing ?? []
  return h(
    'div',
    { class: 'note warn', role: 'status' },
    h('strong', {}, `${missing.length === 1 ? 'One thing' : `${missing.length} things`} could not be read. `),
    'What is owned is at least this much; figures that a missing debt could change are withheld.',
    h(
      'details',
      {},
      h('summary', {}, 'What is missing'),
      h('ul', {}, missing.slice(0, 50).map((gap) => h('li', {}, `${named(gap.protocol)} on ${chain(gap.chain)}: ${gap.what} (${gap.why})`))),
    ),
  )
}

/** Chains whose newest block is old. */
export function stale(snapshots) {
  const old = (snapshots ?? []).filter((one) => one.status === 'stale')
  if (!old.length) return null
  const names = old.map((one) => chain(one.chain)).join(', ')
  return h('div', { class: 'note', role: 'status' }, h('strong', {}, 'Old blocks. '), `${names}: the newest block is older than usual; figures stand for that time.`)
}

/** A card that loads by itself, so that one failure leaves the rest of the page. */
export function lazyCard(id, title, what, load, show) {
  const body = h('div', {})
  const section = card(id, title, body)
  const start = async () => {
    body.replaceChildren(loading(what))
    try {
      body.replaceChildren(...[show(await load())].flat())
    } catch (problem) {
      if (problem.name !== 'AbortError') body.replaceChildren(failed(problem, start))
    }
  }
  return { section, start }
}
