// Signing in with a wallet in the browser (EIP-1193, EIP-4361). The session lives in this tab until it is closed or has expired.

import * as api from './api.js'
import { named } from './words.js'

const KEY = 'session'
const STATEMENT = 'Sign in to see your own alerts. This costs nothing and moves nothing.'
const REFUSED = 4001

/** What a wallet or this page has to say when signing in does not work. */
class WalletProblem extends Error {}

export const available = () => typeof window.ethereum?.request === 'function'

/** The session `{token, address, expires_at}`, or null. */
export function session() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY))
    return found && Date.parse(found.expires_at) > Date.now() ? found : null
  } catch {
    return null
  }
}

function keep(found) {
  try {
    if (found) sessionStorage.setItem(KEY, JSON.stringify(found))
    else sessionStorage.removeItem(KEY)
  } catch {
    // a browser that stores nothing: the session ends with the page
  }
}

export const signOut = () => keep(null)

/** Asks the wallet for an account and a signature; answers the session. Raises WalletProblem and api.Problem. */
export async function signIn() {
  const [account] = await asked('eth_requestAccounts')
  if (!account) throw new WalletProblem('The wallet shows no account.')
  const chain = Number.parseInt(await asked('eth_chainId'), 16)
  const { nonce, domain, address } = await api.nonce(account)
  if (domain.toLowerCase() !== location.host.toLowerCase()) throw new WalletProblem(`This service is called ${domain}; sign in there.`)
  const text = message(domain, address, chain, nonce, new Date())
  const signature = await asked('personal_sign', [hex(text), account])
  const found = await api.signIn(text, signature)
  keep(found)
  return found
}

async function asked(method, params) {
  try {
    return await window.ethereum.request({ method, params })
  } catch (error) {
    throw new WalletProblem(
      error?.code === REFUSED ? 'The wallet was told not to.' : `The wallet did not answer: ${named(error?.message ?? error, 160)}`,
    )
  }
}

function message(domain, address, chain, nonce, now) {
  return [
    `${domain} wants you to sign in with your Ethereum account:`,
    address,
    '',
    STATEMENT,
    '',
    `URI: ${location.origin}/`,
    'Version: 1',
    `Chain ID: ${chain}`,
    `Nonce: ${nonce}`,
    `Issued At: ${now.toISOString()}`,
  ].join('\n')
}

const hex = (text) => `0x${[...new TextEncoder().encode(text)].map((one) => one.toString(16).padStart(2, '0')).join('')}`
