// The same calls through viem's own batching: public clients that gather eth_calls into Multicall3.
// usage: node viem_multicall.mjs VIEM_DIRECTORY CALLS_JSON REPEATS  → one JSON line with seconds of each repeat and answers by chain
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const [directory, file, repeats] = process.argv.slice(2)
const { createPublicClient, http, defineChain } = await import(pathToFileURL(`${directory}/_esm/index.js`))
const work = JSON.parse(readFileSync(file, 'utf8'))

function client({ chain, url, multicall3 }) {
  return createPublicClient({
    chain: defineChain({
      id: chain,
      name: String(chain),
      nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
      rpcUrls: { default: { http: [url] } },
      contracts: { multicall3: { address: multicall3 } },
    }),
    batch: { multicall: { batchSize: 100_000, wait: 0 } },
    transport: http(url, { batch: false }),
  })
}

async function run() {
  const answers = {}
  await Promise.all(
    work.map(async (item) => {
      const reader = client(item)
      let known = 0
      for (const round of item.rounds) {
        const results = await Promise.allSettled(
          round.map(([to, data]) => reader.call({ to, data, blockNumber: BigInt(item.block) })),
        )
        known += results.filter((result) => result.status === 'fulfilled').length
      }
      answers[item.chain] = known
    }),
  )
  return answers
}

const seconds = []
let answers
for (let i = 0; i < Number(repeats); i++) {
  const start = performance.now()
  answers = await run()
  seconds.push((performance.now() - start) / 1000)
}
console.log(JSON.stringify({ seconds, answers }))
