// The service's API: one place for addresses, time limits and problems.

const TIMEOUT_MILLISECONDS = 30_000

/** What went wrong, in the service's own words (RFC 9457) where it had any. */
export class Problem extends Error {
  constructor(title, detail, status, wait = 0) {
    super(detail || title)
    this.title = title
    this.detail = detail
    this.status = status
    /** seconds after which the service wants to be asked again */
    this.wait = wait
  }
}

/** The problem that an answer other than 2xx tells of. */
export async function problemOf(response) {
  const body = await response.json().catch(() => null)
  return new Problem(
    body?.title ?? `Error ${response.status}`,
    body?.detail ?? '',
    response.status,
    Number(response.headers.get('retry-after')) || 0,
  )
}

async function answer(path, { token = null, body, ...options } = {}) {
  const limit = AbortSignal.timeout(TIMEOUT_MILLISECONDS)
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit
  const headers = { accept: 'application/json' }
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (token) headers.authorization = `Bearer ${token}`
  let response
  try {
    response = await fetch(path, { ...options, signal, headers, body: body === undefined ? undefined : JSON.stringify(body) })
  } catch (error) {
    if (options.signal?.aborted) throw error
    if (error.name === 'TimeoutError') throw new Problem('No answer in time', 'The service took longer than 30 seconds.', 0)
    throw new Problem('Not reachable', 'The service does not answer. It may be starting, or the connection is down.', 0)
  }
  if (!response.ok) throw await problemOf(response)
  return response.json()
}

const owner = (name) => `/v1/owners/${encodeURIComponent(name)}`

export const health = (name, signal) => answer(`${owner(name)}/health`, { signal })
export const history = (name, signal) => answer(`${owner(name)}/history?limit=1000`, { signal })
export const whatIf = (name, shocks, signal) => answer(`${owner(name)}/what-if`, { method: 'POST', body: { shocks }, signal })

export const curves = (signal) => answer('/v1/systemic/curves', { signal })
export const rank = (signal) => answer('/v1/systemic/rank', { signal })
export const alerts = (signal) => answer('/v1/systemic/alerts?limit=200', { signal })
export const graph = (signal) => answer('/v1/systemic/graph', { signal })
export const coverage = (signal) => answer('/v1/coverage', { signal })
export const adapters = (signal) => answer('/v1/adapters', { signal })

export const nonce = (address) => answer(`/v1/sign-in/nonce?address=${encodeURIComponent(address)}`, { method: 'POST' })
export const signIn = (message, signature) => answer('/v1/sign-in', { method: 'POST', body: { message, signature } })

export const ownAlerts = (name, token) => answer(`${owner(name)}/alerts?limit=100`, { token })
export const labels = (name, token) => answer(`${owner(name)}/labels`, { token })
export const setLabels = (name, list, token) => answer(`${owner(name)}/labels`, { method: 'PUT', body: { labels: list }, token })
export const subscriptions = (token) => answer('/v1/subscriptions', { token })
export const subscribe = (body, token) => answer('/v1/subscriptions', { method: 'POST', body, token })
export const unsubscribe = (id, token) => answer(`/v1/subscriptions/${encodeURIComponent(id)}`, { method: 'DELETE', token })
