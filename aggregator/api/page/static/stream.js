// The service's events as they come, over fetch, because an EventSource cannot say who asks. Comes back by itself from where it was.

import { problemOf } from './api.js'

const SILENCE_MILLISECONDS = 45_000
const FIRST_WAIT_MILLISECONDS = 1_000
const LONGEST_WAIT_MILLISECONDS = 30_000
const FINAL = [400, 401, 403, 404]

/**
 * Follows `/v1/stream` with `query` until `signal` aborts. `heard` gets (event, data), also `reset` when events were lost; `state` is told
 * 'live', 'waiting' or 'off'. `token`: a session, for private alerts.
 */
export async function follow(query, { token = null, signal, heard, state }) {
  let last = null
  let wait = FIRST_WAIT_MILLISECONDS
  while (!signal.aborted) {
    try {
      await listen(query, token, last, signal, (id, event, data) => {
        wait = FIRST_WAIT_MILLISECONDS
        if (id) last = id
        if (event === null) state('live')
        else heard(event, data)
      })
    } catch (problem) {
      if (FINAL.includes(problem.status)) {
        state('off')
        return
      }
    }
    if (signal.aborted) return
    state('waiting')
    await pause(wait, signal)
    wait = Math.min(2 * wait, LONGEST_WAIT_MILLISECONDS)
  }
}

async function listen(query, token, last, signal, take) {
  const silence = new AbortController()
  const headers = { accept: 'text/event-stream' }
  if (token) headers.authorization = `Bearer ${token}`
  if (last) headers['last-event-id'] = last
  const response = await fetch(`/v1/stream${query}`, { headers, cache: 'no-store', signal: AbortSignal.any([signal, silence.signal]) })
  if (!response.ok) throw await problemOf(response)
  take(null, null, null)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  let timer = setTimeout(() => silence.abort(), SILENCE_MILLISECONDS)
  try {
    while (true) {
      const { done, value } = await reader.read()
      if (done) return
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), SILENCE_MILLISECONDS)
      const blocks = (rest + value).replace(/\r\n?/g, '\n').split('\n\n')
      rest = blocks.pop()
      for (const block of blocks) told(block, take)
    }
  } finally {
    clearTimeout(timer)
  }
}

/** One event of the stream: fields by line; comments and fields that nobody knows are passed over. */
function told(block, take) {
  const fields = { id: null, event: 'message', data: [] }
  for (const line of block.split('\n')) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line)
    if (name === 'data') fields.data.push(value)
    else if (name === 'id' || name === 'event') fields[name] = value
  }
  if (!fields.data.length) return
  let data
  try {
    data = JSON.parse(fields.data.join('\n'))
  } catch {
    return
  }
  take(fields.id, fields.event, data)
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal.addEventListener('abort', done)
  })
}
