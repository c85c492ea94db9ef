// The shell: addresses of pages, the search, colours, and the live connection.

import * as api from './api.js'
import { redraw } from './charts.js'
import { h } from './dom.js'
import { ownerPage } from './owner.js'
import * as states from './states.js'
import { systemicPage } from './systemic.js'

const view = document.getElementById('view')
const live = document.getElementById('live')
const find = document.getElementById('find')
const theme = document.getElementById('theme')
let leave = () => {}

async function show() {
  leave()
  const stop = new AbortController()
  leave = () => stop.abort()
  const [, page, rest] = location.pathname.split('/')
  const name = page === 'owner' && rest ? decodeURIComponent(rest) : null
  for (const link of document.querySelectorAll('nav a')) {
    if (link.pathname === (page === 'systemic' ? '/systemic' : '/')) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  document.title = name ? `${name} · Crossmargin` : page === 'systemic' ? 'Systemic · Crossmargin' : 'Crossmargin'
  find.elements.owner.value = name ?? ''
  live.textContent = 'Not connected'
  if (name) await followed(stop.signal, `?owner=${encodeURIComponent(name)}`, ['health', 'alert', 'withdrawn'], ownerPage(view, name, stop.signal))
  else if (page === 'systemic') await followed(stop.signal, '', ['systemic', 'alert'], systemicPage(view, stop.signal))
  else if (page === '') view.replaceChildren(welcome())
  else view.replaceChildren(states.empty('No such page', 'Look for an owner above, or go to the systemic page.', 'h1'))
}

/** Once the page stands, refresh it whenever the stream says that something changed: at most once a second. */
async function followed(signal, query, types, page) {
  const refresh = await page
  if (signal.aborted) return
  let timer = 0
  const words = { live: 'Live: changes appear by themselves', waiting: 'Connecting again…', off: 'Not live: reload to see changes' }
  const heard = () => {
    if (timer) return
    timer = setTimeout(() => {
      timer = 0
      if (!signal.aborted) refresh()
    }, 1000)
  }
  const source = api.follow(query, types, heard, (state) => {
    live.textContent = words[state]
    live.dataset.state = state
  })
  signal.addEventListener('abort', () => {
    clearTimeout(timer)
    source.close()
  })
}

function welcome() {
  return h(
    'div',
    { class: 'welcome' },
    h('h1', {}, 'One portfolio, one margin health'),
    h('p', {}, 'Everything an owner has lent, borrowed, pooled, wrapped and traded, on every chain, read at one moment: how much a fall would take, which account falls first, and what helps.'),
    h('p', { class: 'soft' }, 'Put an address or a name into the field above. The address of the page is the link to share.'),
  )
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
  go(link.pathname)
})

const THEMES = ['system', 'light', 'dark']

function colour(name) {
  if (name === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = name
  theme.setAttribute('aria-label', `Colours: ${name === 'system' ? 'as the system' : name}`)
  theme.title = theme.getAttribute('aria-label')
  redraw()
}

let chosen = 'system'
try {
  chosen = localStorage.getItem('theme') ?? 'system'
} catch {
  // a browser that stores nothing
}
colour(THEMES.includes(chosen) ? chosen : 'system')
theme.addEventListener('click', () => {
  chosen = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length]
  try {
    localStorage.setItem('theme', chosen)
  } catch {
    // as above
  }
  colour(chosen)
})
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw)
addEventListener('popstate', show)
show()
