/**
 * `npm run bench -- overload`: one process that gets twice what it can store, for ten minutes: how memory grows, whether senders are
 * slowed down or told 503, and that everything that was accepted is stored once. First it is measured what it can store.
 * With `--factor 0.9` it shows what is kept up: no refusals, and how long hits take into reports.
 * Options: --seconds (600) --hits (a request, 10) --factor (2) --connections (64) --backlog-mb (2048) --no-write.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { freePort, type Product, startProduct } from '@millrace/testing'
import { keptBySite } from './kept-hits.ts'
import { type LoadOptions, type LoadProcess, type LoadReport, spawnLoad } from './load/index.ts'
import { loadBareServer } from './load-bare-server.ts'
import { memoryOf } from './measure-process.ts'
import { publish } from './publish.ts'
import { completeUntil, untilCounted } from './until-counted.ts'

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    hits: { type: 'string', default: '10' },
    factor: { type: 'string', default: '2' },
    connections: { type: 'string', default: '64' },
    'backlog-mb': { type: 'string', default: '2048' },
    'no-write': { type: 'boolean', default: false },
  },
})
const SITES = ['a', 'b', 'c']
const CAPACITY_SECONDS = 20
const ROWS = 10

/** A moment of the run. Rates are hits a second since the moment before. */
interface Moment {
  readonly second: number
  readonly accepted: number
  readonly refused: number
  readonly behindMs: number
  readonly rssMb: number
}

const load: Partial<LoadOptions> = {
  ...{ connections: Number(args.connections), hitsPerRequest: [Number(args.hits)], sites: SITES, visitors: 50_000 },
  // Who is refused does not come again: what was accepted is what is compared.
  resend: false,
}

const complete = (product: Product): Promise<void> => untilCounted(product.url, SITES[0]!, 900_000)

/** Hits a second from the first request until all that was accepted is in reports. */
async function storedPerSecond(product: Product): Promise<{ rate: number; report: LoadReport }> {
  const startedAt = performance.now()
  const report = await spawnLoad({ ...load, url: product.url, seconds: CAPACITY_SECONDS, seed: 1 }).done
  await complete(product)
  return { rate: report.answeredHits / ((performance.now() - startedAt) / 1_000), report }
}

async function follow(product: Product, running: LoadProcess, seconds: number): Promise<Moment[]> {
  const moments: Moment[] = []
  let [accepted, refused, at] = [0, 0, 0]
  for (let i = 1; i <= ROWS; i++) {
    await sleep(Math.max(0, (i * seconds * 1_000) / ROWS - at * 1_000))
    const last = running.reports.at(-1)
    if (last === undefined) continue
    const [took, sent] = [last.seconds - at, last.answeredHits - accepted]
    const turnedAway = last.refusedHits - refused
    ;[accepted, refused, at] = [last.answeredHits, last.refusedHits, last.seconds]
    const behindMs = Math.max(0, Date.now() - (await completeUntil(product.url, SITES[0]!)))
    const rssMb = memoryOf(product.pid).nowMb
    moments.push({ second: at, accepted: sent / took, refused: turnedAway / took, behindMs, rssMb })
    console.error(`${Math.round(at)} s: ${count(sent / took)} accepted/s, ${Math.round(rssMb)} MB`)
  }
  return moments
}

const count = (value: number): string => Math.round(value).toLocaleString('en')

function tableOf(moments: readonly Moment[]): string {
  const rows = moments.map(
    ({ second, accepted, refused, behindMs, rssMb }) =>
      `| ${count(second)} | ${count(accepted)} | ${count(refused)} | ${(behindMs / 1_000).toFixed(1)} | ${count(rssMb)} |`,
  )
  return [
    '| second | accepted hits/s | refused hits/s | reports behind, s | RSS MB |',
    '| --: | --: | --: | --: | --: |',
    ...rows,
  ].join('\n')
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-overload-bench-'))
const dataDir = join(folder, 'data')
const env = { MILLRACE_TRUSTED_PROXIES: '127.0.0.1/32', MILLRACE_BACKLOG_MAX_MB: args['backlog-mb'] }
const product = startProduct({ dataDir, port: await freePort(), env, sites: SITES })
await product.ready()
const bare = await loadBareServer(Number(args.connections))
console.error('measuring what it can store')
const capacity = await storedPerSecond(product)
const rate = Math.round(capacity.rate * Number(args.factor))
console.error(`it stores ${count(capacity.rate)} hits/s, and gets ${count(rate)} now`)
const seconds = Number(args.seconds)
const running = spawnLoad({ ...load, url: product.url, rate, seconds, seed: 2 })
const moments = await follow(product, running, seconds)
const report = await running.done
const drainedFrom = performance.now()
await complete(product)
const drainSeconds = (performance.now() - drainedFrom) / 1_000
const { peakMb } = memoryOf(product.pid)
await product.stop()
const stored = [...(await keptBySite({ dataDir })).values()].reduce((sum, hits) => sum + hits, 0)
rmSync(folder, { recursive: true, force: true })

const accepted = capacity.report.answeredHits + report.answeredHits
const body = `It stores ${count(capacity.rate)} hits/s (${CAPACITY_SECONDS} s as fast as answers come, until all are in reports); a bare node:http server under the same load answers ${count(bare.answeredHits / bare.seconds)} requests/s.
Sent then: ${count(rate)} hits/s for ${count(seconds)} s from 50,000 visitors, whoever is refused does not come again.

${tableOf(moments)}

Answers: ${Object.entries(report.statuses)
  .map(([status, requests]) => `${count(requests)} × ${status}`)
  .join(
    ', ',
  )}; p50 ${(report.p50Us / 1_000).toFixed(1)} ms, p99 ${(report.p99Us / 1_000).toFixed(1)} ms, longest ${(report.maxUs / 1_000).toFixed(0)} ms; ${count(report.skippedHits)} hits not sent, because no connection was free.
Peak memory ${count(peakMb)} MB. All in reports ${drainSeconds.toFixed(0)} s after the last. Accepted ${count(accepted)}, stored ${count(stored)}.
`
publish({
  ...{ bench: 'overload', variant: `${args.factor}x${args.hits}`, write: !args['no-write'], body },
  title: `${args.factor} times what it can store, ${args.hits} hits a request`,
})
if (accepted !== stored) console.error('accepted and stored differ')
process.exit(accepted === stored ? 0 : 1)
