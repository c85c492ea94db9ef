// An owner's page: which cards there are, how they come up, and how they are kept up to date.

import * as api from './api.js'
import { h } from './dom.js'
import { falls } from './falls.js'
import * as format from './format.js'
import { haircuts } from './haircuts.js'
import { historyCard } from './history.js'
import { holdings } from './holdings.js'
import { morph } from './morph.js'
import { newest } from './newest.js'
import { privateCard } from './private.js'
import { remember } from './recent.js'
import { remarks } from './remarks.js'
import { requirement } from './requirement.js'
import { sliders } from './sliders.js'
import * as states from './states.js'
import { summary } from './summary.js'
import { when } from './when.js'
import { chain, owing, short, symbolsOf } from './words.js'

const SKELETON = [
  {
    kind: 'band',
    list: [
      ['summary', 'Unified health', 5],
      ['requirement', 'Requirement and equity', 5],
    ],
  },
  {
    kind: 'columns',
    list: [
      ['first', 'What falls first', 5],
      ['shocks', 'What if prices move', 7],
      ['holdings', 'Owned and owed', 8],
      ['haircuts', 'Haircuts', 8],
    ],
  },
]

/** Shows the owner in `view` until `signal` aborts; returns what hears the stream's events. */
export async function ownerPage(view, name, signal) {
  const title = h('div', { class: 'heading' }, h('h1', {}, name.startsWith('0x') ? short(name) : name))
  view.replaceChildren(title, ...states.skeleton('the owner', SKELETON))
  const page = new OwnerPage(view, name, signal)
  await page.read()
  return signal.aborted ? null : (news) => page.heard(news)
}

class OwnerPage {
  constructor(view, name, signal) {
    Object.assign(this, { view, name, signal, document: null, own: null, quiet: false })
    this.refresh = newest(() => this.read(), signal)
  }

  /** Reads the owner and shows what is new; a failure is told without taking away what is known. */
  async read() {
    try {
      const document = await api.health(this.name, this.signal)
      if (this.signal.aborted) return
      this.show(document)
    } catch (problem) {
      if (this.signal.aborted || problem.name === 'AbortError') return
      if (this.document === null) this.view.replaceChildren(states.failed(problem, () => this.read(), 'h1'))
      else this.say(`Could not be refreshed: ${problem.message}`)
    }
  }

  async heard(news) {
    const orphaned = news.get('withdrawn')
    if (orphaned) this.say(`${chain(orphaned.chain)} replaced blocks: what stood on them was withdrawn and is read again.`)
    await this.refresh()
    this.own?.history.read()
    if (!orphaned) this.say('')
  }

  say(text) {
    const place = this.view.querySelector('#refresh-note')
    if (place) place.textContent = text
  }

  show(document) {
    if (this.document === null) remember(this.name)
    this.document = document
    const held = document.margin_accounts.length + document.positions.length + (document.venue_accounts ?? []).length
    const symbols = symbolsOf(document)
    const notes = [states.partial(document.coverage, symbols), states.stale(document.snapshots, symbols)]
    if (!held && document.coverage.complete) {
      this.own = null
      this.view.replaceChildren(
        h(
          'div',
          { class: 'page' },
          heading(document),
          notes.filter(Boolean),
          states.empty('Nothing here', 'This owner holds and owes nothing on the chains that were read.'),
        ),
      )
      return
    }
    const begins = this.own === null
    // whoever owes nothing has a short left column; where cards stand once, they stay
    if (begins) this.quiet = !owing(document)
    if (begins)
      this.own = {
        shocks: sliders(this.name, document, this.signal),
        history: historyCard(this.name, this.signal),
        private: privateCard(document, this.signal),
      }
    else this.own.shocks.refresh(document)
    const own = (id) => (begins ? this.own[id].section : h('section', { id, class: 'card', 'data-own': true }))
    const fresh = h(
      'div',
      { class: 'page' },
      heading(document),
      h('div', { class: 'notes' }, notes.filter(Boolean)),
      h('div', { class: 'band' }, summary(document), requirement(document)),
      h(
        'div',
        { class: 'columns' },
        h(
          'div',
          { class: 'column' },
          falls(document),
          holdings(document),
          own('history'),
          this.quiet && [own('private'), remarks(document, symbols)],
        ),
        h('div', { class: 'column' }, own('shocks'), haircuts(document), !this.quiet && [own('private'), remarks(document, symbols)]),
      ),
    )
    if (!begins) {
      morph(this.view.firstElementChild, fresh)
      return
    }
    this.view.replaceChildren(fresh)
    this.own.history.read()
  }
}

function heading(document) {
  const owners = document.owners.map((one) => one.split(':').pop())
  const times = document.snapshots
    .map((one) => one.timestamp)
    .filter(Boolean)
    .sort()
  return h(
    'div',
    { class: 'heading' },
    h(
      'div',
      { class: 'row' },
      h('h1', { title: owners.join(' ') }, owners.map(short).join(' + ')),
      h(
        'span',
        { class: 'tools', 'data-own': true },
        copier('Copy address', () => owners.join(' ')),
        copier('Copy link', () => location.href),
      ),
    ),
    h(
      'p',
      { class: 'soft' },
      times.length ? ['As of ', when(times[0])] : 'As of nothing',
      h(
        'span',
        { class: 'blocks' },
        document.snapshots.map((one) =>
          h(
            'span',
            { class: `chip ${one.status === 'ok' ? '' : 'warn'}`.trim() },
            `${chain(one.chain)} `,
            h('span', { class: 'figure' }, one.block === null ? 'not reached' : format.count(one.block)),
          ),
        ),
      ),
    ),
    h('p', { id: 'refresh-note', class: 'warn-text', role: 'status', 'data-own': true }),
  )
}

function copier(words, text) {
  const button = h(
    'button',
    {
      type: 'button',
      class: 'quiet',
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(text())
          button.textContent = 'Copied'
        } catch {
          button.textContent = 'Copying is not allowed here'
        }
        setTimeout(() => (button.textContent = words), 2000)
      },
    },
    words,
  )
  return button
}
