import type { FieldError, LocalDays } from '@millrace/shared'
import { MillraceError } from '@millrace/shared'
import type { Store } from '@millrace/store'
import { checkGoalPatterns, checkPatterns } from './check-patterns.ts'
import { growth, type Previous, pairBuckets, previousOf } from './compare.ts'
import { readDayTotals } from './day-totals.ts'
import { showFilter } from './filter.ts'
import type { MetricName } from './metrics.ts'
import { checkRowCount, type Order, type ReportQuery, refusal } from './parse-query.ts'
import { type Range, resolvePeriod } from './period.ts'
import { fullOrder, type Keys, type Plan, planQuery, unitOf } from './planner.ts'
import {
  emptyValues,
  fillRows,
  type Key,
  mapSized,
  type Row,
  readRows,
  type Sized,
  type StoredRow,
  showKeys,
  sortRows,
  type Values,
  valuesOf,
} from './rows.ts'
import { mayUseSketch, SKETCH_ERROR, SKETCH_EXACT_UP_TO, type Source, type SourceContext } from './source.ts'
import type { Statement } from './statement.ts'
import { findZone, startOfDay } from './zones.ts'

/** A row as answered: dimensions, metrics, and with a comparison `previous` and `growth`. */
export type ReportRow = Record<string, Key | Values | null>

/** The answer to a query. */
export interface Report extends Omit<LargeReport, 'rows'> {
  readonly rows: readonly ReportRow[]
}

/** The answer to a query, of which each row is made when it is read: there may be 100,000. */
export interface LargeReport {
  readonly query: Record<string, unknown>
  readonly source: Source
  /** Where the totals come from, if from elsewhere. */
  readonly totals_source?: Source
  /** Average relative error of `visitors`: 0 = exact. Only if visitors were asked. */
  readonly visitors_error?: number
  readonly rows: Sized<ReportRow>
  readonly totals: ReportRow
  /** Rows that there are without limit and offset. */
  readonly row_count: number
}

export interface ReportTools {
  readonly store: Pick<Store, 'query'>
  /** Zone of the site: that of the column `day`. */
  readonly siteZone: string
  readonly nowMs: number
}

/**
 * Answers a query.
 * @throws MillraceError query_invalid for what only the store can judge (a pattern, the length of `all`); errors of the store as they are
 */
export async function makeReport(query: ReportQuery, tools: ReportTools): Promise<Report> {
  const report = await makeLargeReport(query, tools)
  return { ...report, rows: [...report.rows] }
}

/** The same, with its rows yet to be made. @throws as makeReport */
export async function makeLargeReport(query: ReportQuery, tools: ReportTools): Promise<LargeReport> {
  await checkPatterns(query.filter, tools.store)
  if (asksGoals(query)) await checkGoalPatterns(query.goals, tools.store)
  const range = query.range ?? (await wholeHistory(query, tools))
  const previous = query.compare === null ? null : previousOf(query, range, query.compare)
  const { plan, page, totals, before } = await read(query, range, previous, tools)
  const compared = before && compare(query, plan, before)
  const rows = mapSized(page.rows, (row) => ({
    ...showKeys(row, query, plan.buckets),
    ...row.values,
    ...(compared && sideBySide(row.values, compared.valuesOf(row))),
  }))
  const allTotals = { ...totals, ...(compared && sideBySide(totals, compared.totals)) }
  const approximate = isApproximate(plan, mapSized(page.rows, valuesOfRow), totals) || compared?.approximate
  return {
    query: showQuery(query, range, compared?.range),
    source: plan.source,
    ...(plan.totalsSource !== plan.source && { totals_source: plan.totalsSource }),
    ...(query.metrics.includes('visitors') && { visitors_error: approximate ? SKETCH_ERROR : 0 }),
    rows: plan.rows ? rows : [allTotals],
    totals: allTotals,
    row_count: page.count,
  }
}

