// The connection's state in the bar: whether changes come by themselves, how far each chain is, and when it was last heard of.

import * as api from './api.js'
import { table } from './dom.js'
import * as format from './format.js'
import * as ages from './when.js'
import { chain } from './words.js'

const ASK_MILLISECONDS = 10_000
const WORDS = { live: 'Live', waiting: 'Connecting again', off: 'Not live', none: 'Not following' }

const box = document.getElementById('live')
const word = document.getElementById('live-state')
const age = document.getElementById('live-age')
const list = document.getElementById('live-chains')
let heard = null

/** 'live', 'waiting', 'off', or 'none' on pages that follow nothing. */
export function connection(state) {
  if (word.textContent !== WORDS[state]) word.textContent = WORDS[state]
  box.dataset.state = state
}

function tick() {
  ages.tick()
  age.textContent = heard === null ? '' : `block ${format.since((Date.now() - heard) / 1000)}`
}

async function ask() {
  if (document.hidden) return
  try {
    const { chains, now } = await api.coverage()
    ages.clock(now)
    const silences = chains.map((one) => format.number(one.silent_seconds)).filter((one) => one !== null)
    heard = silences.length ? Date.now() - 1000 * Math.min(...silences) : null
    list.replaceChildren(
      table(
        'Chains as they are followed',
        [
          { title: 'Chain', cell: (one) => chain(one.chain) },
          { title: 'Block', number: true, cell: (one) => format.count(one.block) },
          {
            title: 'Heard of',
            number: true,
            cell: (one) => (one.silent_seconds === null ? format.UNKNOWN : format.since(Number(one.silent_seconds))),
          },
        ],
        chains,
      ),
    )
  } catch {
    heard = null
  }
  tick()
}

/** Begin; once. */
export function start() {
  ask()
  setInterval(ask, ASK_MILLISECONDS)
  setInterval(tick, 1000)
  document.addEventListener('visibilitychange', ask)
  document.addEventListener('click', (event) => {
    if (box.open && !box.contains(event.target)) box.open = false
  })
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !box.open) return
    box.open = false
    box.querySelector('summary').focus()
  })
}
