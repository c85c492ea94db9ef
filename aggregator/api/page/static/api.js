// The service's API: one place for addresses, time limits, problems and the stream.

const TIMEOUT_MILLISECONDS = 30_000

/** What went wrong, in the service's own words (RFC 9457) where it had any. */
export class Problem extends Error {
  constructor(title, detail, status) {
    super(detail || title)
    this.title = title
    this.detail = detail
    this.status = status
  }
}

async function answer(path, options = {}) {
  const limit = AbortSignal.timeout(TIMEOUT_MILLISECONDS)
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit
  let response
  try {
    response = await fetch(path, { ...options, signal, headers: { accept: 'application/json', ...options.headers } })
  } catch (error) {
    if (options.signal?.aborted) throw error
    if (error.name === 'TimeoutError') throw new Problem('No answer in time', 'The service took longer than 30 seconds.', 0)
    throw new Problem('Not reachable', 'The service does not answer. It may be starting, or the connection is down.', 0)
  }
  const body = await response.json().catch(() => null)
  if (!response.ok) throw new Problem(body?.title ?? `Error ${response.status}`, body?.detail ?? '', response.status)
  return body
}

const owner = (name) => `/v1/owners/${encodeURIComponent(name)}`

export const health = (name, signal) => answer(`${owner(name)}/health`, { signal })
export const history = (name, signal) => answer(`${owner(name)}/history?limit=500`, { signal })
export const margin = (name, signal) => answer(`${owner(name)}/margin`, { signal })
export const curves = (asset, signal) => answer(`/v1/systemic/curves${asset ? `?asset=${encodeURIComponent(asset)}` : ''}`, { signal })
export const rank = (signal) => answer('/v1/systemic/rank', { signal })
export const alerts = (signal) => answer('/v1/systemic/alerts?limit=200', { signal })
export const graph = (signal) => answer('/v1/systemic/graph', { signal })
export const coverage = (signal) => answer('/v1/coverage', { signal })

export function whatIf(name, shocks, signal) {
  const body = JSON.stringify({ shocks })
  return answer(`${owner(name)}/what-if`, { method: 'POST', body, headers: { 'content-type': 'application/json' }, signal })
}

/**
 * Events of the service, until `close()`. The browser connects again by itself with the last event's id.
 * `state` is told 'live', 'waiting' or 'off'; `heard` gets (type, data).
 */
export function follow(query, types, heard, state) {
  const source = new EventSource(`/v1/stream${query}`)
  source.onopen = () => state('live')
  source.onerror = () => state(source.readyState === EventSource.CLOSED ? 'off' : 'waiting')
  for (const type of types) {
    source.addEventListener(type, (event) => {
      let data = null
      try {
        data = JSON.parse(event.data)
      } catch {
        return
      }
      heard(type, data)
    })
  }
  return source
}
