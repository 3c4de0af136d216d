/**
 * `npm run bench -- kafka`: the services apart, on one Kafka broker and the ClickHouse stand-in (infra/cluster), all on this
 * machine. CPU of idle services; hits over HTTP until they are in reports, with two enrichers and with one; then the
 * collector alone, HTTP to Kafka's acknowledgement. Options: --seconds (of each step, 12) --warmup (4) --connections (128) --idle (10) --no-write.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openKafkaLog } from '@millrace/log'
import { HITS_RAW } from '@millrace/shared'
import { waitUntil } from '@millrace/testing'
import { type Cluster, startCluster } from '../infra/cluster/cluster.mjs'
import { keptBySite } from './kept-hits.ts'
import { type LoadReport, spawnLoad } from './load/index.ts'
import { loadBareServer } from './load-bare-server.ts'
import { cpuOfProcess } from './measure-process.ts'
import { publish } from './publish.ts'
import { untilCounted } from './until-counted.ts'

// Leave no process behind.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '12' },
    warmup: { type: 'string', default: '4' },
    connections: { type: 'string', default: '128' },
    idle: { type: 'string', default: '10' },
    'no-write': { type: 'boolean', default: false },
  },
})

interface Step {
  readonly name: string
  readonly hitsPerRequest: number
  /** Whether the hits are followed into the reports. */
  readonly toReport: boolean
  readonly site: string
}

interface Measured {
  readonly step: Step
  readonly load: LoadReport
  /** By the warm-up and the step: what has to be stored. */
  readonly accepted: number
  readonly acceptedPerSecond: number
  /** Hits of the step over the time from its start until all of them were in reports. */
  readonly storedPerSecond: number
  /** From the last answer until all were in reports. */
  readonly lagSeconds: number
  /** Microseconds per hit of the step. */
  readonly cpu: readonly [part: string, usPerHit: number][]
}

/** Every load has hit_ids of its own. */
let seed = 0
const PARTITIONS = '24'
const COMPLETE_MS = 600_000

/** CPU so far of everything that runs, microseconds by part. */
function cpuOf(cluster: Cluster): Map<string, number> {
  const running = cluster.status().filter(({ running }) => running)
  return new Map(running.map(({ name, pid }) => [name, cpuOfProcess(pid!)]))
}

const cpuSince = (cluster: Cluster, before: ReadonlyMap<string, number>): [string, number][] =>
  [...cpuOf(cluster)].map(([name, us]) => [name, us - (before.get(name) ?? 0)])

/** Milliseconds of CPU a second of each part, with nothing to do. */
async function measureIdle(cluster: Cluster): Promise<[part: string, msPerSecond: number][]> {
  await sleep(5_000)
  const before = cpuOf(cluster)
  const startedAt = performance.now()
  await sleep(Number(args.idle) * 1_000)
  const seconds = (performance.now() - startedAt) / 1_000
  return cpuSince(cluster, before).map(([name, us]) => [name, us / 1_000 / seconds])
}

async function measure(cluster: Cluster, step: Step): Promise<Measured> {
  console.error(`measuring: ${step.name}`)
  const options = {
    ...{ url: cluster.urlOf('collector-1'), connections: Number(args.connections) },
    ...{ hitsPerRequest: [step.hitsPerRequest], rate: 0, sites: [step.site], visitors: 50_000 },
  }
  const complete = async (): Promise<void> => {
    await untilSpoolIsEmpty(cluster)
    if (step.toReport) await untilComplete(cluster)
  }
  const warm = await spawnLoad({ ...options, seconds: Number(args.warmup), seed: ++seed }).done
  await complete()
  const before = cpuOf(cluster)
  const startedAt = performance.now()
  const load = await spawnLoad({ ...options, seconds: Number(args.seconds), seed: ++seed }).done
  const answeredAt = performance.now()
  await complete()
  const completeAt = performance.now()
  return {
    step,
    load,
    accepted: warm.answeredHits + load.answeredHits,
    acceptedPerSecond: load.answeredHits / Math.min(load.seconds, Number(args.seconds)),
    storedPerSecond: load.answeredHits / ((completeAt - startedAt) / 1_000),
    lagSeconds: (completeAt - answeredAt) / 1_000,
    cpu: cpuSince(cluster, before).map(([name, us]) => [name, us / load.answeredHits]),
  }
}

/** What Kafka did not take in time has arrived there. */
async function untilSpoolIsEmpty(cluster: Cluster): Promise<void> {
  const metrics = async (): Promise<string> => (await fetch(`${cluster.urlOf('collector-1')}/metrics`)).text()
  const isEmpty = async (): Promise<boolean> => /^millrace_collector_spool_bytes 0$/m.test(await metrics())
  await waitUntil('the spool is empty', isEmpty, COMPLETE_MS)
}

const untilComplete = (cluster: Cluster): Promise<void> =>
  untilCounted(cluster.urlOf('aggregator-1'), 'bench', COMPLETE_MS)

const HIT_ID = Buffer.from('"hit_id":"')
/** Hits of hits.raw from these offsets on. */
async function hitsInLog(brokers: readonly string[], from: ReadonlyMap<number, number>): Promise<number> {
  const log = await openKafkaLog({ brokers, logger: { debug() {}, warn() {} } })
  const reader = log.reader()
  let hits = 0
  for (const [partition, offset] of from) {
    for await (const records of reader.read(HITS_RAW.name, partition, offset, Number.MAX_SAFE_INTEGER)) {
      for (const { value } of records) {
        for (let at = value?.indexOf(HIT_ID) ?? -1; at >= 0; at = value!.indexOf(HIT_ID, at + 1)) hits += 1
      }
    }
  }
  await log.close()
  return hits
}

