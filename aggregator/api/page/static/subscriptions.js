// An owner's webhooks: those that are there, and a new one, whose secret is shown once.

import * as api from './api.js'
import { h } from './dom.js'
import { named } from './words.js'

const SEVERITIES = ['info', 'warning', 'critical']

/** The list of `known` subscriptions with a form for one more. */
export function subscriptionForm(owner, token, known) {
  let list = known.filter((one) => one.owner === owner)
  const rows = h('ul', { class: 'hooks' })
  const said = h('div', { role: 'status' })
  const url = h('input', {
    id: 'hook-url',
    type: 'url',
    maxlength: 2048,
    autocomplete: 'off',
    placeholder: 'https address that is told',
    required: true,
  })
  const severity = h(
    'select',
    { id: 'hook-severity' },
    SEVERITIES.map((one) => h('option', { value: one, selected: one === 'warning' }, one)),
  )
  const tell = (...words) => said.replaceChildren(...words)
  const attempt = async (work) => {
    tell()
    try {
      await work()
    } catch (problem) {
      tell(h('p', { class: 'bad-text' }, problem.message))
    }
  }
  const show = () =>
    rows.replaceChildren(
      ...list.map((one) =>
        h(
          'li',
          { class: 'row' },
          h('span', {}, named(one.target, 80), h('small', { class: 'soft' }, ` from ${one.severity}`)),
          h(
            'button',
            {
              type: 'button',
              class: 'quiet',
              'aria-label': `Remove the webhook ${named(one.target, 80)}`,
              onclick: () =>
                attempt(async () => {
                  await api.unsubscribe(one.id, token)
                  list = list.filter((other) => other !== one)
                  show()
                }),
            },
            'Remove',
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
        attempt(async () => {
          const made = await api.subscribe({ owner, channel: 'webhook', target: url.value.trim(), severity: severity.value }, token)
          list = [...list, made]
          url.value = ''
          show()
          tell(h('p', {}, 'Messages are signed with this secret. It is shown this once: ', h('code', { class: 'secret' }, made.secret)))
        })
      },
    },
    h('label', { class: 'unseen', for: 'hook-url' }, 'Address of the webhook'),
    url,
    h('label', { class: 'unseen', for: 'hook-severity' }, 'Least severity'),
    severity,
    h('button', { type: 'submit', class: 'quiet' }, 'Add'),
  )
  show()
  return h('div', {}, rows, form, said)
}
