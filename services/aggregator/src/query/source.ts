import { tellsOf } from './dimensions.ts'
import { conditionsOf } from './filter.ts'
import { measuresOf } from './metrics.ts'
import type { ReportQuery } from './parse-query.ts'
import type { Range } from './period.ts'
import { findZone } from './zones.ts'

/** Where an answer's numbers come from. Closed list; part of the API. */
export const SOURCES = ['hits', 'sessions', 'hits_and_sessions', 'daily_totals', 'daily_pages'] as const
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
export const EXACT_VISITORS_MAX_HITS = 250_000

/** Largest number that a sketch of uniqCombined64(14) is sure to count exactly (a set of hashes up to 512, also merged). */
export const SKETCH_EXACT_UP_TO = 400
/** Average relative error of the sketch above that. */
export const SKETCH_ERROR = 0.007

type Asked = Pick<ReportQuery, 'metrics' | 'dimensions' | 'filter' | 'zone'>

/** The cheapest source that can answer a query. */
export function chooseSource(query: Asked, range: Range, context: SourceContext): Source {
  const { hits, sessions } = measuresOf(query.metrics)
  if (tellsByDay(query, range, context)) {
    const { dimensions } = query
    if (dimensions.every((dimension) => dimension.kind !== 'column')) {
      const dear = hits.includes('visitors') && context.hitsInPeriod <= EXACT_VISITORS_MAX_HITS
      if (!dear) return 'daily_totals'
    } else if (sessions.length === 0 && hits.every((measure) => measure === 'page_views')) {
      if (dimensions.every(({ kind, name }) => kind !== 'column' || PAGE.includes(name))) return 'daily_pages'
    }
  }
  const tables = { hits: hits.length > 0, sessions: sessions.length > 0 }
  const all = [...query.dimensions, ...conditionsOf(query.filter).map(({ dimension }) => dimension)].map(tellsOf)
  if (tables.hits && all.some((tells) => !tells.hits)) tables.sessions = true
  if (tables.sessions && all.some((tells) => !tells.sessions)) tables.hits = true
  return tables.hits && tables.sessions ? 'hits_and_sessions' : tables.hits ? 'hits' : 'sessions'
}
const PAGE = ['path', 'hostname']

/** Whether visitors might come from a sketch, so that it matters how many hits the period has. */
export function mayUseSketch(query: Asked, range: Range, siteZone: string): boolean {
  return (
    measuresOf(query.metrics).hits.includes('visitors') &&
    chooseSource(query, range, { siteZone, hitsInPeriod: Number.POSITIVE_INFINITY }) === 'daily_totals'
  )
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