interface Answer {
  readonly plan: Plan
  readonly page: Page
  readonly totals: Values
  readonly before: Before | null
}

/** Asks the totals of days, where they can tell all and are good enough: whether they are, they tell themselves. */
async function read(query: ReportQuery, range: Range, previous: Previous | null, tools: ReportTools): Promise<Answer> {
  const { store, siteZone, nowMs } = tools
  const days = await readDayTotals(query, range, previous?.range ?? null, tools)
  const isSized = days !== null || !mayUseSketch(query, range, siteZone)
  const hitsInPeriod = isSized ? (days?.hits ?? 0) : await countHits(query.site, range, store)
  const context = { siteZone, hitsInPeriod }
  const plan = planQuery(query, range, context)
  if (days === null || plan.source !== 'daily_totals') return readRaw(query, plan, previous, context, tools)
  const page = plan.rows ? fill([...readRows(days.now.stored, query, plan)], query, plan, nowMs) : ONE_ROW
  const before = previous && { previous, plan: planBefore(query, previous, context, null), ...days.before }
  return { plan, page, totals: days.now.totals, before }
}

/** Where the rows before do not depend on the rows now, both are asked side by side. */
async function readRaw(
  query: ReportQuery,
  plan: Plan,
  previous: Previous | null,
  context: SourceContext,
  tools: ReportTools,
): Promise<Answer> {
  const isFree = plan.fill || plan.rows === null
  const [{ page, totals }, free] = await Promise.all([
    readAnswer(query, plan, tools),
    previous && isFree ? readBefore(query, previous, context, null, tools) : null,
  ])
  const before = previous && (free ?? (await readBefore(query, previous, context, keysOf(query, page.rows), tools)))
  return { plan, page, totals, before }
}

/** The range of a query, also of one over all that there is, and whether its patterns can be read. @throws as makeReport */
export async function understand(query: ReportQuery, tools: ReportTools): Promise<Range> {
  await checkPatterns(query.filter, tools.store)
  return query.range ?? wholeHistory(query, tools)
}

async function wholeHistory(query: ReportQuery, { store, siteZone, nowMs }: ReportTools): Promise<Range> {
  const sql = `SELECT toUInt32(min(day)) AS first, toUInt32(count()) AS days
FROM millrace.daily_hits
WHERE site = {site:String} AND day >= toDate({kept_from:UInt32})`
  const params = { site: query.site, kept_from: query.keptFrom ?? 0 }
  const [found] = await store.query<{ first: number; days: number }>(sql, { params })
  const first = found && found.days > 0 ? startOfDay(siteCalendar(siteZone), found.first) : nowMs
  const range = resolvePeriod('all', query.zone, nowMs, query.zone.dayOf(first))
  const errors: FieldError[] = []
  checkRowCount(query.dimensions, range, errors)
  if (errors.length > 0) throw refusal(errors)
  return range
}

function siteCalendar(siteZone: string): LocalDays {
  const zone = findZone(siteZone)
  if (!zone) throw new MillraceError('internal', `${siteZone} is not a time zone`)
  return zone
}

async function countHits(site: string, { days }: Range, store: Pick<Store, 'query'>): Promise<number> {
  const sql = `SELECT toFloat64(sum(page_views) + sum(events)) AS hits
FROM millrace.daily_hits
WHERE site = {site:String}
  AND day BETWEEN toDate({first:UInt32}) AND toDate({last:UInt32})`
  const [found] = await store.query<{ hits: number }>(sql, { params: { site, first: days!.first, last: days!.last } })
  return found?.hits ?? 0
}

/** Rows and totals: side by side, or both from the rows. */
async function readAnswer(query: ReportQuery, plan: Plan, tools: ReportTools): Promise<{ page: Page; totals: Values }> {
  if (!plan.totalsInRows) {
    const [page, totals] = await Promise.all([readPage(query, plan, tools), readTotals(query, plan, tools.store)])
    return { page, totals }
  }
  const page = await readPage(query, plan, tools)
  return { page, totals: page.totals ?? (await readTotals(query, plan, tools.store)) }
}

