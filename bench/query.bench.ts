/**
 * `npm run bench -- query`: how long reports of one site take that has 10 M hits (and 1 M) of 90 days, made by a script with a seed;
 * asked through the functions that answer POST /v1/query and /v1/reports, without HTTP. Each report is asked once to warm up,
 * then --times times (41), the reports in turn. Options: --hits 1000000,10000000 --times --data FOLDER (kept and used
 * again) --only PART_OF_NAME --ingest HITS_A_SECOND (0; of another site, while it is asked) --verbose --no-write.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { askReport } from '@millrace/aggregator'
import { dayOfDate } from '@millrace/shared'
import { migrate, openStore, type Store } from '@millrace/store'
import { memoryOf } from './measure-process.ts'
import { publish } from './publish.ts'
import { quantile } from './quantile.ts'
import { fillSite } from './query/fill-site.ts'
import { startIngest } from './query/ingest.ts'

const { values: args } = parseArgs({
  options: {
    hits: { type: 'string', default: '1000000,10000000' },
    times: { type: 'string', default: '41' },
    data: { type: 'string' },
    only: { type: 'string', default: '' },
    ingest: { type: 'string', default: '0' },
    verbose: { type: 'boolean', default: false },
    'no-write': { type: 'boolean', default: false },
  },
})

const LAST_DATE = '2026-11-21'
const DAYS = 90
const NOW_MS = Date.parse(`${LAST_DATE}T23:59:00Z`)
const HITS_A_SESSION = 3.836
const GERMAN = { dimension: 'country', is: ['DE'] }
const GERMAN_CHROME = { and: [GERMAN, { dimension: 'browser', is: ['Chrome'] }] }
const SAW_DOCS = { dimension: 'path', contains: ['/docs/page-1'] }

interface Case {
  readonly name: string
  readonly report: string
  readonly body: object
  readonly budgetMs: number
}
const FIFTY = 50
const CARD = 100
const FILTERED = 250
const card = (report: string, body: object = {}, name = report): Case => ({
  name,
  report,
  body: { limit: 10, ...body },
  budgetMs: CARD,
})
const filtered = (report: string, filter: object, name: string, body: object = {}): Case => ({
  name,
  report,
  body: { limit: 10, ...body, filter },
  budgetMs: FILTERED,
})
const BASIC = ['visitors', 'page_views', 'bounce_rate']
const CASES: readonly Case[] = [
  { name: 'headline, 30 days', report: 'headline', body: { compare: 'previous_period' }, budgetMs: FIFTY },
  { name: 'headline, 90 days', report: 'headline', body: { period: '90d' }, budgetMs: FIFTY },
  { name: 'chart, 30 days', report: 'chart', body: { metrics: BASIC, compare: 'previous_period' }, budgetMs: FIFTY },
  { name: 'chart, 90 days', report: 'chart', body: { metrics: BASIC, period: '90d' }, budgetMs: FIFTY },
  { name: 'chart by hour, today', report: 'chart', body: { period: 'today', dimensions: ['hour'] }, budgetMs: FIFTY },
  card('pages'),
  card('pages', { metrics: ['page_views', 'visitors'] }, 'pages with visitors'),
  card('entry_pages'),
  card('exit_pages'),
  card('sources'),
  card('channels'),
  card('places'),
  card('places', { dimensions: ['city'] }, 'cities'),
  card('devices'),
  card('browsers'),
  card('systems'),
  card('languages'),
  card('utm'),
  card('events'),
  card('heatmap'),
  card('realtime'),
  filtered('headline', GERMAN_CHROME, 'headline, country and browser', { limit: 1 }),
  filtered('chart', GERMAN_CHROME, 'chart, country and browser', { metrics: BASIC, limit: 100 }),
  filtered('pages', GERMAN_CHROME, 'pages, country and browser'),
  filtered('sources', GERMAN_CHROME, 'sources, country and browser'),
  filtered('entry_pages', GERMAN, 'entry pages, country'),
  filtered('headline', SAW_DOCS, 'headline, sessions that saw a page', { limit: 1 }),
  filtered('sources', SAW_DOCS, 'sources, sessions that saw a page'),
  filtered('pages', { session: SAW_DOCS }, 'pages in sessions that saw a page'),
  filtered('pages', { dimension: 'is_bounce', is: [1] }, 'pages of sessions that bounced'),
  filtered('chart', { dimension: 'event_name', is: ['buy'] }, 'chart, sessions with an event', {
    metrics: BASIC,
    limit: 100,
  }),
  {
    name: 'sessions by page',
    report: 'pages',
    body: { metrics: ['sessions', 'bounce_rate', 'exit_rate'], limit: 10 },
    budgetMs: FILTERED,
  },
  { name: 'time on page', report: 'time_on_page', body: { limit: 10 }, budgetMs: FILTERED },
  { name: 'slowest routes', report: 'routes', body: { limit: 10 }, budgetMs: FILTERED },
  { name: 'list of sessions', report: 'sessions', body: { period: '7d', limit: 50 }, budgetMs: FILTERED },
  {
    name: 'funnel of three steps',
    report: 'funnel',
    body: { steps: [{ path: '/' }, { path: '/shop/**' }, { event_name: 'buy' }] },
    budgetMs: FILTERED,
  },
  { name: 'journey', report: 'journey', body: { path: '/shop/page-2', limit: 10 }, budgetMs: FILTERED },
  {
    name: 'values of cities',
    report: 'values',
    body: { dimension: 'city', search: 'city de', limit: 20 },
    budgetMs: FILTERED,
  },
]

interface Measured {
  readonly one: Case
  readonly source: string
  readonly times: readonly number[]
  /** Processor time of the whole process, milliseconds. */
  readonly cpu: readonly number[]
}

