// What a shock does: figures before and after, and which accounts fall at what point of it.

import { h } from './dom.js'
import * as format from './format.js'
import { place, protocol, named } from './words.js'

const FIGURES = [
  ['Score', 'score', format.score],
  ['Margin ratio', 'margin_ratio', format.ratio],
  ['Equity', 'equity_usd', format.shortUsd],
  ['Requirement', 'requirement_usd', format.shortUsd],
]

/** `answer`: a what-if document, null for today; `moved`: [factor, percent] pairs. */
export function outcome(document, answer, moved) {
  const [before, after] = answer ? [answer.before, answer.after] : [document.health, document.health]
  return h(
    'div',
    {},
    h(
      'dl',
      { class: 'figures shift' },
      FIGURES.map(([name, field, show]) => shift(name, show(before[field]), show(after[field]))),
    ),
    fallen(answer, moved),
  )
}

function shift(name, then, now) {
  return h(
    'div',
    {},
    h('dt', {}, name),
    h(
      'dd',
      { class: 'figure' },
      then === now ? now : [h('s', {}, h('span', { class: 'unseen' }, 'was '), then), h('span', { 'aria-hidden': 'true' }, ' → '), now],
    ),
  )
}

function fallen(answer, moved) {
  if (!answer) return h('p', { class: 'soft' }, 'Today’s prices. Move a slider, or choose one and use the arrow keys.')
  const lending = answer.margin_accounts.filter((one) => one.after.liquidatable).map((one) => ({ ...one, name: place(one) }))
  const trading = answer.venue_accounts
    .filter((one) => one.after.liquidatable)
    .map((one) => ({ ...one, name: `${protocol(one.venue)} ${named(one.label || one.account)}` }))
  const rows = [...lending, ...trading].sort((a, b) => (a.order ?? Infinity) - (b.order ?? Infinity))
  if (!rows.length) return h('p', { class: 'soft' }, 'No account is liquidated.')
  const cost = format.number(answer.after.expected_loss_usd)
  return h(
    'div',
    { class: 'note warn' },
    h(
      'p',
      {},
      h('strong', {}, `${rows.length === 1 ? 'One account is' : `${rows.length} accounts are`} liquidated`),
      cost > 0 ? `, which is expected to cost ${format.shortUsd(cost)}.` : '.',
    ),
    h(
      'ol',
      {},
      rows.map((one) => h('li', {}, h('strong', {}, one.name), ` ${point(one, moved)}`)),
    ),
  )
}

/** Where on the way the account crosses its line. */
function point(account, moved) {
  if (account.blocked) return `is below its line, but ${account.blocked}`
  const at = format.number(account.breach_at)
  if (at === null) return 'is below its line'
  if (at === 0) return 'already is below its line today'
  const moves = new Set(moved.map(([, move]) => move))
  if (moves.size === 1) return `at ${format.move((at * [...moves][0]) / 100)}${moved.length === 1 ? ` of ${named(moved[0][0])}` : ''}`
  return `after ${format.percent(at, 0)} of these moves`
}
