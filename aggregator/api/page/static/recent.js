// What this browser remembers: the colours and the owners that were looked at. It stays here and is not told to the service.

const MOST = 5
const KEY = 'owners'

/** A text that was kept, or `otherwise` in a browser that stores nothing. */
export function kept(name, otherwise) {
  try {
    return localStorage.getItem(name) ?? otherwise
  } catch {
    return otherwise
  }
}

export function keep(name, text) {
  try {
    localStorage.setItem(name, text)
  } catch {
    // a browser that stores nothing
  }
}

/** Owners, the last one first, as they were asked for. */
export function list() {
  try {
    const found = JSON.parse(kept(KEY, '[]'))
    return Array.isArray(found) ? found.filter((one) => typeof one === 'string').slice(0, MOST) : []
  } catch {
    return []
  }
}

export function remember(name) {
  keep(KEY, JSON.stringify([name, ...list().filter((one) => one.toLowerCase() !== name.toLowerCase())].slice(0, MOST)))
}

export function forget() {
  keep(KEY, '[]')
}
