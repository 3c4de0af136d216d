/**
 * `npm run e2e -- faults`: two collectors behind a load balancer, two enrichers and two aggregators on Kafka and ClickHouse
 * (infra/cluster) under load, while everything of the fault list goes wrong, two things at a time; then compares what was
 * answered, the log, the rows, the rollups and the sessions. Exit 1 when anything differs.
 * Options: --minutes (5) --seed --nodes 1|3 (3) --rate (2000) --stop (longest SIGSTOP, 40 s) --timeout (minutes) --zone --only (part of a
 * fault's name) --keep --without (a rule of the design that is switched off, more than once if wanted: the comparison must notice).
 */
import { parseArgs } from 'node:util'
import { missingTools } from '../../infra/cluster/cluster.mjs'
import { describeReport } from '../../services/standalone/src/verify/findings.ts'
import { tableOf } from './check/findings.ts'
import { faultRun } from './faults/fault-run.ts'
import { PLANTED_RULES } from './faults/planted.mjs'

// Leave no process behind.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string', default: '' },
    nodes: { type: 'string', default: '3' },
    rate: { type: 'string', default: '2000' },
    stop: { type: 'string', default: '40' },
    timeout: { type: 'string', default: '1' },
    zone: { type: 'string', default: 'UTC' },
    keep: { type: 'boolean', default: false },
    without: { type: 'string', multiple: true, default: [] },
  },
})
const missing = await missingTools()
const unknown = values.without.find((rule) => !PLANTED_RULES.includes(rule))
if (unknown !== undefined) throw new Error(`--without takes one of: ${PLANTED_RULES.join(', ')}`)
if (missing) throw new Error(`the cluster cannot be started: ${missing}`)
console.log(`seed ${values.seed}`)
const result = await faultRun({
  minutes: Number(values.minutes),
  seed: Number(values.seed),
  nodes: values.nodes === '1' ? 1 : 3,
  only: new RegExp(values.only),
  rate: Number(values.rate),
  partitions: 6,
  longestStopMs: Number(values.stop) * 1_000,
  sessionTimeoutMinutes: Number(values.timeout),
  zone: values.zone,
  without: values.without,
  say: (text) => console.log(text),
})
const { struck, evidence, endings, peaks, load, poisoned, report, verified } = result
const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`
const print = (title: string, rows: Iterable<readonly [string, string | number]>): void => {
  console.log(title)
  for (const [name, value] of rows) console.log(`  ${name.padEnd(56)}${value}`)
}
print('faults', [...struck].sort())
print('seen by the services', [...Object.entries(evidence), ['ended by themselves', endings.length]])
print('load', [
  ['hits sent, answered', `${load.sentHits}, ${load.answeredHits}`],
  ['hits sent again', `${load.resentHits} after ${load.lostConnections} lost connections`],
  ['answers', JSON.stringify(load.statuses)],
  ['p50, p99 of an answer', `${Math.round(load.p50Us / 1_000)} ms, ${Math.round(load.p99Us / 1_000)} ms`],
  ['records of poison', poisoned],
  ['largest service, largest spool', `${megabytes(peaks.memory)}, ${megabytes(peaks.spool)}`],
])
console.log(tableOf(report))
console.log(`millrace verify\n${describeReport(verified)}`)
const isRight = report.ok && verified.ok
const asItShould = values.without.length === 0 ? isRight : !isRight
if (asItShould && !values.keep) await result.clean()
else await result.keep()
if (values.without.length > 0) console.log(isRight ? 'FAILED: it was not noticed' : 'noticed, as it should be')
else console.log(isRight ? 'passed' : `FAILED (seed ${values.seed})`)
process.exit(asItShould ? 0 : 1)
