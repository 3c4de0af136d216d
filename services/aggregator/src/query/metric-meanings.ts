import type { MetricName } from './metrics.ts'

/** What each metric means, in the words of docs/reference/http-api.md. */
export const METRIC_MEANINGS: Readonly<Record<MetricName, string>> = {
  visitors: 'distinct daily visitors with a page view or event',
  sessions: 'sessions, dated by their start',
  page_views: 'page views',
  events: 'custom events',
  bounces: 'sessions of one page without an interactive event and with less than 10 s of engagement',
  bounce_rate: 'bounces per session',
  views_per_session: 'page views per session',
  session_duration: 'mean duration of a session, ms',
  time_on_page:
    'mean time from a page view to the next one of its session, or to its last engagement signal, ms; pages of which neither is known are left out',
  event_duration: 'mean `duration_ms` of events that have one',
  scroll_depth: 'mean of the deepest point seen of page views, percent (0 to 100); those without a signal are left out',
  entries: "sessions whose first page view is the row's; dated by the session's start",
  exits: "sessions whose last page view is the row's; dated by the session's start",
  entry_rate: 'entries per session: of the sessions that saw a page, how many began there',
  exit_rate: 'exits per session: of the sessions that saw a page, how many ended there',
  conversions: 'page views and events that reach a goal, counted for each goal; sessions that last as long as one asks',
  conversion_rate: 'visitors that reached any of the goals, per visitor',
  revenue: 'sum of `value` of events; ask by `currency` where there are several',
  requests: 'hits that carry `request_ms`',
  request_duration: 'mean `request_ms`',
  request_duration_p50: 'median of `request_ms`; exact, as the others',
  request_duration_p75: '75 % took at most so long',
  request_duration_p95: '95 % took at most so long',
  request_duration_p99: '99 % took at most so long',
}
