// What the service remarks on its own figures: by kind, in words.

import { card, first, h } from './dom.js'
import { humane, title } from './words.js'

const MOST = 3
const SAID_ELSEWHERE = ['head-stale', 'chain-unreachable']
/** beside the blocks, at the top of the page */

export function remarks(document, symbols) {
  const kinds = new Map()
  for (const one of document.warnings)
    if (!SAID_ELSEWHERE.includes(one.code)) kinds.set(one.code, [...(kinds.get(one.code) ?? []), humane(one.detail, symbols)])
  if (!kinds.size) return null
  return card(
    'remarks',
    'To know',
    {},
    [...kinds].map(([code, details]) =>
      h(
        'section',
        { class: 'remark' },
        h('h3', { title: code }, title(code)),
        first(
          MOST,
          details.map((one) => h('li', {}, one)),
          (nodes) => h('ul', {}, nodes),
          `more-${code}`,
        ),
      ),
    ),
  )
}
