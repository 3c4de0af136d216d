import { type Bucket, type BucketUnit, bucketsOf } from './buckets.ts'
import { isTime } from './dimensions.ts'
import { METRICS, type Metric, type MetricName, measuresOf, PARTS, type Part } from './metrics.ts'
import type { Order, ReportQuery } from './parse-query.ts'
import type { Range } from './period.ts'
import { alias, type Question } from './question.ts'
import { chooseSource, isByDay, type Source, type SourceContext } from './source.ts'
import {
  combine,
  countsFew,
  foldsPages,
  fromDailyHits,
  fromDailyPages,
  fromDailySessions,
  fromEntries,
  fromExits,
  fromHits,
  fromQuarters,
  fromSessions,
  fromViews,
  type PartSql,
  rowsAddUp,
  selectRows,
  selectTotals,
} from './sql.ts'
import { createBinder, type Statement } from './statement.ts'
import { findZone } from './zones.ts'

/** How a query is answered. Pure: the same query, range and context make the same plan. */
export interface Plan {
  readonly source: Source
  /** Where the totals come from: without dimensions more can be read from the totals of days. */
  readonly totalsSource: Source
  /** Visitors of the rows, or the totals, are a sketch: see SKETCH_ERROR. */
  readonly sketch: { readonly rows: boolean; readonly totals: boolean }
  readonly byDay: boolean
  readonly buckets: readonly Bucket[]
  /** Rows come without order and limit and are filled, sorted and cut afterwards: all dimensions are time. */
  readonly fill: boolean
  /** Null without dimensions: the totals are the only row. */
  readonly rows: Statement | null
  readonly totals: Statement
  /** The rows have the totals with them, as t_…: the other statement is for when there is no row. */
  readonly totalsInRows: boolean
  /** A cheaper way to the rows, which may fail; null = there is none. */
  readonly few: Few | null
}

/**
 * First the paths that are likely to be on the page of rows, then the rows from the first one on (one that is too far up may
 * have pushed others down). If another path is among these, `rows` of the plan are to be asked.
 */
interface Few {
  readonly likely: Statement
  rows(likely: readonly string[]): Statement
}

/** Values of the dimensions that are not time, one list for each row: `keys[i]` belongs to `dimensions[i]` of the query. */
export type Keys = readonly (readonly (string | number)[] | null)[]

/**
 * Plans a query over a range. With `keys` only rows with these values are asked for, all of them: what a comparison needs.
 */
export function planQuery(query: ReportQuery, range: Range, context: SourceContext, keys: Keys | null = null): Plan {
  const source = chooseSource(query, range, context)
  const question = ask(query, range, context.siteZone)
  const totalsSource = chooseSource({ ...query, dimensions: [] }, range, context)
  const isSketch = (from: Source): boolean => from === 'daily_totals' && query.metrics.includes('visitors')
  const isRaw = totalsSource === 'hits' || totalsSource === 'sessions' || totalsSource === 'hits_and_sessions'
  const totalsInRows = keys === null && question.dimensions.length > 0 && isRaw && rowsAddUp(question)
  const fill = question.dimensions.length > 0 && question.dimensions.every(isTime)
  const viewsFrom = chooseSource({ ...query, metrics: ['page_views'] }, range, context)
  const rows = (more: Partial<Question>, page: Pick<ReportQuery, 'limit' | 'offset'>): Statement =>
    rowsStatement(
      source,
      { ...question, ...more },
      { ...query, ...page },
      { fill, keys, totals: totalsInRows, viewsFrom },
    )
  const fromFirst = { limit: query.offset + query.limit, offset: 0 }
  return {
    source,
    totalsSource,
    sketch: { rows: isSketch(source), totals: isSketch(totalsSource) },
    byDay: question.byDay,
    buckets: question.buckets,
    fill,
    rows: question.dimensions.length > 0 ? rows({}, query) : null,
    totals: totalsStatement(totalsSource, ask({ ...query, dimensions: [] }, range, context.siteZone)),
    totalsInRows,
    few:
      keys === null && viewsFrom === 'daily_pages' && countsFew(question) && isByCounts(query)
        ? { likely: likelyPaths(query, question), rows: (likely) => rows({ likely }, fromFirst) }
        : null,
  }
}

