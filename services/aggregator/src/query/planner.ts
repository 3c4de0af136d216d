import { type Bucket, type BucketUnit, bucketsOf } from './buckets.ts'
import { isTime } from './dimensions.ts'
import { measuresOf } from './metrics.ts'
import type { Order, ReportQuery } from './parse-query.ts'
import type { Range } from './period.ts'
import { alias, type Question } from './question.ts'
import { chooseSource, isByDay, type Source, type SourceContext } from './source.ts'
import {
  combine,
  fromDailyHits,
  fromDailyPages,
  fromDailySessions,
  fromHits,
  fromSessions,
  type Part,
  selectRows,
  selectTotals,
} from './sql.ts'
import { createBinder, type Statement } from './statement.ts'

/** How a query is answered. Pure: the same query, range and context make the same plan. */
export interface Plan {
  readonly source: Source
  /** Visitors are a sketch: see SKETCH_ERROR. */
  readonly sketch: boolean
  readonly byDay: boolean
  readonly buckets: readonly Bucket[]
  /** Rows come without order and limit and are filled, sorted and cut afterwards: all dimensions are time. */
  readonly fill: boolean
  /** Null without dimensions: the totals are the only row. */
  readonly rows: Statement | null
  readonly totals: Statement
}

/** Values of the dimensions that are not time, one list for each row: `keys[i]` belongs to `dimensions[i]` of the query. */
export type Keys = readonly (readonly (string | number)[] | null)[]

/**
 * Plans a query over a range. With `keys` only rows with these values are asked for, all of them: what a comparison needs.
 */
export function planQuery(query: ReportQuery, range: Range, context: SourceContext, keys: Keys | null = null): Plan {
  const source = chooseSource(query, range, context)
  const question = ask(query, range, context.siteZone)
  const fill = question.dimensions.length > 0 && question.dimensions.every(isTime)
  return {
    source,
    sketch: source === 'daily_totals' && query.metrics.includes('visitors'),
    byDay: question.byDay,
    buckets: question.buckets,
    fill,
    rows: question.dimensions.length > 0 ? rowsStatement(source, question, query, fill, keys) : null,
    totals: totalsStatement(source, question),
  }
}

function ask(query: ReportQuery, range: Range, siteZone: string): Question {
  return {
    site: query.site,
    metrics: query.metrics,
    dimensions: query.dimensions,
    range,
    zone: query.zone,
    byDay: isByDay(query, range, siteZone),
    buckets: unitOf(query) ? bucketsOf(unitOf(query)!, range, query.zone) : [],
    filter: query.filter,
    includeBots: query.includeBots,
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
  fill: boolean,
  keys: Keys | null,
): Statement {
  const binder = createBinder()
  const rows = combine(
    partsOf(source, question).map((part) => part(question, binder)),
    question,
  )
  const where = keys ? sameKeys(question, keys, binder) : []
  const order = fill || keys ? null : orderOf(query)
  const sql = selectRows(rows, question, { order, limit: query.limit, offset: query.offset, where }, binder)
  return { sql, params: binder.params }
}

/** Totals are the same question without dimensions. Those of pages are the site's: every page view has a page. */
function totalsStatement(source: Source, question: Question): Statement {
  const binder = createBinder()
  const whole: Question = { ...question, dimensions: [], buckets: [] }
  const from = source === 'daily_pages' ? 'daily_totals' : source
  const sql = selectTotals(
    combine(
      partsOf(from, whole).map((part) => part(whole, binder)),
      whole,
    ),
    whole,
  )
  return { sql, params: binder.params }
}

function partsOf(source: Source, { metrics }: Question): Part[] {
  if (source === 'daily_pages') return [fromDailyPages]
  const { hits, sessions } = measuresOf(metrics)
  const daily = source === 'daily_totals'
  return [
    ...(hits.length > 0 ? [daily ? fromDailyHits : fromHits] : []),
    ...(sessions.length > 0 ? [daily ? fromDailySessions : fromSessions] : []),
  ]
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
