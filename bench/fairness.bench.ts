/**
 * `npm run bench -- fairness`: one site sends far more than the log takes, another one 50 hits/s. How long the calm one waits
 * for its answers alone, beside the flood, and beside the flood without turns (first come, first served). The log is the
 * embedded one, slowed down to a bandwidth, without a spool; the rest is the collector as it is, over HTTP.
 * Options: --seconds (of each run, 5) --megabytes-per-second (8) --connections (of the flood, 256) --no-write.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { COLLECTOR_SETTINGS, startCollector } from '@millrace/collector'
import { type EventLog, type LogProducer, openEmbeddedLog } from '@millrace/log'
import { createLogger, createServer } from '@millrace/server'
import { DEFAULT_SITE_SETTINGS, HITS_RAW, readSettings } from '@millrace/shared'
import { type LoadReport, spawnLoad } from './load/index.ts'
import { publish } from './publish.ts'

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    'megabytes-per-second': { type: 'string', default: '8' },
    connections: { type: 'string', default: '256' },
    'no-write': { type: 'boolean', default: false },
  },
})
const SECONDS = Number(args.seconds)
const BYTES_PER_MS = Number(args['megabytes-per-second']) * 1_000
const RAMP_MS = 2_000
const CALM_RATE = 50

/** The same log, but an append takes as long as its bytes take at the bandwidth. */
function slowedDown(real: EventLog): EventLog {
  const producer = (): LogProducer => {
    const inner = real.producer()
    return {
      async append(topic, records) {
        let bytes = 0
        for (const list of records.values()) for (const { value } of list) bytes += value?.length ?? 0
        const [offsets] = await Promise.all([inner.append(topic, records), sleep(bytes / BYTES_PER_MS)])
        return offsets
      },
      close: () => inner.close(),
    }
  }
  return Object.assign(Object.create(real) as EventLog, { producer })
}

interface Run {
  readonly name: string
  readonly flood: boolean
  readonly inTurns: boolean
}
interface Measured {
  readonly run: Run
  readonly calm: LoadReport
  readonly flood: LoadReport | null
}

async function measure(run: Run): Promise<Measured> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-fairness-'))
  const log = await openEmbeddedLog({ dir, topics: [HITS_RAW], hitPartitions: 4 })
  const server = createServer({ host: '127.0.0.1', port: 0, name: 'fairness', logger: createLogger('error', 'bench') })
  const collector = await startCollector({
    log: slowedDown(log),
    server,
    config: { at: () => 0, keyOf: () => null, settingsOf: () => DEFAULT_SITE_SETTINGS },
    settings: readSettings(COLLECTOR_SETTINGS, { MILLRACE_TRUSTED_PROXIES: '127.0.0.1/32' }),
    ...(!run.inTurns && { limits: { shareAboveBytes: Number.POSITIVE_INFINITY } }),
  })
  const url = await server.listen()
  const load = { url, maxHits: 1e9, seconds: SECONDS }
  const flood = run.flood
    ? spawnLoad({
        ...load,
        sites: ['flood'],
        connections: Number(args.connections),
        hitsPerRequest: [100],
        seconds: SECONDS + RAMP_MS / 1_000 + 5,
      })
    : null
  await sleep(RAMP_MS)
  const calm = await spawnLoad({ ...load, sites: ['calm'], rate: CALM_RATE, connections: 64, seed: 2 }).done
  flood?.stop()
  const measured = { run, calm, flood: flood && (await flood.done) }
  await collector.close()
  await server.close()
  await log.close()
  rmSync(dir, { recursive: true, force: true })
  return measured
}

const ms = (us: number): string => `${(us / 1_000).toFixed(us < 10_000 ? 1 : 0)} ms`
const statuses = (report: LoadReport): string =>
  Object.entries(report.statuses)
    .map(([status, count]) => `${status}: ${count}`)
    .join(', ')

function bodyOf(all: readonly Measured[]): string {
  const rows = all.map(({ run, calm, flood }) => {
    const floodRate = flood ? Math.round(flood.answeredHits / flood.seconds).toLocaleString('en') : '0'
    const cells = [run.name, ms(calm.p50Us), ms(calm.p99Us), ms(calm.maxUs), statuses(calm), floodRate]
    return `| ${cells.join(' | ')} |`
  })
  return `The log takes ${args['megabytes-per-second']} MB/s. The calm site sends ${CALM_RATE} single hits a second; the flood sends 100 hits a request over
${args.connections} connections as fast as answers come.

| run | calm p50 | p99 | max | calm answers | flood, accepted hits/s |
| --- | --: | --: | --: | --- | --: |
${rows.join('\n')}
`
}

const all: Measured[] = []
for (const run of [
  { name: 'alone', flood: false, inTurns: true },
  { name: 'beside the flood, in turns', flood: true, inTurns: true },
  { name: 'beside the flood, first come, first served', flood: true, inTurns: false },
]) {
  console.error(`measuring: ${run.name}`)
  all.push(await measure(run))
}
publish({
  bench: 'fairness',
  title: 'Fairness: a calm site beside one that floods',
  body: bodyOf(all),
  write: !args['no-write'],
})
const [, inTurns, inLine] = all as [Measured, Measured, Measured]
if (inTurns.calm.p99Us >= inLine.calm.p99Us) {
  console.error('turns are no help to the calm site')
  process.exit(1)
}
process.exit(0)
