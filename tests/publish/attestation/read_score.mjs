// What a stranger's page would do: viem's ordinary readContract.
// usage: node read_score.mjs VIEM_DIRECTORY URL CHAIN ABI_JSON ADDRESS FUNCTION ARGUMENTS_JSON → one JSON line
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const [directory, url, chain, abi, address, functionName, args] = process.argv.slice(2)
const { createPublicClient, http, defineChain } = await import(pathToFileURL(`${directory}/_esm/index.js`))
const client = createPublicClient({
  chain: defineChain({
    id: Number(chain),
    name: chain,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  }),
  transport: http(url, { retryCount: 0 }),
})
const plain = (key, value) => (typeof value === 'bigint' ? value.toString() : value)
try {
  const result = await client.readContract({ address, abi: JSON.parse(readFileSync(abi, 'utf8')), functionName, args: JSON.parse(args) })
  console.log(JSON.stringify({ result }, plain))
} catch (error) {
  const cause = error.walk?.((one) => one.data?.errorName) ?? error
  console.log(JSON.stringify({ error: cause.data?.errorName ?? error.shortMessage ?? String(error) }, plain))
}
