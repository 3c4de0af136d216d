/** Reports that are a query with its metrics and dimensions filled in; any field may be given otherwise. */
export const PRESETS = {
  headline: {
    metrics: ['visitors', 'sessions', 'page_views', 'views_per_session', 'bounce_rate', 'session_duration'],
    dimensions: [],
  },
  chart: { metrics: ['visitors', 'page_views'], dimensions: ['day'] },
  // Visitors of every page are asked on demand: their sum is twenty times as dear.
  pages: { metrics: ['page_views'], dimensions: ['path'] },
  time_on_page: { metrics: ['time_on_page', 'scroll_depth', 'page_views'], dimensions: ['path'] },
  entry_pages: { metrics: ['entries', 'bounce_rate', 'session_duration'], dimensions: ['entry_path'] },
  exit_pages: { metrics: ['exits', 'session_duration'], dimensions: ['exit_path'] },
  sources: { metrics: ['sessions', 'bounce_rate', 'session_duration'], dimensions: ['referrer_name'] },
  channels: { metrics: ['sessions', 'bounce_rate', 'session_duration'], dimensions: ['channel'] },
  utm: { metrics: ['sessions', 'bounce_rate', 'session_duration'], dimensions: ['utm_campaign'] },
  places: { metrics: ['sessions', 'bounce_rate'], dimensions: ['country'] },
  languages: { metrics: ['sessions', 'bounce_rate'], dimensions: ['language'] },
  devices: { metrics: ['sessions', 'bounce_rate'], dimensions: ['device_type'] },
  browsers: { metrics: ['sessions', 'bounce_rate'], dimensions: ['browser'] },
  systems: { metrics: ['sessions', 'bounce_rate'], dimensions: ['os'] },
  screens: { metrics: ['sessions', 'bounce_rate'], dimensions: ['screen_class'] },
  events: { metrics: ['events', 'visitors', 'revenue', 'event_duration'], dimensions: ['event_name'] },
  heatmap: { metrics: ['page_views'], dimensions: ['weekday', 'hour_of_day'] },
  routes: {
    metrics: ['requests', 'request_duration_p50', 'request_duration_p95', 'request_duration_p99', 'request_duration'],
    dimensions: ['route'],
    order_by: [{ field: 'request_duration_p95', direction: 'desc' }],
  },
  bots: {
    metrics: ['page_views', 'events', 'visitors'],
    dimensions: ['client_kind', 'bot_reason'],
    filter: { dimension: 'bot_reason', is_not: [''] },
    include_bots: true,
  },
} as const satisfies Record<string, Readonly<Record<string, unknown>>>

export type PresetName = keyof typeof PRESETS
