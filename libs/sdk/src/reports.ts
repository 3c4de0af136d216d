import type { Dimension, Metric, Period, Query, Report, Selection } from './query.ts'

/** What a report may be told: its period (the last 7 days if left out), other metrics than its own, and how rows are chosen. */
export interface ReportOptions<M extends Metric> extends Selection {
  readonly period?: Period | undefined
  readonly metrics?: readonly M[] | undefined
}

type Ask = <M extends Metric, D extends Dimension>(query: Query<M, D>) => Promise<Report<M, D>>
/** One report: @throws MillraceApiError */
export type AskReport<M extends Metric, D extends Dimension> = <const N extends Metric = M>(
  options?: ReportOptions<N>,
) => Promise<Report<N, D>>

const USUAL_PERIOD: Period = '7d'

const HEADLINE = ['visitors', 'sessions', 'page_views', 'events', 'bounce_rate', 'session_duration'] as const
const TRAFFIC = ['visitors', 'sessions', 'page_views'] as const
const VISITS = ['visitors', 'sessions', 'bounce_rate', 'session_duration'] as const
const PAGES = ['visitors', 'page_views'] as const
const EVENTS = ['visitors', 'events'] as const

/** All reports over one way to ask. */
export function createReports(ask: Ask) {
  const report =
    <const M extends Metric, const D extends Dimension>(metrics: readonly M[], ...dimensions: D[]): AskReport<M, D> =>
    <const N extends Metric = M>({ period = USUAL_PERIOD, ...options }: ReportOptions<N> = {}) =>
      ask<N, D>({ ...options, period, metrics: options.metrics ?? (metrics as readonly Metric[] as N[]), dimensions })

  return {
    /** One row: the period as a whole. */
    summary: report<(typeof HEADLINE)[number], never>(HEADLINE),

    visitorsByHour: report(TRAFFIC, 'hour'),
    visitorsByDay: report(TRAFFIC, 'day'),
    visitorsByWeek: report(TRAFFIC, 'week'),
    visitorsByMonth: report(TRAFFIC, 'month'),
    /** 1 (Monday) to 7. */
    weekdays: report(TRAFFIC, 'weekday'),
    /** 0 to 23. */
    hoursOfDay: report(TRAFFIC, 'hour_of_day'),

    hostnames: report(PAGES, 'hostname'),
    pages: report(PAGES, 'path'),
    titles: report(PAGES, 'title'),
    routes: report(PAGES, 'route'),
    entryPages: report(VISITS, 'entry_path'),
    exitPages: report(['visitors', 'sessions'], 'exit_path'),

    /** Where visits come from, by name: `Google`, `Hacker News`. */
    sources: report(VISITS, 'referrer_name'),
    referrers: report(VISITS, 'referrer'),
    channels: report(VISITS, 'channel'),
    campaigns: report(VISITS, 'utm_campaign'),
    campaignSources: report(VISITS, 'utm_source'),
    campaignMediums: report(VISITS, 'utm_medium'),
    campaignContents: report(VISITS, 'utm_content'),
    campaignTerms: report(VISITS, 'utm_term'),
    /** Ads by the kind of click id: `gclid`, `fbclid`. */
    clickIds: report(VISITS, 'click_id_kind'),

    countries: report(TRAFFIC, 'country'),
    regions: report(TRAFFIC, 'country', 'region'),
    cities: report(TRAFFIC, 'country', 'city'),
    languages: report(TRAFFIC, 'language'),

    /** desktop, phone, tablet, … */
    devices: report(TRAFFIC, 'device_type'),
    deviceModels: report(TRAFFIC, 'device'),
    browsers: report(TRAFFIC, 'browser'),
    browserVersions: report(TRAFFIC, 'browser', 'browser_version'),
    operatingSystems: report(TRAFFIC, 'os'),
    operatingSystemVersions: report(TRAFFIC, 'os', 'os_version'),
    platforms: report(TRAFFIC, 'platform'),
    screens: report(TRAFFIC, 'screen_class'),

    events: report(EVENTS, 'event_name'),
    /** Values of a property of events: `eventProperty('plan')`. */
    eventProperty: <const P extends string, const N extends Metric = 'visitors' | 'events'>(
      property: P,
      options?: ReportOptions<N>,
    ) => report(EVENTS, `props.${property}`)<N>(options) as Promise<Report<N, `props.${P}`>>,
    /** Values of a tag of pages: `tag('section')`. */
    tag: <const T extends string, const N extends Metric = 'visitors' | 'page_views'>(
      tag: T,
      options?: ReportOptions<N>,
    ) => report(PAGES, `tags.${tag}`)<N>(options) as Promise<Report<N, `tags.${T}`>>,

    /** What reports leave out, by the reason why it is taken for a bot. '' = people. */
    bots: <const N extends Metric = 'sessions' | 'page_views'>(options: ReportOptions<N> = {}) =>
      report(['sessions', 'page_views'], 'bot_reason')<N>({ include_bots: true, ...options }),
  }
}

/** The usual questions, one function each. */
export type Reports = ReturnType<typeof createReports>