/**
 * Rows and totals of a query that the totals of days answer alone, by one dimension or none, with those of the period before;
 * null if they do not. `page_views` and `events` are told, too, where it has to be known whether visitors could be counted.
 */
export function planDays(query: ReportQuery, range: Range, before: Range | null, siteZone: string): Statement | null {
  const context: SourceContext = { siteZone, hitsInPeriod: Number.POSITIVE_INFINITY }
  const isOfDays = (one: Range): boolean => chooseSource(query, one, context) === 'daily_totals'
  if (query.dimensions.length > 1 || !isOfDays(range)) return null
  if (before && (!isOfDays(before) || before.toMs > range.fromMs)) return null
  const asked = query.metrics.includes('visitors') ? [...query.metrics, ...COUNTED] : query.metrics
  const now = ask({ ...query, metrics: [...new Set(asked)] }, range, siteZone)
  const rolledUp = query.dimensions.length > 0
  const earlier = before ? ask(query, before, siteZone).buckets.filter(({ day }) => day < now.buckets[0]!.day) : []
  const question: Question = {
    ...now,
    rolledUp,
    buckets: [...earlier, ...now.buckets],
    ...(before && { before: before.days! }),
  }
  const binder = createBinder()
  const source = combine(
    partsOf('daily_totals', question).map((part) => part(question, binder)),
    question,
  )
  const all = { order: null, limit: 0, offset: 0, where: [], totals: false }
  const sql = rolledUp ? selectRows(source, question, all, binder) : selectTotals(source, question)
  return { sql, params: binder.params }
}
const COUNTED: readonly MetricName[] = ['page_views', 'events']

/** More rows are asked for as they are: most of all paths would be likely. */
const FEW_ROWS = 50

/**
 * Whether a number that is too high for distinct ids can put a row too far up only, where it shows: rates of them, or the
 * lowest first, it would hide.
 */
function isByCounts(query: ReportQuery): boolean {
  if (query.offset + query.limit > FEW_ROWS) return false
  return fullOrder(query).every(({ field, direction }) => {
    if (!(field in METRICS)) return true
    const { of, per }: Metric = METRICS[field as MetricName]
    if (per === undefined && direction === 'desc') return true
    return [of, per].every((measure) => measure !== 'visitors' && measure !== 'sessions')
  })
}

/** The paths with most page views: as many as rows are to be shown, if these are the first by that; else three times as many. */
function likelyPaths(query: ReportQuery, question: Question): Statement {
  const binder = createBinder()
  const views: Question = { ...question, metrics: ['page_views'] }
  const order = ['m_page_views DESC', 'd0']
  const { field, direction } = fullOrder(query)[0]!
  const limit = (field === 'page_views' && direction === 'desc' ? 1 : 3) * (query.offset + query.limit)
  const sql = `${fromDailyPages(views, binder)}\nORDER BY ${order.join(', ')}\nLIMIT ${binder.bind('limit', 'UInt32', limit)}`
  return { sql, params: binder.params }
}

/** A query over a range, without how its rows are shown. */
export function ask(query: ReportQuery, range: Range, siteZone: string): Question {
  return {
    site: query.site,
    metrics: query.metrics,
    dimensions: query.dimensions,
    range,
    zone: query.zone,
    byDay: isByDay(query, range, siteZone),
    buckets: unitOf(query) ? bucketsOf(unitOf(query)!, range, query.zone, query.weekStart) : [],
    filter: query.filter,
    includeBots: query.includeBots,
    goals: query.goals,
    weekStart: query.weekStart,
    siteZone: findZone(siteZone)?.zone ?? siteZone,
    keptFrom: query.keptFrom,
  }
}

