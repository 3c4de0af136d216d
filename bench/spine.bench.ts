/**
 * `npm run bench -- spine`: one process, hits over HTTP until they are in reports; 1, 10 and 100 hits a request, as fast as
 * answers come, then a steady 1,000 hits/s. Each step is measured alone, then goes on while single hits are followed into
 * the report, because asking for reports costs too. Options: --seconds (of each step, 30) --warmup (3) --hits 1,10,100 --connections --no-write.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { freePort, type Product, pageView, postHits, query, startProduct } from '@millrace/testing'
import { keptBySite } from './kept-hits.ts'
import { type LoadReport, spawnLoad } from './load/index.ts'
import { loadBareServer } from './load-bare-server.ts'
import { cpuBetween, cpuByThread, cpuOfProcess, memoryOf } from './measure-process.ts'
import { publish } from './publish.ts'
import { quantile } from './quantile.ts'
import { untilCounted } from './until-counted.ts'

// Leave no process behind.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    warmup: { type: 'string', default: '3' },
    hits: { type: 'string', default: '1,10,100' },
    connections: { type: 'string', default: '64' },
    'no-write': { type: 'boolean', default: false },
  },
})

interface Step {
  readonly name: string
  readonly hitsPerRequest: number
  /** 0 = as fast as answers come. */
  readonly rate: number
  readonly sites: readonly string[]
}

interface Measured {
  readonly step: Step
  readonly load: LoadReport
  /** Accepted by the warm-up, the step and what goes on behind it: what has to be stored. */
  readonly accepted: number
  readonly acceptedPerSecond: number
  /** Hits of the step over the time from its start until all of them were in reports. */
  readonly storedPerSecond: number
  readonly cpuUsPerHit: number
  readonly threads: readonly string[]
  readonly memory: { nowMb: number; peakMb: number }
  /** Milliseconds from sending a single hit to its being in a report. */
  readonly toReportMs: readonly number[]
}

const PROBE = 'probe'
const PROBE_SECONDS = 12
const PROBE_PAUSE_MS = 50

async function measure(product: Product, step: Step): Promise<Measured> {
  const options = {
    ...{ url: product.url, connections: Number(args.connections), hitsPerRequest: [step.hitsPerRequest] },
    ...{ rate: step.rate, sites: step.sites, maxHits: 50_000_000, visitors: 50_000 },
  }
  const warm = await spawnLoad({ ...options, seconds: Number(args.warmup), seed: 100 + step.hitsPerRequest }).done
  await complete(product)
  const startedAt = performance.now()
  const [threadsBefore, cpuBefore] = [cpuByThread(product.pid), cpuOfProcess(product.pid)]
  const report = await spawnLoad({ ...options, seconds: Number(args.seconds), seed: step.hitsPerRequest + step.rate })
    .done
  await complete(product)
  const storedSeconds = (performance.now() - startedAt) / 1_000
  const [threadsAfter, cpuAfter, memory] = [cpuByThread(product.pid), cpuOfProcess(product.pid), memoryOf(product.pid)]
  const hits = report.answeredHits
  const rest = spawnLoad({ ...options, seconds: PROBE_SECONDS, seed: 200 + step.hitsPerRequest + step.rate })
  const toReportMs = await probe(product, rest.done)
  await complete(product)
  return {
    step,
    load: report,
    accepted: warm.answeredHits + hits + (await rest.done).answeredHits,
    acceptedPerSecond: hits / Math.min(report.seconds, Number(args.seconds)),
    storedPerSecond: hits / storedSeconds,
    cpuUsPerHit: (cpuAfter - cpuBefore) / hits,
    threads: cpuBetween(threadsBefore, threadsAfter)
      .filter(([, us]) => us / hits >= 0.1)
      .map(([name, us]) => `${name} ${(us / hits).toFixed(1)}`),
    memory,
    toReportMs,
  }
}

/** Sends a hit now and then and asks until it is in the report, until the load is over. */
async function probe(product: Product, until: Promise<unknown>): Promise<number[]> {
  let over = false
  void until.then(() => {
    over = true
  })
  const counted = async (): Promise<number> =>
    (await query(product.url, { site: PROBE, period: '24h', metrics: ['page_views'] })).totals.page_views ?? 0
  const times: number[] = []
  await sleep(1_000)
  while (!over) {
    const before = await counted()
    const sentAt = performance.now()
    await postHits(product.url, pageView({ site: PROBE }))
    while ((await counted()) === before) await sleep(PROBE_PAUSE_MS)
    times.push(performance.now() - sentAt)
    await sleep(500)
  }
  return times
}

