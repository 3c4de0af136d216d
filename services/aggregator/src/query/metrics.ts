/**
 * What is added up, and from which rows: visitors, page views and events from hits, all else from sessions, which are
 * dated by their start. `session_views` are the page views of those sessions.
 */
const HIT_MEASURES = ['visitors', 'page_views', 'events'] as const
const SESSION_MEASURES = ['sessions', 'bounces', 'session_ms', 'session_views'] as const
export type HitMeasure = (typeof HIT_MEASURES)[number]
export type SessionMeasure = (typeof SESSION_MEASURES)[number]
export type Measure = HitMeasure | SessionMeasure

/** A metric of the API: a measure as it is, or one divided by another. Rates are 0 to 1, durations milliseconds. */
export interface Metric {
  readonly of: Measure
  readonly per?: Measure
}

export const METRICS = {
  visitors: { of: 'visitors' },
  sessions: { of: 'sessions' },
  page_views: { of: 'page_views' },
  events: { of: 'events' },
  bounces: { of: 'bounces' },
  bounce_rate: { of: 'bounces', per: 'sessions' },
  views_per_session: { of: 'session_views', per: 'sessions' },
  session_duration: { of: 'session_ms', per: 'sessions' },
} as const satisfies Record<string, Metric>
export type MetricName = keyof typeof METRICS
export const METRIC_NAMES = Object.keys(METRICS) as MetricName[]

/** The measures that metrics need, in the order of the lists above. */
export function measuresOf(metrics: readonly MetricName[]): { hits: HitMeasure[]; sessions: SessionMeasure[] } {
  const needed = new Set<Measure>()
  for (const name of metrics) {
    const metric: Metric = METRICS[name]
    needed.add(metric.of)
    if (metric.per) needed.add(metric.per)
  }
  return {
    hits: HIT_MEASURES.filter((measure) => needed.has(measure)),
    sessions: SESSION_MEASURES.filter((measure) => needed.has(measure)),
  }
}

/** A metric where nothing was counted: 0, and null for what is then undefined (0 of 0). */
export const emptyValue = (name: MetricName): number | null => ('per' in METRICS[name] ? null : 0)