/** Unit of the dimension that cuts time; undefined if there is none. */
export function unitOf({ dimensions }: Pick<ReportQuery, 'dimensions'>): BucketUnit | undefined {
  return dimensions.find((dimension) => dimension.kind === 'bucket')?.unit
}

function rowsStatement(
  source: Source,
  question: Question,
  query: ReportQuery,
  { fill, keys, totals, viewsFrom }: { fill: boolean; keys: Keys | null; totals: boolean; viewsFrom: Source },
): Statement {
  const binder = createBinder()
  const rows = combine(
    partsOf(source, question, viewsFrom).map((part) => part(question, binder)),
    question,
  )
  const where = keys ? sameKeys(question, keys, binder) : []
  const order = fill || keys ? null : orderOf(query)
  const sql = selectRows(rows, question, { order, limit: query.limit, offset: query.offset, where, totals }, binder)
  return { sql, params: binder.params }
}

/** Totals are the same question without dimensions. */
function totalsStatement(source: Source, question: Question): Statement {
  const binder = createBinder()
  const parts = partsOf(source, question).map((part) => part(question, binder))
  return { sql: selectTotals(combine(parts, question), question), params: binder.params }
}

const OF_PARTS: Record<Part, PartSql> = {
  hits: fromHits,
  views: fromViews,
  sessions: fromSessions,
  entries: fromEntries,
  exits: fromExits,
}

/** `viewsFrom`: what tells page views, if nothing else is asked of the hits themselves. */
function partsOf(source: Source, question: Question, viewsFrom: Source = source): PartSql[] {
  if (source === 'daily_pages') return [fromDailyPages]
  if (source === 'quarter_hours') return [fromQuarters]
  const asked = { ...measuresOf(question.metrics), ...(foldsPages(question) && { entries: [], exits: [] }) }
  const onlyViews = asked.hits.every((name) => name === 'page_views')
  const ofParts =
    source === 'daily_totals'
      ? { ...OF_PARTS, hits: fromDailyHits, sessions: fromDailySessions }
      : { ...OF_PARTS, ...(onlyViews && viewsFrom === 'daily_pages' && { hits: fromDailyPages }) }
  return PARTS.filter((part) => asked[part].length > 0).map((part) => ofParts[part])
}

/** As asked; else by time, then most first. Then by the dimensions: never two orders for one answer. Null is last. */
export function fullOrder(query: Pick<ReportQuery, 'orderBy' | 'dimensions' | 'metrics'>): Order[] {
  const { orderBy, dimensions, metrics } = query
  const order: Order[] = [...orderBy]
  if (order.length === 0) {
    for (const { name } of dimensions.filter(isTime)) order.push({ field: name, direction: 'asc' })
    if (!dimensions.every(isTime)) order.push({ field: metrics[0]!, direction: 'desc' })
  }
  for (const { name } of dimensions) {
    if (!order.some(({ field }) => field === name)) order.push({ field: name, direction: 'asc' })
  }
  return order
}

function orderOf(query: ReportQuery): string[] {
  return fullOrder(query).map(({ field, direction }) => {
    const at = query.dimensions.findIndex(({ name }) => name === field)
    return `${at === -1 ? field : alias(at)} ${direction.toUpperCase()} NULLS LAST`
  })
}

function sameKeys({ dimensions }: Question, keys: Keys, { bind }: ReturnType<typeof createBinder>): string[] {
  const at = keys.map((values, i) => ({ values, i })).filter(({ values }) => values !== null)
  if (at.length === 0) return []
  const lists = at.map(({ values, i }) => {
    const dimension = dimensions[i]!
    const type = 'type' in dimension ? dimension.type : 'UInt8'
    return `${bind(`keys_${i}`, `Array(${type})`, values)} AS k${i}`
  })
  const names = at.map(({ i }) => `k${i}`).join(', ')
  const own = at.map(({ i }) => alias(i)).join(', ')
  return [`(${own}) IN (SELECT ${names} FROM (SELECT ${lists.join(', ')}) ARRAY JOIN ${names})`]
}
