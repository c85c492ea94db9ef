// Shocks that answer while they are dragged: one request under way, and always the newest next.

import * as api from './api.js'
import { card, h } from './dom.js'
import * as format from './format.js'

const MOST_FACTORS = 5
const STEP = 1

/** The card with a slider for each risk factor that the owner depends on most. */
export function sliders(name, document, signal) {
  const deltas = document.isolated_versus_cross?.delta_by_factor ?? {}
  const size = (pair) => Math.max(Math.abs(format.number(pair.isolated) ?? 0), Math.abs(format.number(pair.cross) ?? 0))
  const factors = Object.entries(deltas).sort((a, b) => size(b[1]) - size(a[1])).slice(0, MOST_FACTORS).map(([factor]) => factor)
  if (!factors.length) return null
  const moves = new Map(factors.map((factor) => [factor, 0]))
  const result = h('div', { class: 'result', 'aria-live': 'polite' }, idle(document))
  const ask = newest(async () => {
    const shocks = [...moves].filter(([, move]) => move !== 0).map(([factor, move]) => `${factor}=${move > 0 ? '+' : ''}${move}%`)
    if (!shocks.length) {
      result.replaceChildren(idle(document))
      return
    }
    try {
      result.replaceChildren(outcome(await api.whatIf(name, shocks, signal)))
    } catch (problem) {
      if (problem.name !== 'AbortError') result.replaceChildren(h('p', { class: 'bad-text', role: 'alert' }, problem.message))
    }
  })
  const rows = factors.map((factor) => slider(factor, (move) => {
    moves.set(factor, move)
    ask()
  }))
  const all = slider('All together', (move) => {
    for (const row of rows) row.put(move)
    for (const factor of factors) moves.set(factor, move)
    ask()
  })
  const reset = () => {
    for (const row of [all, ...rows]) row.put(0)
    for (const factor of factors) moves.set(factor, 0)
    ask()
  }
  const section = card(
    'shocks',
    'What if prices move',
    h('div', { class: 'sliders' }, factors.length > 1 && all.node, rows.map((row) => row.node)),
    h('button', { type: 'button', class: 'quiet', onclick: reset }, 'Back to today'),
    result,
  )
  section.dataset.owner = name
  return section
}

function slider(factor, moved) {
  const id = `shock-${factor.replace(/[^A-Za-z0-9]/g, '-')}`
  const shown = h('output', { for: id }, '0 %')
  const input = h('input', { id, type: 'range', min: -90, max: 100, step: STEP, value: 0, 'aria-valuetext': 'unchanged' })
  const put = (move) => {
    input.value = String(move)
    shown.textContent = `${move > 0 ? '+' : ''}${String(move).replace('-', '−')} %`
    input.setAttribute('aria-valuetext', move === 0 ? 'unchanged' : `${move} percent`)
  }
  input.addEventListener('input', () => {
    put(Number(input.value))
    moved(Number(input.value))
  })
  return { node: h('div', { class: 'slider' }, h('label', { for: id }, format.named(factor)), input, shown), put }
}

/** Runs `work` once at a time; what was asked meanwhile is asked once, afterwards, with the newest values. */
function newest(work) {
  let running = false
  let wanted = false
  return async function run() {
    if (running) {
      wanted = true
      return
    }
    running = true
    try {
      do {
        wanted = false
        await work()
      } while (wanted)
    } finally {
      running = false
    }
  }
}

function idle(document) {
  return figures(document.health, document.health, 0, [])
}

function outcome(whatIf) {
  const fallen = whatIf.margin_accounts.filter((one) => one.after.liquidatable)
  const ordered = [...fallen].sort((a, b) => (a.order ?? Infinity) - (b.order ?? Infinity))
  return figures(whatIf.before, whatIf.after, format.number(whatIf.after.expected_loss_usd) ?? 0, ordered)
}

function figures(before, after, loss, fallen) {
  const rows = [
    ['Score', (one) => (one.score === null ? 'unknown' : Number(one.score).toFixed(1))],
    ['Margin ratio', (one) => format.ratio(one.margin_ratio)],
    ['Equity', (one) => format.usd(one.equity_usd)],
    ['Requirement', (one) => format.usd(one.requirement_usd)],
  ]
  return h(
    'div',
    {},
    h(
      'dl',
      { class: 'figures' },
      rows.map(([name, of]) => {
        const [then, now] = [of(before), of(after)]
        return h('div', {}, h('dt', {}, name), h('dd', {}, now, then !== now && h('small', { class: 'soft' }, `was ${then}`)))
      }),
    ),
    fallen.length
      ? h(
          'div',
          { class: 'note warn' },
          h('strong', {}, `${fallen.length === 1 ? 'One account is' : `${fallen.length} accounts are`} liquidated`),
          loss > 0 ? `, which is expected to cost ${format.usd(String(loss))}` : '',
          ': ',
          fallen.map(format.place).join(', then '),
        )
      : h('p', { class: 'soft' }, 'No account is liquidated.'),
  )
}
