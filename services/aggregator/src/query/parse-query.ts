import { type ErrorCode, type FieldError, type LocalDays, MillraceError } from '@millrace/shared'
import type { Static } from '@sinclair/typebox'
import { TypeCompiler, ValueErrorType } from '@sinclair/typebox/compiler'
import { estimateBuckets, MAX_ROWS, WEEK_STARTS, type WeekStart } from './buckets.ts'
import { type BucketDimension, CYCLES, DIMENSION_NAMES, type Dimension, findDimension, isTime } from './dimensions.ts'
import { type Filter, parseFilter } from './filter.ts'
import type { Goal } from './goals.ts'
import { METRIC_NAMES, type MetricName } from './metrics.ts'
import { NAMED_PERIODS, type Period, PeriodError, type Range, resolvePeriod } from './period.ts'
import { NAMED_COMPARISONS, QuerySchema } from './schema.ts'
import { findZone } from './zones.ts'

export interface Order {
  readonly field: string
  readonly direction: 'asc' | 'desc'
}
export type Comparison = (typeof NAMED_COMPARISONS)[number] | { readonly range: Range }

/** A query as understood. */
export interface ReportQuery {
  readonly site: string
  readonly timezone: string
  readonly zone: LocalDays
  readonly period: Period
  /** Null for the period `all`, until it is known since when there is data. */
  readonly range: Range | null
  readonly metrics: readonly MetricName[]
  readonly dimensions: readonly Dimension[]
  readonly filter: Filter | null
  readonly compare: Comparison | null
  readonly orderBy: readonly Order[]
  readonly limit: number
  readonly offset: number
  readonly includeBots: boolean
  /** First day that the site still keeps; null = it keeps all. */
  readonly keptFrom: number | null
  /** What conversions are: the goals asked for, else all of the site. */
  readonly goals: readonly Goal[]
  readonly weekStart: WeekStart
}

export interface ParseContext {
  readonly nowMs: number
  /** Zone of the site. */
  readonly siteZone: string
  /** Site of a query that names none. */
  readonly defaultSite?: string
  /** What `include_bots` is where the query does not say. */
  readonly includeBots?: boolean
  /** How many days before today the site keeps; 0 = all. */
  readonly retentionDays?: number
  /** Goals of the site. */
  readonly goals?: readonly Goal[]
}

/** Rows of an answer when the query does not say: enough for a card. Charts get all their buckets. */
export const DEFAULT_LIMIT = 100
/** Site of a query that names none. */
export const DEFAULT_SITE = 'default'

type Body = Static<typeof QuerySchema> & { period: Period; metrics: MetricName[]; week_start?: WeekStart }
const form = TypeCompiler.Compile(QuerySchema)

/**
 * Reads a query as sent.
 * @throws MillraceError with every mistake and its JSON pointer; its code is theirs if they share one, else query_invalid
 */
export function parseQuery(input: unknown, context: ParseContext): ReportQuery {
  const errors: FieldError[] = []
  const body = checkForm(input, errors)
  const zone = readZone(body.timezone, context, errors)
  const range =
    zone && body.period !== undefined ? readPeriod(body.period, '/period', zone, context.nowMs, errors) : null
  const dimensions = readDimensions(body.dimensions, errors)
  const filter = body.filter === undefined ? null : parseFilter(body.filter, '/filter', errors)
  const compare = body.compare === undefined || !zone ? null : readCompare(body, zone, context.nowMs, errors)
  checkTwice('/metrics', body.metrics, errors)
  checkRowCount(dimensions, range, errors)
  const orderBy = readOrder(body, errors)
  const goals = readGoals(body.goals, context, errors)
  if (errors.length > 0) throw refusal(errors)
  return {
    site: body.site ?? context.defaultSite ?? DEFAULT_SITE,
    timezone: body.timezone ?? context.siteZone,
    zone: zone!,
    period: body.period!,
    range,
    metrics: body.metrics!,
    dimensions,
    filter,
    compare,
    orderBy,
    limit: body.limit ?? (dimensions.some(isTime) ? MAX_ROWS : DEFAULT_LIMIT),
    offset: body.offset ?? 0,
    includeBots: body.include_bots ?? context.includeBots ?? false,
    keptFrom: firstKeptDay(context),
    goals,
    weekStart: body.week_start ?? 'monday',
  }
}

