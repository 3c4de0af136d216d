import { type Dimension, tellsOf } from './dimensions.ts'
import { filterRows, isOfSessions } from './filter-sql.ts'
import { type HitMeasure, METRICS, type Measure, type Metric, measuresOf, type SessionMeasure } from './metrics.ts'
import { alias, type Question } from './question.ts'
import {
  aroundPeriod,
  type DailyTable,
  dimensionSql,
  duringPeriod,
  hasValue,
  ownRows,
  type RawTable,
} from './rows-of.ts'
import { allOf, type Binder, nested } from './statement.ts'

/** How a table adds up a measure. Signed rows of sessions are sums, never FINAL. */
const OF_HITS: Record<HitMeasure, string> = {
  visitors: 'uniqExact(visitor_id)',
  page_views: "countIf(type = 'page_view')",
  events: "countIf(type = 'event')",
}
const OF_SESSIONS: Record<SessionMeasure, string> = {
  sessions: 'sum(sign)',
  bounces: 'sum(sign * is_bounce)',
  session_ms: 'sum(sign * toInt64(duration_ms))',
  session_views: 'sum(sign * toInt64(page_views))',
}
const OF_DAILY_HITS: Record<HitMeasure, string> = {
  visitors: 'uniqCombined64Merge(14)(visitors)',
  page_views: 'sum(page_views)',
  events: 'sum(events)',
}
const OF_DAILY_SESSIONS: Record<SessionMeasure, string> = {
  sessions: 'sum(sessions)',
  bounces: 'sum(bounces)',
  session_ms: 'sum(duration_ms)',
  session_views: 'sum(page_views)',
}

/** A SELECT of one source: dimensions d0, d1, … and measures m_…, one row for each value of the dimensions. */
export type Part = (question: Question, binder: Binder) => string

/** Visitors, page views and events from hits. */
export function fromHits(question: Question, binder: Binder): string {
  if (question.dimensions.every((dimension) => tellsOf(dimension).hits)) {
    return grouped('hits', OF_HITS, question, binder)
  }
  return fromHitsJoined(question, binder)
}

/** Sessions, bounces and durations from signed session rows. */
export function fromSessions(question: Question, binder: Binder): string {
  if (question.dimensions.every((dimension) => tellsOf(dimension).sessions)) {
    return grouped('sessions', OF_SESSIONS, question, binder)
  }
  return fromSessionsJoined(question, binder)
}

/** From the totals of each day. */
export const fromDailyHits: Part = (question, binder) => grouped('daily_hits', OF_DAILY_HITS, question, binder)
export const fromDailySessions: Part = (question, binder) =>
  grouped('daily_sessions', OF_DAILY_SESSIONS, question, binder)
/** Page views of each page and day. */
export const fromDailyPages: Part = (question, binder) => grouped('daily_pages', OF_DAILY_HITS, question, binder)

function grouped(
  table: RawTable | DailyTable,
  sums: Partial<Record<Measure, string>>,
  question: Question,
  binder: Binder,
): string {
  const { dimensions, filter } = question
  const raw = table === 'hits' || table === 'sessions'
  const where = [
    ...ownRows(table, question, binder),
    ...duringPeriod(table, question, binder),
    ...havingValues(dimensions, binder),
    ...(raw ? filterRows(filter, table, question, binder) : []),
  ]
  const values = dimensions.map((dimension, i) => `${dimensionSql(dimension, table, question, binder)} AS ${alias(i)}`)
  return select([...values, ...measures(sums, question)], `millrace.${table}`, where, dimensions)
}

const havingValues = (dimensions: readonly Dimension[], binder: Binder): string[] =>
  dimensions.map((dimension) => hasValue(dimension, binder)).filter((condition) => condition !== null)

/** Every measure of the question: what this source adds up, and 0 for what another one does. Floats hold counts to 2^53. */
function measures(sums: Partial<Record<Measure, string>>, { metrics }: Question): string[] {
  const { hits, sessions } = measuresOf(metrics)
  return [...hits, ...sessions].map((measure) => {
    const sum = sums[measure]
    return sum ? `toFloat64(${sum}) AS m_${measure}` : `toFloat64(0) AS m_${measure}`
  })
}

function select(columns: readonly string[], from: string, where: readonly string[], by: readonly unknown[]): string {
  const group = by.length > 0 ? `\nGROUP BY ${by.map((_, i) => alias(i)).join(', ')}` : ''
  return `SELECT ${columns.join(',\n  ')}\nFROM ${from}${where.length > 0 ? `\nWHERE ${allOf(where)}` : ''}${group}`
}

/** Indices of the dimensions that a table tells by itself, and of those it must ask the other one for. */
function split(dimensions: readonly Dimension[], table: RawTable): { own: number[]; foreign: number[] } {
  const all = dimensions.map((_, i) => i)
  const own = all.filter((i) => tellsOf(dimensions[i]!)[table])
  return { own, foreign: all.filter((i) => !own.includes(i)) }
}

const inner = (columns: readonly string[], table: RawTable, where: readonly string[], tail = ''): string =>
  nested(`SELECT ${columns.join(', ')}\nFROM millrace.${table}\nWHERE ${allOf(where)}${tail}`)

/** SELECT over hits and sessions, joined by session. */
function joined(
  columns: readonly string[],
  hits: string,
  sessions: string,
  unfold: string,
  by: readonly unknown[],
): string {
  const from = `${hits} AS hit\nINNER JOIN ${sessions} AS session USING session_id${unfold}`
  return select(columns, from, [], by)
}

