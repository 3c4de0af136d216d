/**
 * `npm run bench -- verify`: one process that verifies itself: how long single answers wait before, meanwhile and after, and
 * memory. Options: --hits (500000, stored before, ten a request) --no-write.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { freePort, type Product, pageView, postHits, runMillrace, startProduct } from '@millrace/testing'
import { spawnLoad } from './load/index.ts'
import { memoryOf } from './measure-process.ts'
import { publish } from './publish.ts'
import { quantile } from './quantile.ts'
import { untilCounted } from './until-counted.ts'

// Leave no process behind.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const { values: args } = parseArgs({
  options: { hits: { type: 'string', default: '500000' }, 'no-write': { type: 'boolean', default: false } },
})
const PROBE = 'probe'
const SITES = ['a', 'b', 'c']
const QUIET_MS = 5_000
const PAUSE_MS = 10

/** One hit after the other, until it is over. Milliseconds to each answer, and the largest memory seen. */
async function probe(product: Product, until: Promise<unknown>): Promise<{ times: number[]; peakMb: number }> {
  let over = false
  void until.then(() => {
    over = true
  })
  const times: number[] = []
  let peakMb = 0
  while (!over) {
    const sentAt = performance.now()
    await postHits(product.url, pageView({ site: PROBE }))
    times.push(performance.now() - sentAt)
    peakMb = Math.max(peakMb, memoryOf(product.pid).nowMb)
    await sleep(PAUSE_MS)
  }
  return { times, peakMb }
}

const rows: string[] = []
async function measure(name: string, product: Product, until: Promise<unknown>): Promise<void> {
  const { times, peakMb } = await probe(product, until)
  const quantiles = [0.5, 0.95, 0.99, 1].map((q) => `${quantile(times, q).toFixed(0)} ms`)
  rows.push(`| ${[name, times.length, ...quantiles, `${Math.round(peakMb)} MB`].join(' | ')} |`)
}

const dataDir = mkdtempSync(join(tmpdir(), 'millrace-bench-verify-'))
const product = startProduct({
  dataDir,
  port: await freePort(),
  env: { MILLRACE_TRUSTED_PROXIES: '127.0.0.1/32' },
  sites: [PROBE, ...SITES],
})
await product.ready()
const load = spawnLoad({
  ...{ url: product.url, connections: 32, hitsPerRequest: [10], rate: 0, sites: SITES, visitors: 50_000 },
  ...{ maxHits: Number(args.hits), seconds: 3_600, seed: 1 },
})
const { answeredHits } = await load.done
await untilCounted(product.url, PROBE, 300_000)
await sleep(QUIET_MS)
await measure('before', product, sleep(QUIET_MS))
const startedAt = performance.now()
const verifying = runMillrace(['verify', '--quiet', '--url', product.url])
await measure('meanwhile', product, verifying)
const seconds = (performance.now() - startedAt) / 1_000
const { code, stdout } = await verifying
await measure('afterwards', product, sleep(QUIET_MS))
await product.stop()
rmSync(dataDir, { recursive: true })

const body = `${answeredHits.toLocaleString('en')} hits were verified in ${seconds.toFixed(0)} s, by a thread of the process that took them. One hit at a time is sent, ${PAUSE_MS} ms after the
answer to the one before.

| | hits | answer p50 | p95 | p99 | max | RSS at most |
| --- | --: | --: | --: | --: | --: | --: |
${rows.join('\n')}
`
publish({ bench: 'verify', title: 'Verify of a running instance', body, write: !args['no-write'] })
if (code !== 0) console.error(stdout)
process.exit(code === 0 ? 0 : 1)
