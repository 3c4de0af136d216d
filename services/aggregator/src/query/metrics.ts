/**
 * What is added up, and from which rows. `hits`: page views and events. `views`: page views with how long and how far they
 * were seen. `sessions` are dated by their start; `session_views` are their page views. `entries` and `exits`: sessions
 * under their first and last page view.
 */
const MEASURES = {
  hits: [
    'visitors',
    'page_views',
    'events',
    'event_ms',
    'timed_events',
    'revenue',
    'conversions',
    'converted',
    'requests',
    'request_ms',
    'request_p50',
    'request_p75',
    'request_p95',
    'request_p99',
  ],
  views: ['seen_ms', 'seen_views', 'depth', 'depth_views'],
  sessions: ['sessions', 'bounces', 'session_ms', 'session_views'],
  entries: ['entries'],
  exits: ['exits'],
} as const

/** Rows that measures are added up from. */
export type Part = keyof typeof MEASURES
export const PARTS = Object.keys(MEASURES) as Part[]
export type MeasureOf<P extends Part> = (typeof MEASURES)[P][number]
export type Measure = MeasureOf<Part>

/**
 * A metric of the API: a measure as it is, divided by another (`per`), or undefined where another is 0 (`given`). Rates
 * are 0 to 1, durations milliseconds, scroll depth percent.
 */
export interface Metric {
  readonly of: Measure
  readonly per?: Measure
  readonly given?: Measure
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
  time_on_page: { of: 'seen_ms', per: 'seen_views' },
  event_duration: { of: 'event_ms', per: 'timed_events' },
  scroll_depth: { of: 'depth', per: 'depth_views' },
  entries: { of: 'entries' },
  exits: { of: 'exits' },
  entry_rate: { of: 'entries', per: 'sessions' },
  exit_rate: { of: 'exits', per: 'sessions' },
  conversions: { of: 'conversions' },
  conversion_rate: { of: 'converted', per: 'visitors' },
  revenue: { of: 'revenue' },
  requests: { of: 'requests' },
  request_duration: { of: 'request_ms', per: 'requests' },
  request_duration_p50: { of: 'request_p50', given: 'requests' },
  request_duration_p75: { of: 'request_p75', given: 'requests' },
  request_duration_p95: { of: 'request_p95', given: 'requests' },
  request_duration_p99: { of: 'request_p99', given: 'requests' },
} as const satisfies Record<string, Metric>
export type MetricName = keyof typeof METRICS
export const METRIC_NAMES = Object.keys(METRICS) as MetricName[]

/** The measures that metrics need, in the order of the lists above. */
export function measuresOf(metrics: readonly MetricName[]): { [P in Part]: MeasureOf<P>[] } {
  const needed = new Set<Measure>()
  for (const name of metrics) {
    const { of, per, given }: Metric = METRICS[name]
    for (const measure of [of, per, given]) if (measure) needed.add(measure)
  }
  return Object.fromEntries(
    PARTS.map((part) => [part, MEASURES[part].filter((measure) => needed.has(measure))]),
  ) as unknown as { [P in Part]: MeasureOf<P>[] }
}

/** All measures that metrics need. */
export const allMeasures = (metrics: readonly MetricName[]): Measure[] =>
  Object.values<Measure[]>(measuresOf(metrics)).flat()

/** A metric where nothing was counted: 0, and null for what is then undefined (0 of 0). */
export const emptyValue = (name: MetricName): number | null => {
  const metric: Metric = METRICS[name]
  return metric.per || metric.given ? null : 0
}
