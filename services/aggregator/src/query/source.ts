import { tellsOf } from './dimensions.ts'
import { asksSession, conditionsOf } from './filter.ts'
import { allMeasures, measuresOf } from './metrics.ts'
import { addsUp } from './page-times.ts'
import type { ReportQuery } from './parse-query.ts'
import type { Range } from './period.ts'
import { tellsOfPage } from './rows-of.ts'
import { findZone } from './zones.ts'

/** Where an answer's numbers come from. Closed list; part of the API. */
export const SOURCES = [
  'hits',
  'sessions',
  'hits_and_sessions',
  'daily_totals',
  'daily_pages',
  'quarter_hours',
] as const
export type Source = (typeof SOURCES)[number]

export interface SourceContext {
  /** Zone of the column `day`. */
  readonly siteZone: string
  /** Page views and events of the site in the period, to tell what a scan of the hits would cost. */
  readonly hitsInPeriod: number
}

/**
 * Up to here visitors are counted from the hits, exactly, whatever a sketch would save: about 10 ms on one core. Larger
 * sites get the sketch of the daily totals.
 */
export const EXACT_VISITORS_MAX_HITS = 100_000

/** Largest number that a sketch of uniqCombined64(14) is sure to count exactly (a set of hashes up to 512, also merged). */
export const SKETCH_EXACT_UP_TO = 400
/** Average relative error of the sketch above that. */
export const SKETCH_ERROR = 0.007

type Asked = Pick<ReportQuery, 'metrics' | 'dimensions' | 'filter' | 'zone' | 'goals'>

const DAILY_MEASURES = [
  'visitors',
  'page_views',
  'events',
  'event_ms',
  'timed_events',
  'revenue',
  'sessions',
  'bounces',
  'session_ms',
  'session_views',
]
const QUARTER_MS = 900_000

/** The cheapest source that can answer a query. */
export function chooseSource(query: Asked, range: Range, context: SourceContext): Source {
  const measures = allMeasures(query.metrics)
  if (tellsByDay(query, range, context)) {
    if (query.dimensions.every(({ kind }) => kind !== 'column')) {
      const dear = measures.includes('visitors') && context.hitsInPeriod <= EXACT_VISITORS_MAX_HITS
      if (!dear && measures.every((measure) => DAILY_MEASURES.includes(measure))) return 'daily_totals'
    } else if (measures.every((measure) => measure === 'page_views')) {
      if (query.dimensions.every(({ kind, name }) => kind !== 'column' || PAGE.includes(name))) return 'daily_pages'
    }
  }
  if (tellsByQuarter(query, range) && measures.every((measure) => measure === 'page_views')) return 'quarter_hours'
  const tables = tablesOf(query)
  return tables.hits && tables.sessions ? 'hits_and_sessions' : tables.hits ? 'hits' : 'sessions'
}

/** The tables of single rows that a query has to read. */
function tablesOf({ metrics, dimensions, filter, goals }: Asked): { hits: boolean; sessions: boolean } {
  const { hits, views, sessions, entries, exits } = measuresOf(metrics)
  const tables = { hits: hits.length + views.length > 0, sessions: sessions.length + entries.length + exits.length > 0 }
  const all = [...dimensions, ...conditionsOf(filter).map(({ dimension }) => dimension)]
  if (asksSession(filter)) tables.hits = true
  if (views.length > 0 && addsUp({ dimensions, filter })) tables.sessions = true
  if (tables.hits && all.some((dimension) => !tellsOf(dimension).hits)) tables.sessions = true
  if (hits.includes('conversions') || hits.includes('converted')) {
    if (goals.some(({ is }) => is.type === 'duration')) tables.sessions = true
  }
  if (sessions.length > 0 && all.some((dimension) => !tellsOf(dimension).sessions)) tables.hits = true
  if (entries.length > 0 && all.some((dimension) => !tellsOfPage(dimension, 'entries'))) tables.hits = true
  if (exits.length > 0 && all.some((dimension) => !tellsOfPage(dimension, 'exits'))) tables.hits = true
  return tables
}
const PAGE = ['path', 'hostname']

/** Whether visitors might come from a sketch, so that it matters how many hits the period has. */
export function mayUseSketch(query: Asked, range: Range, siteZone: string): boolean {
  const whole = { ...query, dimensions: [] }
  const context = { siteZone, hitsInPeriod: Number.POSITIVE_INFINITY }
  return query.metrics.includes('visitors') && chooseSource(whole, range, context) === 'daily_totals'
}

/** Whether the column `day` tells the period: whole days, in the zone that it is kept in. */
export const isByDay = (query: Pick<ReportQuery, 'zone'>, range: Range, siteZone: string): boolean =>
  range.days !== null && query.zone.zone === findZone(siteZone)?.zone

function tellsByDay(query: Asked, range: Range, { siteZone }: SourceContext): boolean {
  if (query.filter !== null || !isByDay(query, range, siteZone)) return false
  return query.dimensions.every((dimension) => {
    if (dimension.kind === 'bucket') return dimension.unit !== 'minute' && dimension.unit !== 'hour'
    if (dimension.kind === 'cycle') return dimension.name === 'weekday'
    return dimension.kind === 'column'
  })
}

/** Whether quarters of an hour make up the period and its buckets: local midnights are at one in every zone since 1972. */
function tellsByQuarter({ filter, dimensions }: Asked, { fromMs, toMs }: Range): boolean {
  if (filter !== null || fromMs % QUARTER_MS !== 0 || toMs % QUARTER_MS !== 0 || fromMs < QUARTERS_SINCE_MS)
    return false
  return dimensions.every(({ kind, name }) => kind === 'cycle' || (kind === 'bucket' && name !== 'minute'))
}
/** 1973: the last zones whose offset was no multiple of a quarter of an hour had changed by then. */
const QUARTERS_SINCE_MS = Date.UTC(1973, 0, 1)
