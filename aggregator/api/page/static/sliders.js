// Shocks that answer while they are dragged: one request under way, and always the newest next. The shock stands in the page's address.

import * as api from './api.js'
import { card, h } from './dom.js'
import * as format from './format.js'
import { outcome } from './outcome.js'
import { newest } from './newest.js'
import { named } from './words.js'

const MOST_FACTORS = 5
const [LOWEST, HIGHEST] = [-90, 100]
const KEPT_ANSWERS = 200

/** The card with a slider for each risk factor that the owner depends on most: `{section, refresh}`. */
export function sliders(name, document, signal) {
  const body = h('div', { class: 'body' })
  const section = card('shocks', 'What if prices move', {}, body)
  section.dataset.own = ''
  let bench = null
  const refresh = (fresh) => {
    const factors = factorsOf(fresh)
    if (bench && bench.factors.join() === factors.join()) {
      bench.refresh(fresh)
      return
    }
    bench = factors.length ? new Bench(name, factors, fresh, signal) : null
    body.replaceChildren(bench ? bench.node : h('p', { class: 'soft' }, 'Nothing here depends on a price that moves.'))
  }
  refresh(document)
  return { section, refresh }
}

function factorsOf(document) {
  const deltas = document.isolated_versus_cross?.delta_by_factor ?? {}
  const size = (pair) => Math.max(Math.abs(format.number(pair.isolated) ?? 0), Math.abs(format.number(pair.cross) ?? 0))
  return Object.entries(deltas)
    .filter(([, pair]) => size(pair) >= 1)
    .sort((a, b) => size(b[1]) - size(a[1]))
    .slice(0, MOST_FACTORS)
    .map(([factor]) => factor)
}

class Bench {
  constructor(name, factors, document, signal) {
    Object.assign(this, { name, factors, document, signal, answers: new Map() })
    this.moves = new Map(factors.map((factor) => [factor, 0]))
    this.result = h('div', { class: 'result', 'aria-live': 'polite' })
    this.ask = newest(() => this.answer(), signal)
    this.rows = new Map(factors.map((factor) => [factor, slider(factor, (move) => this.moved(factor, move))]))
    this.all = factors.length > 1 ? slider('All', (move) => this.movedAll(move)) : null
    this.node = h(
      'div',
      {},
      h(
        'div',
        { class: 'sliders' },
        this.all?.node,
        [...this.rows.values()].map((row) => row.node),
      ),
      h('button', { type: 'button', class: 'quiet', onclick: () => this.reset() }, 'Back to today'),
      this.result,
    )
    this.result.replaceChildren(outcome(this.document, null, []))
    for (const [factor, move] of linked(factors)) {
      this.rows.get(factor).put(move)
      this.moves.set(factor, move)
    }
    this.ask()
  }

  refresh(document) {
    this.document = document
    this.answers.clear()
    this.ask()
  }

  moved(factor, move) {
    this.moves.set(factor, move)
    this.ask()
  }

  movedAll(move) {
    for (const [factor, row] of this.rows) {
      row.put(move)
      this.moves.set(factor, move)
    }
    this.ask()
  }

  reset() {
    this.all?.put(0)
    this.movedAll(0)
  }

  async answer() {
    const moved = [...this.moves].filter(([, move]) => move !== 0)
    link(moved)
    const shocks = moved.map(([factor, move]) => `${factor}=${move > 0 ? '+' : ''}${move}%`)
    const key = shocks.join()
    if (!shocks.length) {
      this.result.replaceChildren(outcome(this.document, null, []))
      return
    }
    try {
      const answer = this.answers.get(key) ?? (await api.whatIf(this.name, shocks, this.signal))
      if (this.answers.size >= KEPT_ANSWERS) this.answers.clear()
      this.answers.set(key, answer)
      this.result.replaceChildren(outcome(this.document, answer, moved))
    } catch (problem) {
      if (problem.name === 'AbortError') return
      if (problem.status === 429 && problem.wait) return problem.wait
      this.result.replaceChildren(h('p', { class: 'bad-text', role: 'alert' }, problem.message))
    }
  }
}

function slider(factor, moved) {
  const id = `shock-${factor.replace(/[^A-Za-z0-9]/g, '-')}`
  const shown = h('output', { for: id, class: 'figure' })
  const input = h('input', { id, type: 'range', min: LOWEST, max: HIGHEST, step: 1, value: 0 })
  const put = (move) => {
    input.value = String(move)
    shown.textContent = format.move(move / 100, 0)
    input.setAttribute('aria-valuetext', move === 0 ? 'unchanged' : `${move > 0 ? 'up' : 'down'} ${Math.abs(move)} percent`)
    const [from, to] = [Math.min(move, 0), Math.max(move, 0)].map((at) => (100 * (at - LOWEST)) / (HIGHEST - LOWEST))
    input.style.setProperty('--from', `${from}%`)
    input.style.setProperty('--to', `${to}%`)
  }
  put(0)
  input.addEventListener('input', () => {
    put(Number(input.value))
    moved(Number(input.value))
  })
  return { node: h('div', { class: 'slider' }, h('label', { for: id }, named(factor)), input, shown), put }
}

/** Moves that the page's address names: `?shock=ETH:-40,BTC:-20`. */
function linked(factors) {
  const found = []
  for (const part of (new URLSearchParams(location.search).get('shock') ?? '').split(',')) {
    const [factor, text] = part.split(':')
    const move = Math.round(Number(text))
    if (factors.includes(factor) && move >= LOWEST && move <= HIGHEST) found.push([factor, move])
  }
  return found
}

function link(moved) {
  const search = moved.length ? `?shock=${moved.map(([factor, move]) => `${encodeURIComponent(factor)}:${move}`).join()}` : ''
  if (search !== location.search) history.replaceState(history.state, '', location.pathname + search + location.hash)
}
