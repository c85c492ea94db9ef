// Coverage: how far each chain is, what is missing, and what is supported where.

import * as api from './api.js'
import { figures, h, table } from './dom.js'
import * as format from './format.js'
import * as states from './states.js'
import { chain, humane, named } from './words.js'

const FOLLOWS = { websocket: 'told of each block', polling: 'asked for blocks' }
const STATE = { ok: ['good', 'up to date'], stale: ['warn', 'silent'], unreachable: ['bad', 'not reached'] }

export function coverage(document, signal) {
  const chains = document.chains ?? []
  return [
    states.partial(document.coverage),
    figures(
      [
        ['Known', format.percent(document.share, 0), 'of chains and watched owners'],
        ['Watched owners', format.count(document.watched), `${format.count(document.complete_owners)} read completely`],
        ['Looked at for a while', format.count(document.guests)],
      ],
      'even',
    ),
    chains.length
      ? table(
          'Chains',
          [
            {
              title: 'Chain',
              cell: (one) => [chain(one.chain), h('small', { class: 'under' }, FOLLOWS[one.follows] ?? named(one.follows))],
            },
            {
              title: 'Block',
              number: true,
              cell: (one) => [
                format.count(one.block),
                h(
                  'small',
                  { class: 'under' },
                  one.timestamp ? h('time', { datetime: one.timestamp }, format.moment(one.timestamp)) : 'time not known',
                ),
              ],
            },
            { title: 'State', cell: (one) => state(one) },
          ],
          chains,
        )
      : h('p', { class: 'soft' }, 'No chain has been read yet.'),
    supported(signal),
  ]
}

function state(one) {
  const [kind, words] = STATE[one.status] ?? ['warn', named(one.status)]
  const told = one.silent_seconds === null ? '' : `heard of ${format.since(Number(one.silent_seconds))}`
  return [
    h('span', { class: `pill ${kind}` }, words),
    h(
      'small',
      { class: 'under' },
      one.detail ? humane(one.detail) : told,
      one.waiting ? `, ${one.waiting} ${one.waiting === 1 ? 'owner' : 'owners'} waiting` : '',
    ),
  ]
}

/** What is supported where; asked for when it is opened. */
function supported(signal) {
  const body = h('div', {}, states.loading('what is supported', 4))
  let asked = false
  return h(
    'details',
    {
      id: 'supported',
      ontoggle: async (event) => {
        if (!event.target.open || asked) return
        asked = true
        try {
          const { adapters, venues } = await api.adapters(signal)
          const rows = [
            ...adapters.map((one) => ({ ...one, where: Object.keys(one.deployments).map(chain).join(', ') })),
            ...venues.map((one) => ({ ...one, where: 'trading venue' })),
          ]
          body.replaceChildren(
            table(
              'What is supported',
              [
                { title: 'Protocol', cell: (one) => one.name },
                { title: 'Where', cell: (one) => one.where || 'every chain' },
                {
                  title: 'What',
                  cell: (one) =>
                    Object.entries(one.capabilities)
                      .map(([name, support]) => (support === 'exact' ? named(name) : `${named(name)} (${named(support)})`))
                      .join(', '),
                },
                { title: 'Quality', cell: (one) => one.tier },
              ],
              rows,
            ),
          )
        } catch (problem) {
          asked = false
          if (problem.name !== 'AbortError') body.replaceChildren(states.failed(problem, null))
        }
      },
    },
    h('summary', {}, 'What is supported where'),
    body,
  )
}