async function endsOfLog(brokers: readonly string[]): Promise<Map<number, number>> {
  const log = await openKafkaLog({ brokers, logger: { debug() {}, warn() {} } })
  const ends = await log.admin().endOffsets(HITS_RAW.name)
  await log.close()
  return ends
}

const count = (value: number): string => Math.round(value).toLocaleString('en')
const milliseconds = (us: number): string => `${(us / 1_000).toFixed(1)} ms`
const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function tableOf(measured: readonly Measured[], stored: ReadonlyMap<string, number>): string {
  const head = ['step', 'accepted hits/s', 'stored hits/s', 'lag at the end', 'answer p50', 'p99', 'accepted', 'stored']
  const rows = measured.map((m) => [
    m.step.name,
    count(m.acceptedPerSecond),
    m.step.toReport ? count(m.storedPerSecond) : '',
    m.step.toReport ? `${m.lagSeconds.toFixed(1)} s` : '',
    milliseconds(m.load.p50Us),
    milliseconds(m.load.p99Us),
    count(m.accepted),
    count(stored.get(m.step.site) ?? 0),
  ])
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n')
}

function cpuTable(measured: readonly Measured[]): string {
  const parts = [...new Set(measured.flatMap(({ cpu }) => cpu.map(([part]) => part)))]
  const head = ['CPU µs a hit', ...parts, 'load generator']
  const rows = measured.map(({ step, cpu, load }) => {
    const own = load.ownUsPerRequest / step.hitsPerRequest
    return [step.name, ...parts.map((part) => new Map(cpu).get(part)?.toFixed(1) ?? ''), own.toFixed(1)]
  })
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n')
}

function bodyOf(
  idle: readonly [string, number][],
  measured: readonly Measured[],
  stored: ReadonlyMap<string, number>,
  bare: readonly LoadReport[],
): string {
  return `One Kafka 4.4 broker, the ClickHouse stand-in and the services share the machine.
A 202 promises that Kafka has acknowledged the hit, or that it is fsynced in the spool. \`stored hits/s\` ends when the last hit of the step is in reports.
Hits of about 530 bytes of JSON from 50,000 visitors with ${args.connections} connections, ${args.seconds} s a step after a warm-up; ${PARTITIONS} partitions.
For the collector alone, stored is what stands in hits.raw. A bare node:http server that answers 202 and keeps nothing, under the same load of single
hits before and after it: ${bare.map(({ answeredHits, seconds }) => count(answeredHits / seconds)).join(' and ')} requests/s.

${tableOf(measured, stored)}

${cpuTable(measured)}

Idle, milliseconds of CPU a second:

${line(idle.map(([part]) => part))}
${line(idle.map(() => '--:'))}
${line(idle.map(([, ms]) => ms.toFixed(1)))}
`
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-bench-'))
const cluster = await startCluster({
  ...{ dir: folder, brokers: 1, balancer: false, services: { collector: 1, enricher: 2, aggregator: 1 } },
  env: { MILLRACE_PARTITIONS: PARTITIONS },
  sites: ['bench', ...['two', 'one', 'alone'].flatMap((kind) => [`${kind}-1`, `${kind}-100`])],
})
console.error('measuring: idle')
const idle = await measureIdle(cluster)
const measured: Measured[] = []
for (const hitsPerRequest of [1, 100]) {
  const name = `to report, 2 enrichers, ${hitsPerRequest} a request`
  measured.push(await measure(cluster, { name, hitsPerRequest, toReport: true, site: `two-${hitsPerRequest}` }))
}
await cluster.end('enricher-2')
for (const hitsPerRequest of [1, 100]) {
  const name = `to report, 1 enricher, ${hitsPerRequest} a request`
  measured.push(await measure(cluster, { name, hitsPerRequest, toReport: true, site: `one-${hitsPerRequest}` }))
}
const stored = await keptBySite({ url: cluster.urlOf('clickhouse') })
for (const name of ['enricher-1', 'aggregator-1', 'clickhouse']) await cluster.end(name)
const bare = [await loadBareServer(Number(args.connections))]
for (const hitsPerRequest of [1, 100]) {
  const from = await endsOfLog(cluster.brokers)
  const step = { name: `collector alone, ${hitsPerRequest} a request`, hitsPerRequest, toReport: false }
  const site = `alone-${hitsPerRequest}`
  measured.push(await measure(cluster, { ...step, site }))
  stored.set(site, await hitsInLog(cluster.brokers, from))
}
bare.push(await loadBareServer(Number(args.connections)))
await cluster.stop()
rmSync(folder, { recursive: true, force: true })

publish({
  ...{ bench: 'kafka', title: 'Kafka: the services apart', write: !args['no-write'] },
  body: bodyOf(idle, measured, stored, bare),
})
const lost = measured.filter(({ step, accepted }) => stored.get(step.site) !== accepted)
for (const { step } of lost) console.error(`${step.name}: accepted and stored differ`)
process.exit(lost.length === 0 ? 0 : 1)