async function measure(store: Store, times: number): Promise<Measured[]> {
  const cases = CASES.filter(({ name }) => name.includes(args.only))
  const found = new Map(cases.map((one) => [one, { source: '', times: [] as number[], cpu: [] as number[] }]))
  for (let round = 0; round <= times; round++) {
    for (const one of cases) {
      const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()]
      const { source } = await askReport(
        one.report,
        { site: 'blog', ...one.body },
        { store, siteZone: 'UTC', nowMs: NOW_MS },
      )
      const took = performance.now() - startedAt
      const { user, system } = process.cpuUsage(cpuBefore)
      const entry = found.get(one)!
      if (args.verbose)
        console.error(`${one.name}: ${took.toFixed(0)} ms, CPU ${((user + system) / 1_000).toFixed(0)} ms`)
      if (round > 0) entry.times.push(took)
      if (round > 0) entry.cpu.push((user + system) / 1_000)
      if (typeof source === 'string') entry.source = source
    }
  }
  return [...found].map(([one, rest]) => ({ one, ...rest }))
}

function tableOf(measured: readonly Measured[]): string {
  const rows = measured.map(({ one, source, times, cpu }) => {
    const p50 = quantile(times, 0.5)
    const held = p50 <= one.budgetMs ? '' : ' (over)'
    return `| ${one.name} | ${source} | ${p50.toFixed(0)} | ${quantile(times, 0.95).toFixed(0)} | ${quantile(cpu, 0.5).toFixed(0)} | ${one.budgetMs}${held} |`
  })
  return [
    '| report | source | p50 ms | p95 ms | CPU ms | budget |',
    '| --- | --- | --: | --: | --: | --: |',
    ...rows,
  ].join('\n')
}

/** Merges what was filled in a minute, as a store does it that has 90 days for it: else reading takes up to three times as long. */
async function mergeAll(store: Store): Promise<void> {
  for (const table of ['hits', 'sessions']) {
    for (let [before, now] = [Number.POSITIVE_INFINITY, await countParts(store, table)]; now < before; ) {
      await store.command(`OPTIMIZE TABLE millrace.${table}`)
      before = now
      now = await countParts(store, table)
    }
  }
}

async function countParts(store: Store, table: string): Promise<number> {
  const sql = `SELECT toUInt32(count()) AS n FROM system.parts WHERE active AND database = 'millrace' AND table = {table:String}`
  const [found] = await store.query<{ n: number }>(sql, { params: { table } })
  return found!.n
}

async function run(hits: number): Promise<string> {
  const kept = args.data ? join(args.data, String(hits)) : null
  const dataDir = kept ?? mkdtempSync(join(tmpdir(), 'millrace-bench-query-'))
  const isFilled = kept !== null && existsSync(join(kept, 'clickhouse'))
  mkdirSync(dataDir, { recursive: true })
  const store = await openStore({ dataDir })
  if (!isFilled) {
    await migrate(store)
    const sessions = Math.round(hits / HITS_A_SESSION)
    await fillSite(store, { site: 'blog', sessions, lastDay: dayOfDate(LAST_DATE), days: DAYS, seed: 1 })
    await mergeAll(store)
  }
  const [counted] = await store.query<{ hits: number; mb: number }>(
    `SELECT toFloat64(count()) AS hits, (SELECT toFloat64(sum(bytes_on_disk)) / 1e6 FROM system.parts WHERE active) AS mb FROM millrace.hits`,
  )
  const rate = Number(args.ingest)
  const live = { site: 'live', lastDay: dayOfDate(LAST_DATE), days: 1 }
  const stop = rate > 0 ? await startIngest(dataDir, rate, live) : null
  const measured = await measure(store, Number(args.times))
  const ingested = (await stop?.()) ?? 0
  const memory = memoryOf(process.pid)
  await store.close()
  if (kept === null) rmSync(dataDir, { recursive: true, force: true })
  const head = `## ${Math.round(counted!.hits).toLocaleString('en')} hits of ${DAYS} days (${Math.round(counted!.mb)} MB on disk)`
  const used = `Memory of the process, engine included: ${Math.round(memory.nowMb)} MB, at most ${Math.round(memory.peakMb)} MB.`
  const beside =
    rate > 0 ? `Hits of another site came in meanwhile: ${Math.round(ingested).toLocaleString('en')} a second. ` : ''
  return `${head}\n\n${tableOf(measured)}\n\n${beside}${used}\n`
}

const sections: string[] = []
for (const hits of args.hits.split(',')) sections.push(await run(Number(hits)))
const body = `Periods are 30 days where no other is named, without HTTP, two threads a query, one query after the other. In one session in twenty signals come after the next page view, one in 400 is out of order (docs/decisions/0015). Budgets are for the p50 at 10 M hits.

${sections.join('\n')}`
publish({ bench: 'query', title: 'Reports', body, write: !args['no-write'] })
process.exit(0)
