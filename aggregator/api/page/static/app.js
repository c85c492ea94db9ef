// The shell: addresses of pages, the search, colours, and what follows the stream.

import { redraw } from './charts.js'
import * as live from './live.js'
import { ownerPage } from './owner.js'
import * as recent from './recent.js'
import * as states from './states.js'
import { follow } from './stream.js'
import { systemicPage } from './systemic.js'
import { welcome } from './welcome.js'

const OFTEN_MILLISECONDS = 1_000
const view = document.getElementById('view')
const find = document.getElementById('find')
const theme = document.getElementById('theme')
let leave = () => {}
let shown = null

async function show() {
  leave()
  const stop = new AbortController()
  leave = () => stop.abort()
  shown = location.pathname
  const [, page, rest] = shown.split('/')
  const name = page === 'owner' && rest ? decoded(rest) : null
  for (const link of document.querySelectorAll('nav a')) {
    if (link.pathname === (page === 'systemic' ? '/systemic' : '/')) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  document.title = name ? `${name} · Crossmargin` : page === 'systemic' ? 'Systemic · Crossmargin' : 'Crossmargin'
  find.elements.owner.value = name ?? ''
  live.connection('none')
  if (name)
    await followed(stop.signal, `?owner=${encodeURIComponent(name)}&kind=health,withdrawn`, await ownerPage(view, name, stop.signal))
  else if (page === 'systemic') await followed(stop.signal, '?kind=systemic,alert', await systemicPage(view, stop.signal))
  else if (page === '') view.replaceChildren(welcome(recent.list()))
  else view.replaceChildren(states.empty('No such page', 'Look for an owner above, or go to the systemic page.', 'h1'))
}

function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Once the page stands, tells it what the stream says: at most once a second, the newest of each kind of event. */
async function followed(signal, query, heard) {
  if (signal.aborted || !heard) return
  document.getElementById(location.hash.slice(1))?.scrollIntoView()
  const waiting = new Map()
  let timer = 0
  follow(query, {
    signal,
    heard: (event, data) => {
      waiting.set(event, data)
      timer ||= setTimeout(() => {
        timer = 0
        const news = new Map(waiting)
        waiting.clear()
        if (!signal.aborted) heard(news)
      }, OFTEN_MILLISECONDS)
    },
    state: (state) => !signal.aborted && live.connection(state),
  })
  signal.addEventListener('abort', () => clearTimeout(timer))
}

function go(path) {
  history.pushState(null, '', path)
  show()
  view.focus({ preventScroll: true })
  scrollTo(0, 0)
}

find.addEventListener('submit', (event) => {
  event.preventDefault()
  const name = find.elements.owner.value.trim()
  if (name) go(`/owner/${encodeURIComponent(name)}`)
})

document.addEventListener('click', (event) => {
  const link = event.target.closest('a[data-link]')
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return
  event.preventDefault()
  go(link.pathname + link.search)
})

const THEMES = ['system', 'light', 'dark']

function colour(name) {
  if (name === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = name
  theme.setAttribute('aria-label', `Colours: ${name === 'system' ? 'as the system' : name}`)
  theme.title = theme.getAttribute('aria-label')
  theme.firstElementChild.textContent = { system: '◐', light: '○', dark: '●' }[name]
  redraw()
}

let chosen = recent.kept('theme', 'system')
colour(THEMES.includes(chosen) ? chosen : 'system')
theme.addEventListener('click', () => {
  chosen = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length]
  recent.keep('theme', chosen)
  colour(chosen)
})
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw)
// a link within the page, such as that to the content, is a step in the history too
addEventListener('popstate', () => location.pathname !== shown && show())
live.start()
show()