/** The totals that come with the rows. */
function totalsIn(stored: readonly StoredRow[], query: ReportQuery, plan: Plan): Values | null {
  const row = stored[0]
  if (!plan.totalsInRows || !row) return null
  return Object.fromEntries(query.metrics.map((name) => [name, row[`t_${name}`] as number | null]))
}

/** The rows that are shown, and how many there are in all. */
interface Page {
  readonly rows: Sized<Row>
  readonly count: number
  readonly totals: Values | null
}
/** Without dimensions the totals are the only row. */
const ONE_ROW: Page = { rows: [], count: 1, totals: null }

async function readPage(query: ReportQuery, plan: Plan, { store, nowMs }: ReportTools): Promise<Page> {
  if (!plan.rows) return ONE_ROW
  const stored = (await readFew(query, plan, store)) ?? (await run<StoredRow>(plan.rows, store))
  const rows = readRows(stored, query, plan)
  const totals = totalsIn(stored, query, plan)
  if (plan.fill) return { ...fill([...rows], query, plan, nowMs), totals }
  if (stored.length === 0 && query.offset > 0) return { rows, count: await countRows(plan.rows, store), totals }
  return { rows, count: (stored[0]?.row_count as number | undefined) ?? 0, totals }
}

/** A page of rows by time, those without data among them. */
function fill(found: readonly Row[], query: ReportQuery, plan: Plan, nowMs: number): Page {
  const all = sortRows(fillRows(found, query, plan.buckets, nowMs), query)
  return { rows: all.slice(query.offset, query.offset + query.limit), count: all.length, totals: null }
}

/** The rows by the cheaper way; null if there is none, or it turns out that it does not lead there. */
async function readFew(
  { offset }: ReportQuery,
  { few }: Plan,
  store: Pick<Store, 'query'>,
): Promise<StoredRow[] | null> {
  if (few === null) return null
  const likely = (await run<{ d0: string }>(few.likely, store)).map(({ d0 }) => d0)
  const rows = await run<StoredRow>(few.rows(likely), store)
  const known = new Set<unknown>(likely)
  return rows.every(({ d0 }) => known.has(d0)) ? rows.slice(offset) : null
}

/** Beyond the last page no row is there to say how many there are: the first one does. */
async function countRows({ sql, params }: Statement, store: Pick<Store, 'query'>): Promise<number> {
  const [first] = await run<StoredRow>({ sql, params: { ...params, limit: 1, offset: 0 } }, store)
  return (first?.row_count as number | undefined) ?? 0
}

async function readTotals(query: ReportQuery, plan: Plan, store: Pick<Store, 'query'>): Promise<Values> {
  const [totals] = await run<StoredRow>(plan.totals, store)
  return totals ? valuesOf(totals, query.metrics) : emptyValues(query.metrics)
}

const run = <T>({ sql, params }: Statement, store: Pick<Store, 'query'>): Promise<T[]> =>
  store.query<T>(sql, { params })

const isApproximate = ({ sketch }: Plan, rows: Iterable<Values>, totals: Values): boolean => {
  const isMany = ({ visitors }: Values): boolean => (visitors ?? 0) > SKETCH_EXACT_UP_TO
  return (sketch.rows && [...rows].some(isMany)) || (sketch.totals && isMany(totals))
}

const valuesOfRow = ({ values }: Row): Values => values

interface Compared {
  readonly range: Range
  /** Beside a row of the page. */
  readonly valuesOf: (row: Row) => Values
  readonly totals: Values
  readonly approximate: boolean
}

/** What was read of the period before. */
interface Before {
  readonly previous: Previous
  readonly plan: Plan
  readonly stored: readonly StoredRow[]
  readonly totals: Values
}