/** Today in the site's zone less the days that it keeps. */
function firstKeptDay({ retentionDays = 0, siteZone, nowMs }: ParseContext): number | null {
  const zone = retentionDays > 0 ? findZone(siteZone) : null
  return zone && Math.max(zone.dayOf(nowMs) - retentionDays, 0)
}

/** The error that names all mistakes of a query. */
export function refusal(errors: readonly FieldError[]): MillraceError {
  const codes = new Set(errors.map((error) => error.code))
  const own: ErrorCode[] = ['period_invalid', 'timezone_unknown']
  const code = codes.size === 1 && own.includes(errors[0]!.code) ? errors[0]!.code : 'query_invalid'
  const detail = errors.map((error) => `${error.pointer || 'The query'} ${error.detail}`).join('; ')
  return new MillraceError(code, `${detail}.`, errors)
}

/** The fields that are well formed; the others are reported. Every field is checked, whatever is wrong with its neighbours. */
function checkForm(input: unknown, errors: FieldError[]): Partial<Body> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    errors.push({ code: 'field_invalid', pointer: '', detail: 'must be a JSON object' })
    throw refusal(errors)
  }
  const bad = new Set<string>()
  const seen = new Set<string>()
  for (const error of form.Errors(input)) {
    bad.add(error.path.split('/')[1]!.replaceAll('~1', '/').replaceAll('~0', '~'))
    if (seen.has(error.path)) continue
    seen.add(error.path)
    errors.push(describe(error))
  }
  return Object.fromEntries(Object.entries(input).filter(([name]) => !bad.has(name))) as Partial<Body>
}

function describe({ type, path, message }: { type: ValueErrorType; path: string; message: string }): FieldError {
  if (type === ValueErrorType.ObjectAdditionalProperties) {
    return { code: 'field_unknown', pointer: path, detail: 'is not a field of a query' }
  }
  if (type === ValueErrorType.ObjectRequiredProperty)
    return { code: 'field_missing', pointer: path, detail: 'is missing' }
  if (path === '/period') {
    const detail = `must be one of ${NAMED_PERIODS.join(', ')}, or {"from": …, "to": …}`
    return { code: 'period_invalid', pointer: path, detail }
  }
  const choices = choicesOf(path)
  const detail = choices ? `must be one of ${choices}` : `${message[0]!.toLowerCase()}${message.slice(1)}`
  return { code: 'field_invalid', pointer: path, detail }
}

function choicesOf(path: string): string | null {
  if (/^\/metrics\/\d+$/.test(path)) return METRIC_NAMES.join(', ')
  if (path === '/week_start') return Object.keys(WEEK_STARTS).join(', ')
  if (path === '/compare') return `${NAMED_COMPARISONS.join(', ')}, or {"from": …, "to": …}`
  return /^\/order_by\/\d+\/direction$/.test(path) ? 'asc, desc' : null
}

function readZone(timezone: string | undefined, { siteZone }: ParseContext, errors: FieldError[]): LocalDays | null {
  const zone = findZone(timezone ?? siteZone)
  if (!zone) {
    const detail = `${JSON.stringify(timezone ?? siteZone)} is not an IANA time zone such as Europe/Vienna`
    errors.push({ code: 'timezone_unknown', pointer: '/timezone', detail })
  }
  return zone
}

function readPeriod(
  period: Period,
  pointer: string,
  zone: LocalDays,
  nowMs: number,
  errors: FieldError[],
): Range | null {
  if (period === 'all') return null
  try {
    return resolvePeriod(period, zone, nowMs)
  } catch (error) {
    if (!(error instanceof PeriodError)) throw error
    errors.push({ code: 'period_invalid', pointer: `${pointer}${error.pointer}`, detail: error.message })
    return null
  }
}

