/**
 * `npm run bench -- sql-load`: what heavy SQL takes from the intake. The whole process takes hits, alone and beside clients that
 * keep as many heavy statements waiting as are let in, in turns; afterwards all accepted hits have to be counted.
 * Options: --seconds (of each run, 8) --rounds (2) --connections (64) --clients (of SQL, 6) --no-write.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { freePort, startProduct, waitUntil } from '@millrace/testing'
import { type LoadReport, spawnLoad } from './load/index.ts'
import { publish } from './publish.ts'

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '64' },
    clients: { type: 'string', default: '6' },
    'no-write': { type: 'boolean', default: false },
  },
})
const SITE = 'blog'
/** As much work as a statement may make: it is ended by its limits, and the next one comes. */
const HEAVY = [
  'SELECT sum(cityHash64(number, toString(number))) FROM numbers(1000000000000)',
  'SELECT length(groupUniqArray(cityHash64(number))) FROM numbers(1000000000000)',
  'SELECT count() FROM (SELECT visitor_id, path, count() AS n FROM hits GROUP BY visitor_id, path ORDER BY n DESC)',
]

interface Measured {
  readonly heavy: boolean
  readonly load: LoadReport
  /** SQL answers by status. */
  readonly statements: Readonly<Record<string, number>>
  /** From the last answer until all accepted hits were in the reports. */
  readonly countedAfterMs: number
}

const dir = mkdtempSync(join(tmpdir(), 'millrace-sql-load-'))
const env = { MILLRACE_TRUSTED_PROXIES: '127.0.0.1/32' }
const product = startProduct({ dataDir: dir, port: await freePort(), env })

/** Clients that ask again at once; a refused one after a moment, as Retry-After would have it. */
function askHeavily(): { stop(): Promise<Record<string, number>> } {
  const gone = new AbortController()
  const statuses: Record<string, number> = {}
  const client = async (n: number): Promise<void> => {
    for (let i = n; !gone.signal.aborted; i++) {
      const body = HEAVY[i % HEAVY.length]!
      const status = await fetch(`${product.url}/v1/sql`, { method: 'POST', body, signal: gone.signal }).then(
        async (answer) => {
          await answer.arrayBuffer()
          return String(answer.status)
        },
        () => 'given up',
      )
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  const clients = Array.from({ length: Number(args.clients) }, (_, n) => client(n))
  return {
    async stop() {
      gone.abort()
      await Promise.all(clients)
      return statuses
    },
  }
}

let accepted = 0
/** Sent, and perhaps accepted, but the run ended before the answer. */
let unknown = 0

async function measure(heavy: boolean, seed: number): Promise<Measured> {
  const sql = heavy ? askHeavily() : null
  const load = await spawnLoad({
    url: product.url,
    sites: [SITE],
    maxHits: 1e9,
    seconds: Number(args.seconds),
    connections: Number(args.connections),
    hitsPerRequest: [1],
    seed,
  }).done
  accepted += load.answeredHits
  unknown += load.unknownHits
  const startedMs = performance.now()
  await waitUntil('all that is in the log is counted', async () => (await waiting()) === 0, 120_000)
  const countedAfterMs = performance.now() - startedMs
  return { heavy, load, statements: (await sql?.stop()) ?? {}, countedAfterMs }
}

interface Ledger {
  readonly totals: { readonly kept: number; readonly duplicate: number }
  readonly balance: { readonly balanced: boolean; readonly partitions: readonly { readonly waiting_records: number }[] }
}
const ledger = async (): Promise<Ledger> => (await (await fetch(`${product.url}/v1/ledger`)).json()) as Ledger
const waiting = async (): Promise<number> =>
  (await ledger()).balance.partitions.reduce((n, { waiting_records }) => n + waiting_records, 0)

const rate = ({ load }: Measured): number => load.answeredHits / load.seconds
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const all: Measured[] = []
try {
  await product.ready()
  await measure(false, 99) // warms up
  for (let round = 0; round < Number(args.rounds); round++) {
    for (const heavy of round % 2 === 0 ? [false, true] : [true, false])
      all.push(await measure(heavy, round * 2 + Number(heavy)))
  }
  const { totals, balance } = await ledger()
  const rows = all.map((measured) => {
    const { load, statements, heavy, countedAfterMs } = measured
    const said = Object.entries(statements).map(([status, n]) => `${status}: ${n}`)
    const cells = [heavy ? 'beside heavy SQL' : 'alone', Math.round(rate(measured)).toLocaleString('en')]
    const times = [load.p50Us, load.p99Us].map((us) => `${(us / 1_000).toFixed(1)} ms`)
    return `| ${[...cells, ...times, `${Math.round(countedAfterMs)} ms`, said.join(', ')].join(' | ')} |`
  })
  const share = median(all.filter(({ heavy }) => heavy).map(rate)) / median(all.filter(({ heavy }) => !heavy).map(rate))
  const body = `Single hits over ${args.connections} connections, ${args.seconds} s a run; ${args.clients} SQL clients that never pause.

| run | accepted hits/s | p50 | p99 | all counted after | SQL answers |
| --- | --: | --: | --: | --: | --- |
${rows.join('\n')}

Beside heavy SQL the process accepts ${Math.round(share * 100)} % of what it accepts alone (medians). Accepted ${accepted.toLocaleString('en')} hits
(and ${unknown.toLocaleString('en')} perhaps, whose answers the ends of the runs cut off); kept in the ledger ${totals.kept.toLocaleString('en')}, which is ${balance.balanced ? '' : 'NOT '}balanced.
`
  publish({ bench: 'sql-load', title: 'Intake beside heavy SQL', body, write: !args['no-write'] })
  if (totals.kept < accepted || totals.kept > accepted + unknown || !balance.balanced) process.exitCode = 1
} finally {
  await product.stop()
  rmSync(dir, { recursive: true, force: true })
}
process.exit()
