// What stands where figures do not: loading, empty, stale, partial, and what went wrong.

import { card, h } from './dom.js'
import { chain, humane, protocol } from './words.js'

/** Lines where text will be, so that nothing moves when it comes. */
export function loading(what, lines = 3) {
  const bones = Array.from({ length: lines }, (_, line) => h('i', { class: 'bone', style: { width: `${92 - ((line * 23) % 50)}%` } }))
  return h('div', { class: 'loading', role: 'status', 'aria-busy': 'true' }, h('span', { class: 'unseen' }, `Reading ${what}…`), bones)
}

/** The shape of a page that is being read: `cards` are [id, title, lines]. */
export function skeleton(what, groups) {
  const cards = (list) =>
    list.map(([id, title, lines]) => card(`${id}-loading`, title, {}, loading(`${title.toLowerCase()} of ${what}`, lines)))
  return groups.map(({ kind, list }) => h('div', { class: kind }, cards(list)))
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
    h('p', {}, humane(problem.detail || problem.message || 'The page could not show this.')),
    again && h('button', { type: 'button', onclick: again }, 'Try again'),
  )
}

/** What was not read, by name. Nothing where coverage is complete. */
export function partial(coverage, symbols) {
  if (!coverage || coverage.complete) return null
  const missing = coverage.missing ?? []
  const gap = (one) => {
    const where = [one.protocol === '*' ? '' : protocol(one.protocol), one.chain === '*' ? '' : `on ${chain(one.chain)}`]
      .filter(Boolean)
      .join(' ')
    return h(
      'li',
      {},
      h('strong', {}, humane(one.what, symbols)),
      where ? ` · ${where}` : '',
      h('span', { class: 'soft' }, `: ${humane(one.why, symbols)}`),
    )
  }
  return h(
    'div',
    { class: 'note warn', role: 'status' },
    h(
      'p',
      {},
      h('strong', {}, `${missing.length === 1 ? 'One thing' : `${missing.length} things`} could not be read. `),
      'What is owned is at least what stands here. Figures that a missing debt could change are left open rather than guessed.',
    ),
    h('ul', { class: 'gaps' }, missing.slice(0, 3).map(gap)),
    missing.length > 3 &&
      h(
        'details',
        { id: 'missing' },
        h('summary', {}, `${missing.length - 3} more`),
        h('ul', { class: 'gaps' }, missing.slice(3, 100).map(gap)),
      ),
  )
}

/** Chains whose newest block is old, or that were not reached. */
export function stale(snapshots, symbols) {
  const old = (snapshots ?? []).filter((one) => one.status !== 'ok')
  if (!old.length) return null
  const reasons = new Map()
  for (const one of old) {
    const why = humane(one.detail ?? one.status, symbols)
    reasons.set(why, [...(reasons.get(why) ?? []), chain(one.chain)])
  }
  return h(
    'div',
    { class: 'note', role: 'status' },
    h(
      'p',
      {},
      h('strong', {}, old.some((one) => one.status === 'stale') ? 'Old blocks. ' : 'Not reached. '),
      'Figures stand for the blocks that are named, not for now.',
    ),
    h(
      'ul',
      { class: 'gaps' },
      [...reasons].map(([why, chains]) => h('li', {}, h('strong', {}, chains.join(', ')), h('span', { class: 'soft' }, `: ${why}`))),
    ),
  )
}

/**
 * A card that loads by itself, so that one failure leaves the rest of the page. `show` makes its content of the answer. When it is read
 * again, what was opened stays open, and the focus stays on what has a name.
 */
export function lazyCard(id, title, what, load, show, { lines = 4, aside = null } = {}) {
  const body = h('div', { class: 'body' }, loading(what, lines))
  const section = card(id, title, { aside }, body)
  const start = async () => {
    try {
      const fresh = [show(await load(), start)].flat().filter(Boolean)
      const open = [...body.querySelectorAll('details[open][id]')].map((one) => one.id)
      const focused = body.contains(document.activeElement) ? document.activeElement.id : ''
      body.replaceChildren(...fresh)
      for (const one of body.querySelectorAll('details')) one.open ||= open.includes(one.id)
      if (focused) document.getElementById(focused)?.focus()
    } catch (problem) {
      if (problem.name !== 'AbortError') body.replaceChildren(failed(problem, start))
    }
  }
  return { section, start }
}
