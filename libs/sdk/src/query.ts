/** Numbers that count something: 0 where nothing was counted. */
export type Count =
  | 'visitors'
  | 'sessions'
  | 'page_views'
  | 'events'
  | 'bounces'
  | 'entries'
  | 'exits'
  | 'conversions'
  | 'revenue'
  | 'requests'

/** Rates (0 to 1), means, durations (ms) and percentiles: null where there is nothing to divide by. */
export type Ratio =
  | 'bounce_rate'
  | 'views_per_session'
  | 'session_duration'
  | 'time_on_page'
  | 'event_duration'
  | 'scroll_depth'
  | 'entry_rate'
  | 'exit_rate'
  | 'conversion_rate'
  | 'request_duration'
  | `request_duration_${'p50' | 'p75' | 'p95' | 'p99'}`

/** What can be asked (docs/numbers.md says what each means). A service older than this package refuses what it does not know. */
export type Metric = Count | Ratio

/** Dimensions whose values are numbers: 1 (Monday) to 7, 0 to 23, a status; of sessions 0 or 1, counts, milliseconds. */
export type NumberDimension =
  | 'weekday'
  | 'hour_of_day'
  | 'http_status'
  | 'is_bounce'
  | 'session_page_views'
  | 'session_events'
  | 'session_duration_ms'

/** Dimensions whose values are texts. */
export type TextDimension =
  | 'minute'
  | 'hour'
  | 'day'
  | 'week'
  | 'month'
  | 'year'
  | 'hostname'
  | 'path'
  | 'route'
  | 'title'
  | 'entry_path'
  | 'exit_path'
  | 'referrer'
  | 'referrer_name'
  | 'channel'
  | 'utm_source'
  | 'utm_medium'
  | 'utm_campaign'
  | 'utm_content'
  | 'utm_term'
  | 'click_id_kind'
  | 'country'
  | 'region'
  | 'city'
  | 'language'
  | 'browser'
  | 'browser_version'
  | 'os'
  | 'os_version'
  | 'device'
  | 'device_type'
  | 'platform'
  | 'screen_class'
  | 'event_name'
  | 'currency'
  | 'client_kind'
  | 'bot_reason'
  | 'http_method'

/** What rows can be grouped and filtered by; `props.plan` is a property of events, `tags.section` a tag. */
export type Dimension = TextDimension | NumberDimension | `props.${string}` | `tags.${string}`

/** A period with a name, or two ends: dates are inclusive local days, times (RFC 3339, epoch ms) are half-open. */
export type Period =
  | 'today'
  | 'yesterday'
  | '24h'
  | '7d'
  | '30d'
  | '90d'
  | '12mo'
  | 'month_to_date'
  | 'year_to_date'
  | 'all'
  | Between
export interface Between {
  readonly from: string | number
  readonly to: string | number
}

type Values = string | number | boolean | readonly (string | number | boolean)[]
type Operator = 'is' | 'is_not' | 'contains' | 'contains_not' | 'matches' | 'matches_not' | 'greater' | 'less'
/** A condition on one dimension: exactly one operator with its values. */
export type Condition = {
  [Name in Operator]: { readonly dimension: Dimension } & Readonly<Record<Name, Values>>
}[Operator]
export type Filter =
  | Condition
  | { readonly and: readonly Filter[] }
  | { readonly or: readonly Filter[] }
  | { readonly not: Filter }

/** How rows are chosen and shown, whatever they show. */
export interface Selection {
  /** The client's site if left out. */
  readonly site?: string | undefined
  /** IANA zone of days and hours; the site's if left out. */
  readonly timezone?: string | undefined
  readonly filter?: Filter | undefined
  /** Adds `previous` and `growth` to each row. */
  readonly compare?: 'previous_period' | 'previous_year' | Between | undefined
  readonly order_by?: readonly { readonly field: Metric | Dimension; readonly direction?: 'asc' | 'desc' }[] | undefined
  /** Rows: 100 if left out; with a time dimension all. */
  readonly limit?: number | undefined
  readonly offset?: number | undefined
  readonly include_bots?: boolean | undefined
  /** Ids of the goals that conversions are counted for; all of the site if left out. */
  readonly goals?: readonly string[] | undefined
  /** Day that weeks begin with; monday if left out. */
  readonly week_start?: 'monday' | 'saturday' | 'sunday' | undefined
}

/** A query, as POST /v1/query takes it. */
export interface Query<M extends Metric = Metric, D extends Dimension = Dimension> extends Selection {
  readonly period: Period
  readonly metrics: readonly M[]
  readonly dimensions?: readonly D[] | undefined
}

/** Metrics with their numbers. */
export type Numbers<M extends Metric> = { readonly [Name in M]: Name extends Count ? number : number | null }

/** The same metrics in the period that was compared with, and their growth (0.5 = half as much again). */
export interface Compared<M extends Metric> {
  readonly previous?: { readonly [Name in M]: number | null }
  readonly growth?: { readonly [Name in M]: number | null }
}

/** A row: its dimensions by name, its metrics by name, and with `compare` what was before. */
export type Row<M extends Metric, D extends Dimension> = {
  readonly [Name in D]: Name extends NumberDimension ? number : string
} & Numbers<M> &
  Compared<M>

/** The answer to a query. */
export interface Report<M extends Metric = Metric, D extends Dimension = Dimension> {
  /** As understood: defaults spelled out, `from` and `to` absolute. */
  readonly query: Readonly<Record<string, unknown>> & { readonly from: string; readonly to: string }
  /** What was asked: raw rows or a rollup. */
  readonly source: string
  /** Average relative error of `visitors`: 0 = exact. Only if visitors were asked. */
  readonly visitors_error?: number
  readonly rows: readonly Row<M, D>[]
  readonly totals: Numbers<M> & Compared<M>
  /** Rows that there are without limit and offset. */
  readonly row_count: number
  /** RFC 3339. Every hit that was in the log before it is counted. */
  readonly complete_until: string
}