function readCompare(
  { compare, period }: Partial<Body>,
  zone: LocalDays,
  nowMs: number,
  errors: FieldError[],
): Comparison | null {
  if (period === 'all') {
    errors.push({
      code: 'field_invalid',
      pointer: '/compare',
      detail: 'has nothing to compare with: the period is all',
    })
    return null
  }
  if (typeof compare === 'string') return compare as Comparison
  const range = readPeriod(compare as Period, '/compare', zone, nowMs, errors)
  return range && { range }
}

function readGoals(
  ids: readonly string[] | undefined,
  { goals = [] }: ParseContext,
  errors: FieldError[],
): readonly Goal[] {
  checkTwice('/goals', ids, errors)
  return (
    ids?.flatMap((id, i) => goals.find((goal) => goal.id === id) ?? unknownGoal(id, `/goals/${i}`, errors)) ?? goals
  )
}

function unknownGoal(id: string, pointer: string, errors: FieldError[]): [] {
  errors.push({ code: 'field_invalid', pointer, detail: `${JSON.stringify(id)} is not a goal of the site` })
  return []
}

function readDimensions(names: readonly string[] | undefined, errors: FieldError[]): Dimension[] {
  const dimensions: Dimension[] = []
  let buckets = 0
  names?.forEach((name, i) => {
    const dimension = findDimension(name)
    if (!dimension) {
      const detail = `${JSON.stringify(name)} is not a dimension; dimensions are ${DIMENSION_NAMES.join(', ')}, props.KEY, tags.KEY`
      errors.push({ code: 'field_invalid', pointer: `/dimensions/${i}`, detail })
      return
    }
    if (dimension.kind === 'bucket' && ++buckets > 1) {
      errors.push({
        code: 'field_invalid',
        pointer: `/dimensions/${i}`,
        detail: 'is a second one that cuts time into buckets',
      })
    }
    dimensions.push(dimension)
  })
  checkTwice('/dimensions', names, errors)
  return dimensions
}

function checkTwice(pointer: string, names: readonly string[] | undefined, errors: FieldError[]): void {
  names?.forEach((name, i) => {
    if (names.indexOf(name) < i)
      errors.push({ code: 'field_invalid', pointer: `${pointer}/${i}`, detail: `names ${name} twice` })
  })
}

/** Refuses more buckets than an answer may have rows. */
export function checkRowCount(dimensions: readonly Dimension[], range: Range | null, errors: FieldError[]): void {
  const at = dimensions.findIndex((dimension) => dimension.kind === 'bucket')
  if (at === -1 || !range) return
  const cycles = dimensions.map((d) => (d.kind === 'cycle' ? CYCLES[d.name][1] - CYCLES[d.name][0] + 1 : 1))
  const rows = cycles.reduce((a, b) => a * b, estimateBuckets((dimensions[at] as BucketDimension).unit, range))
  if (rows <= MAX_ROWS) return
  const detail = `makes about ${rows} rows of this period; at most ${MAX_ROWS} are answered`
  errors.push({ code: 'field_invalid', pointer: `/dimensions/${at}`, detail })
}

function readOrder({ order_by, metrics, dimensions }: Partial<Body>, errors: FieldError[]): Order[] {
  const fields: string[] = [...(metrics ?? []), ...(dimensions ?? [])]
  const order: Order[] = []
  order_by?.forEach(({ field, direction }, i) => {
    if (metrics && !fields.includes(field)) {
      const detail = `${JSON.stringify(field)} is neither a metric nor a dimension of this query`
      errors.push({ code: 'field_invalid', pointer: `/order_by/${i}/field`, detail })
    }
    const usual = metrics?.includes(field as MetricName) ? 'desc' : 'asc'
    order.push({ field, direction: (direction as Order['direction'] | undefined) ?? usual })
  })
  return order
}
