// Where nobody has been asked for yet: what this is, and owners to begin with.

import { h } from './dom.js'
import { EXAMPLES } from './facts.js'
import { forget } from './recent.js'
import { named, short } from './words.js'

const SHOWN = [
  [
    'One margin health',
    'Debts, collateral, liquidity positions, staked and wrapped tokens on every chain, read at one moment and judged as one portfolio.',
  ],
  ['What falls first', 'Which account is liquidated first, at what price, and what a fall of your choice would do: while you drag.'],
  ['Why', 'Every haircut, requirement and chance in words, and by name what could not be read.'],
]

/** The start page; `owners` were looked at before. */
export function welcome(owners) {
  const before = owners.length
    ? h(
        'section',
        { class: 'card', 'aria-labelledby': 'before-title' },
        h(
          'div',
          { class: 'card-head' },
          h('h2', { id: 'before-title' }, 'Looked at before'),
          h(
            'button',
            {
              type: 'button',
              class: 'quiet',
              onclick: () => {
                forget()
                before.remove()
              },
            },
            'Forget',
          ),
        ),
        h(
          'ul',
          { class: 'owners' },
          owners.map((one) => owner(one, '')),
        ),
      )
    : null
  const examples = Object.entries(EXAMPLES)
  return h(
    'div',
    { class: 'welcome' },
    h('h1', {}, 'One portfolio, one margin health'),
    h('p', { class: 'lead' }, 'Put an address or a name into the field above. The address of the page that you get is the link to share.'),
    h(
      'ul',
      { class: 'points' },
      SHOWN.map(([title, text]) => h('li', {}, h('h2', {}, title), h('p', { class: 'soft' }, text))),
    ),
    examples.length
      ? h(
          'section',
          { class: 'card', 'aria-labelledby': 'examples-title' },
          h('h2', { id: 'examples-title' }, 'Owners on this network to try'),
          h(
            'ul',
            { class: 'owners' },
            examples.map(([address, story]) => owner(address, story)),
          ),
        )
      : null,
    before,
    h('p', { class: 'soft' }, 'Or look at whole protocols: ', h('a', { href: '/systemic', 'data-link': true }, 'the systemic page'), '.'),
  )
}

function owner(name, story) {
  return h(
    'li',
    {},
    h(
      'a',
      { href: `/owner/${encodeURIComponent(name)}`, 'data-link': true },
      h('code', {}, name.startsWith('0x') ? short(name) : named(name, 60)),
    ),
    story ? h('span', { class: 'soft' }, story) : null,
  )
}
