// What is for the owner alone: alerts as they come, labels, and webhooks. The wallet in the browser proves who asks.

import * as api from './api.js'
import { timeline } from './alerts.js'
import { card, h } from './dom.js'
import * as states from './states.js'
import { follow } from './stream.js'
import { subscriptionForm } from './subscriptions.js'
import * as wallet from './wallet.js'
import { named, short } from './words.js'

const NOTHING = 'No alert has been raised about this owner. They appear here by themselves.'

/** `{section}` of the owner of a health document. */
export function privateCard(document, signal) {
  const body = h('div', { class: 'body' })
  const section = card('private', 'Your alerts', {}, body)
  section.dataset.own = ''
  const owners = document.owners.map((one) => one.split(':').pop().toLowerCase())
  new Private(body, owners, signal).show()
  return { section }
}

class Private {
  constructor(body, owners, signal) {
    Object.assign(this, { body, owners, signal, listening: null })
  }

  /** The session is over. */
  leave() {
    wallet.signOut()
    this.show()
  }

  show() {
    this.listening?.abort()
    const session = wallet.session()
    if (session && this.owners.includes(session.address.toLowerCase())) this.inside(session)
    else if (session) this.stranger(session)
    else if (wallet.available())
      this.body.replaceChildren(...this.door('Alerts about this owner are private. Sign in with its wallet to see them as they come.'))
    else
      this.body.replaceChildren(
        h('p', { class: 'soft' }, 'Alerts about this owner are private: they are shown to its own wallet, and this browser has none.'),
      )
  }

  door(words) {
    const said = h('p', { class: 'bad-text', role: 'alert' })
    const button = h(
      'button',
      {
        type: 'button',
        onclick: async () => {
          button.disabled = true
          said.textContent = ''
          try {
            await wallet.signIn()
            this.show()
          } catch (problem) {
            said.textContent = problem.message
          }
          button.disabled = false
        },
      },
      'Sign in with the wallet',
    )
    return [h('p', { class: 'soft' }, words), button, said]
  }

  stranger(session) {
    this.body.replaceChildren(
      ...this.door(
        `You are signed in as ${short(session.address)}, who sees only its own alerts. For this owner, choose its account in the wallet.`,
      ),
    )
  }

  async inside(session) {
    const owner = session.address.toLowerCase()
    const [alerts, labels, hooks] = [h('div', { class: 'body' }, states.loading('your alerts', 3)), h('div', {}), h('div', {})]
    this.body.replaceChildren(
      h(
        'p',
        { class: 'soft row' },
        `Signed in as ${short(session.address)}`,
        h('button', { type: 'button', class: 'quiet', onclick: () => this.leave() }, 'Sign out'),
      ),
      alerts,
      h('h3', {}, 'Your labels'),
      labels,
      h('h3', {}, 'Webhooks'),
      hooks,
    )
    const fails = (place) => (problem) => {
      if (problem.status === 401) this.leave()
      else place.replaceChildren(states.failed(problem, () => this.show()))
    }
    const readAlerts = () =>
      api.ownAlerts(owner, session.token).then((found) => alerts.replaceChildren(...timeline(found.alerts, NOTHING)), fails(alerts))
    readAlerts()
    api.labels(owner, session.token).then((found) => labels.replaceChildren(labelForm(owner, session.token, found.labels)), fails(labels))
    api
      .subscriptions(session.token)
      .then((found) => hooks.replaceChildren(subscriptionForm(owner, session.token, found.subscriptions)), fails(hooks))
    this.listening = new AbortController()
    follow(`?owner=${owner}&kind=alert`, {
      token: session.token,
      signal: AbortSignal.any([this.signal, this.listening.signal]),
      heard: readAlerts,
      state: (state) => state === 'off' && this.leave(),
    })
  }
}

function labelForm(owner, token, known) {
  let labels = [...known]
  const list = h('ul', { class: 'labels' })
  const said = h('p', { class: 'bad-text', role: 'alert' })
  const input = h('input', { id: 'new-label', type: 'text', maxlength: 64, autocomplete: 'off', placeholder: 'Add a label' })
  const change = async (next) => {
    said.textContent = ''
    try {
      labels = (await api.setLabels(owner, next, token)).labels
      show()
    } catch (problem) {
      said.textContent = problem.message
    }
  }
  const show = () =>
    list.replaceChildren(
      ...labels.map((one) =>
        h(
          'li',
          { class: 'chip' },
          named(one, 64),
          h(
            'button',
            {
              type: 'button',
              class: 'cross',
              'aria-label': `Remove the label ${named(one, 64)}`,
              onclick: () => change(labels.filter((other) => other !== one)),
            },
            '×',
          ),
        ),
      ),
    )
  const form = h(
    'form',
    {
      class: 'line',
      onsubmit: (event) => {
        event.preventDefault()
        const text = input.value.trim()
        if (!text || labels.includes(text)) return
        input.value = ''
        change([...labels, text])
      },
    },
    h('label', { class: 'unseen', for: 'new-label' }, 'Add a label'),
    input,
    h('button', { type: 'submit', class: 'quiet' }, 'Add'),
  )
  show()
  return h('div', {}, list, form, said)
}