/** A session counts for every value that its (chosen) hits have, such as every path it saw, once for each. */
function fromSessionsJoined(question: Question, binder: Binder): string {
  const { dimensions, filter, metrics } = question
  const { own, foreign } = split(dimensions, 'sessions')
  const value = (i: number, table: RawTable) => dimensionSql(dimensions[i]!, table, question, binder)
  const table: RawTable = filter && isOfSessions(filter) ? 'sessions' : 'hits'
  const chosen = filterRows(filter, table, question, binder)

  const ofHits = [...ownRows('hits', question, binder), ...aroundPeriod(2, question, binder)]
  ofHits.push(...havingValues(pick(dimensions, foreign), binder), ...(table === 'hits' ? chosen : []))
  // Values are collected by session before the join: twice as fast as joining distinct pairs of session and value.
  const values = `groupUniqArray(tuple(${foreign.map((i) => value(i, 'hits')).join(', ')})) AS of_hits`
  const hits = inner(['session_id', values], 'hits', ofHits, '\nGROUP BY session_id')

  const ofSessions = [...ownRows('sessions', question, binder), ...duringPeriod('sessions', question, binder)]
  ofSessions.push(...(table === 'sessions' ? chosen : []))
  const measured = measuresOf(metrics).sessions
  const sums = measured.map((measure) => `${OF_SESSIONS[measure]} AS s_${measure}`)
  const keys = own.map((i) => `${value(i, 'sessions')} AS ${alias(i)}`)
  const byKeys = `\nGROUP BY ${['session_id', ...own.map(alias)].join(', ')}\nHAVING sum(sign) != 0`
  const sessions = inner(['session_id', ...keys, ...sums], 'sessions', ofSessions, byKeys)

  const shown = dimensions.map((_, i) =>
    foreign.includes(i) ? `tupleElement(found, ${foreign.indexOf(i) + 1}) AS ${alias(i)}` : alias(i),
  )
  const totals = Object.fromEntries(measured.map((measure) => [measure, `sum(s_${measure})`]))
  return joined([...shown, ...measures(totals, question)], hits, sessions, '\nARRAY JOIN of_hits AS found', dimensions)
}

/** A hit counts under what only its session knows (the exit page). */
function fromHitsJoined(question: Question, binder: Binder): string {
  const { dimensions, filter } = question
  const { own, foreign } = split(dimensions, 'hits')
  const keys = (indices: readonly number[], table: RawTable) =>
    indices.map((i) => `${dimensionSql(dimensions[i]!, table, question, binder)} AS ${alias(i)}`)

  const ofHits = [...ownRows('hits', question, binder), ...duringPeriod('hits', question, binder)]
  ofHits.push(...havingValues(pick(dimensions, own), binder), ...filterRows(filter, 'hits', question, binder))
  const hits = inner(['session_id', 'visitor_id', 'type', ...keys(own, 'hits')], 'hits', ofHits)

  const ofSessions = [...ownRows('sessions', question, binder), ...aroundPeriod(2, question, binder)]
  const byKeys = `\nGROUP BY ${['session_id', ...foreign.map(alias)].join(', ')}\nHAVING sum(sign) > 0`
  const sessions = inner(['session_id', ...keys(foreign, 'sessions')], 'sessions', ofSessions, byKeys)
  const shown = dimensions.map((_, i) => alias(i))
  return joined([...shown, ...measures(OF_HITS, question)], hits, sessions, '', dimensions)
}

const pick = <T>(list: readonly T[], indices: readonly number[]): T[] => indices.map((i) => list[i]!)

/** Puts sources side by side: each fills its own measures, one row for each value of the dimensions. */
export function combine(parts: readonly string[], { dimensions, metrics }: Question): string {
  if (parts.length === 1) return parts[0]!
  const { hits, sessions } = measuresOf(metrics)
  const sums = [...hits, ...sessions].map((measure) => `sum(m_${measure}) AS m_${measure}`)
  const columns = [...dimensions.map((_, i) => alias(i)), ...sums]
  return select(columns, nested(parts.join('\nUNION ALL\n')), [], dimensions)
}

/** SQL of a metric over its measures; null where it is undefined. */
function metricSql(metric: Metric): string {
  return metric.per ? `if(m_${metric.per} = 0, NULL, m_${metric.of} / m_${metric.per})` : `m_${metric.of}`
}

export interface RowsOptions {
  /** ORDER BY and LIMIT in SQL; without, all rows in any order. */
  readonly order: readonly string[] | null
  readonly limit: number
  readonly offset: number
  /** Further conditions on d0, d1, … */
  readonly where: readonly string[]
}

/** The rows: those of which at least one asked number is not 0. `row_count` is how many there are before LIMIT. */
export function selectRows(source: string, question: Question, options: RowsOptions, { bind }: Binder): string {
  const { hits, sessions } = measuresOf(question.metrics)
  const counted = [...hits, ...sessions].map((measure) => `m_${measure} != 0`)
  const metrics = question.metrics.map((name) => `${metricSql(METRICS[name])} AS ${name}`)
  const columns = [...question.dimensions.map((_, i) => alias(i)), ...metrics]
  if (options.order) columns.push('toUInt32(count() OVER ()) AS row_count')
  const sql = select(columns, nested(source), [`(${counted.join(' OR ')})`, ...options.where], [])
  if (!options.order) return sql
  const page = `LIMIT ${bind('limit', 'UInt32', options.limit)} OFFSET ${bind('offset', 'UInt32', options.offset)}`
  return `${sql}\nORDER BY ${options.order.join(', ')}\n${page}`
}

/** All numbers of the question in one row. */
export function selectTotals(source: string, { metrics }: Question): string {
  return select(
    metrics.map((name) => `${metricSql(METRICS[name])} AS ${name}`),
    nested(source),
    [],
    [],
  )
}