/** With `keys` the rows that have them; null = all rows. */
async function readBefore(
  query: ReportQuery,
  previous: Previous,
  context: SourceContext,
  keys: Keys | null,
  { store }: ReportTools,
): Promise<Before> {
  const plan = planBefore(query, previous, context, keys)
  const isAsked = keys === null || keys.every((values) => values === null || values.length > 0)
  const [stored, totals] = await Promise.all([
    plan.rows && isAsked ? run<StoredRow>(plan.rows, store) : [],
    readTotals(query, plan, store),
  ])
  return { previous, plan, stored, totals }
}

function planBefore(query: ReportQuery, { range }: Previous, context: SourceContext, keys: Keys | null): Plan {
  const all = query.dimensions.map(() => null)
  return planQuery({ ...query, orderBy: [] }, range, context, keys ?? all)
}

function compare(query: ReportQuery, now: Plan, { previous, plan, stored, totals }: Before): Compared {
  const found = new Map([...readRows(stored, query, plan)].map((row) => [JSON.stringify(row.keys), row.values]))
  const unit = unitOf(query)
  const pairs = unit ? pairBuckets(unit, now.buckets, plan.buckets, previous) : []
  const valuesOf = ({ keys }: Row): Values => valuesBefore(query, keys, pairs, found)
  return { range: previous.range, valuesOf, totals, approximate: isApproximate(plan, found.values(), totals) }
}

/** Nothing counted is 0; where the calendar has nothing to pair with it is null. */
function valuesBefore(
  query: ReportQuery,
  keys: readonly Key[],
  pairs: readonly (number | null)[],
  found: ReadonlyMap<string, Values>,
): Values {
  const at = query.dimensions.findIndex(({ kind }) => kind === 'bucket')
  const paired = at === -1 ? null : pairs[keys[at] as number]!
  if (at !== -1 && paired === null) return Object.fromEntries(query.metrics.map((name) => [name, null]))
  const before = keys.map((key, i) => (i === at ? paired : key))
  return found.get(JSON.stringify(before)) ?? emptyValues(query.metrics)
}

/** Values of the page's rows, dimension by dimension; null for buckets, of which all are asked. */
function keysOf(query: ReportQuery, page: Sized<Row>): Keys {
  return query.dimensions.map(({ kind }, i) => (kind === 'bucket' ? null : [...mapSized(page, ({ keys }) => keys[i]!)]))
}

function sideBySide(now: Values, before: Values): { previous: Values; growth: Values } {
  const names = Object.keys(now) as MetricName[]
  return {
    previous: before,
    growth: Object.fromEntries(names.map((name) => [name, growth(now[name]!, before[name]!)])),
  }
}

const time = (ms: number): string => new Date(ms).toISOString()

/** The query as understood: every default spelled out, the period with its absolute borders. */
export function showQuery(query: ReportQuery, range: Range, before: Range | undefined): Record<string, unknown> {
  return {
    site: query.site,
    period: query.period,
    from: time(range.fromMs),
    to: time(range.toMs),
    timezone: query.timezone,
    metrics: query.metrics,
    dimensions: query.dimensions.map(({ name }) => name),
    ...(query.filter && { filter: showFilter(query.filter) }),
    ...(before && { compare: { from: time(before.fromMs), to: time(before.toMs) } }),
    order_by: shownOrder(query),
    limit: query.limit,
    offset: query.offset,
    include_bots: query.includeBots,
    ...(asksGoals(query) && { goals: query.goals.map(({ id }) => id) }),
    ...(query.weekStart !== 'monday' && { week_start: query.weekStart }),
  }
}

const asksGoals = ({ metrics, goals }: ReportQuery): boolean =>
  goals.length > 0 && metrics.some((name) => name.startsWith('conversion'))

const shownOrder = (query: ReportQuery): Order[] => (query.dimensions.length > 0 ? fullOrder(query) : [])