const complete = (product: Product): Promise<void> => untilCounted(product.url, PROBE, 300_000)

const count = (value: number): string => Math.round(value).toLocaleString('en')
const ms = (value: number, digits = 0): string => `${value.toFixed(digits)} ms`

function tableOf(measured: readonly Measured[], kept: ReadonlyMap<string, number>, bare: number): string {
  const head = [
    'step',
    'accepted hits/s',
    'requests/s of bare',
    'stored hits/s',
    'answer p50',
    'p99',
    'max',
    'hit to report p50',
    'max',
    'CPU µs/hit',
    'RSS',
    'accepted',
    'stored',
  ]
  const rows = measured.map((m) => [
    m.step.name,
    count(m.acceptedPerSecond),
    m.step.rate === 0 ? `${Math.round((100 * m.acceptedPerSecond) / m.step.hitsPerRequest / bare)} %` : '',
    count(m.storedPerSecond),
    ms(m.load.p50Us / 1_000, 1),
    ms(m.load.p99Us / 1_000, 1),
    ms(m.load.maxUs / 1_000),
    ms(quantile(m.toReportMs, 0.5)),
    ms(Math.max(...m.toReportMs)),
    m.cpuUsPerHit.toFixed(1),
    `${count(m.memory.nowMb)} MB`,
    count(m.accepted),
    count(m.step.sites.reduce((sum, site) => sum + (kept.get(site) ?? 0), 0)),
  ])
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n')
}

function bodyOf(measured: readonly Measured[], kept: ReadonlyMap<string, number>, bare: number): string {
  return `A bare node:http server that answers 202 and keeps nothing, under the same load in the same run: ${count(bare)} requests/s; compare with it, not
with figures of another day or machine.
A 202 promises that the hit is in the log and fsynced. \`stored hits/s\` ends when the last hit of the step is in reports.
Hits of about 530 bytes of JSON from 50,000 visitors with ${args.connections} connections, ${args.seconds} s a step after a warm-up.
Hit to report: a single hit sent now and then beside ${PROBE_SECONDS} s more of the same load, until POST /v1/query counts it (asked every ${PROBE_PAUSE_MS} ms).

${tableOf(measured, kept, bare)}

CPU µs/hit by thread:
${measured.map((m) => `- ${m.step.name}: ${m.threads.join(', ')}; load generator ${m.load.ownUsPerRequest.toFixed(1)} a request; peak RSS ${count(m.memory.peakMb)} MB`).join('\n')}
`
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-spine-bench-'))
const dataDir = join(folder, 'data')
const steps: Step[] = args.hits.split(',').map((text) => ({
  name: `${text} a request`,
  hitsPerRequest: Number(text),
  rate: 0,
  sites: ['a', 'b', 'c'].map((letter) => `full-${text}-${letter}`),
}))
steps.push({ name: '1,000 hits/s', hitsPerRequest: 1, rate: 1_000, sites: ['steady-a', 'steady-b'] })

const product = startProduct({
  dataDir,
  port: await freePort(),
  env: { MILLRACE_TRUSTED_PROXIES: '127.0.0.1/32' },
  sites: [PROBE, ...new Set(steps.flatMap((step) => step.sites))],
})
await product.ready()
const before = await loadBareServer(Number(args.connections))
const measured: Measured[] = []
for (const step of steps) {
  console.error(`measuring: ${step.name}`)
  measured.push(await measure(product, step))
}
const after = await loadBareServer(Number(args.connections))
await product.stop()
const kept = await keptBySite({ dataDir })
rmSync(folder, { recursive: true, force: true })

const bare = (before.answeredHits / before.seconds + after.answeredHits / after.seconds) / 2
publish({
  ...{ bench: 'spine', title: 'Spine: HTTP to report in one process', write: !args['no-write'] },
  body: bodyOf(measured, kept, bare),
})
const lost = measured.filter(
  ({ step, accepted }) => step.sites.reduce((sum, site) => sum + (kept.get(site) ?? 0), 0) !== accepted,
)
for (const { step } of lost) console.error(`${step.name}: accepted and stored differ`)
process.exit(lost.length === 0 ? 0 : 1)
