/**
 * `npm run e2e -- crash`: kills the running product with SIGKILL under load until at least 30 kills, 10 of them inside an
 * insert and 5 inside an append, are behind it; then compares what was answered, the log, the rows, the rollups and the
 * sessions. With --minutes it goes on for so long instead. Exit 1 when anything differs. Options: --kills --inserts --appends --max
 * --minutes --rate --timeout (minutes) --zone --keep.
 */
import { parseArgs } from 'node:util'
import { tableOf } from './check/findings.ts'
import { crashRun } from './crash/crash-run.ts'

// Leave no process behind.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    inserts: { type: 'string', default: '10' },
    appends: { type: 'string', default: '5' },
    max: { type: 'string', default: '120' },
    minutes: { type: 'string' },
    rate: { type: 'string', default: '6000' },
    timeout: { type: 'string', default: '1' },
    zone: { type: 'string', default: 'UTC' },
    keep: { type: 'boolean', default: false },
  },
})
const wanted = {
  kills: Number(values.kills),
  insideInsert: Number(values.inserts),
  insideAppend: Number(values.appends),
}
const result = await crashRun({
  ...wanted,
  maxKills: values.minutes === undefined ? Number(values.max) : Number.POSITIVE_INFINITY,
  ...(values.minutes !== undefined && { minutes: Number(values.minutes) }),
  rate: Number(values.rate),
  sessionTimeoutMinutes: Number(values.timeout),
  zone: values.zone,
  say: (text) => console.log(text),
})
const { kills, insideInsert, partialInsert, insideAppend, slowestStartMs, answeredPerSecond, load, report } = result
const rows: [name: string, value: string][] = [
  ['kills', `${kills} (wanted ${wanted.kills}) in ${Math.round(result.minutes)} minutes`],
  [
    'inside an insert',
    `${insideInsert} (wanted ${wanted.insideInsert}); ${partialInsert} of them left some slices filled`,
  ],
  ['inside an append', `${insideAppend} (wanted ${wanted.insideAppend})`],
  ['offered, answered while up', `${values.rate} hits/s, ${Math.round(answeredPerSecond)} hits/s`],
  ['slowest start to ready', `${Math.round(slowestStartMs)} ms`],
  ['hits sent, answered', `${load.sentHits}, ${load.answeredHits}`],
  ['hits sent again', `${load.resentHits} after ${load.lostConnections} lost connections`],
]
console.log(rows.map(([name, value]) => `  ${name.padEnd(28)}${value}`).join('\n'))
console.log(tableOf(report))
const reached =
  kills >= wanted.kills &&
  (values.minutes !== undefined || (insideInsert >= wanted.insideInsert && insideAppend >= wanted.insideAppend)) &&
  answeredPerSecond >= 5_000
if (!reached) console.log('  not as many kills, or not as much load, as asked for')
if (values.keep || !report.ok) console.log(`  the data are in ${result.request.dataDir}`)
else result.clean()
console.log(report.ok && reached ? 'passed' : 'FAILED')
process.exitCode = report.ok && reached ? 0 : 1
