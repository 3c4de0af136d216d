/**
 * What became of a raw hit; also the metric label, the `verdict` column and the docs table.
 * `marker` rows are written by the aggregator and stand for no hit.
 */
export const VERDICTS = ['keep', 'duplicate', 'dead', 'marker'] as const
export type Verdict = (typeof VERDICTS)[number]

/** Why a hit is `dead` (its row stays in the ledger, its bytes go to hits.dead where they cannot be read). */
export const DEAD_REASONS = ['line_unreadable', 'line_version_unknown', 'hit_invalid', 'url_invalid'] as const
export type DeadReason = (typeof DEAD_REASONS)[number]

/** Why a hit is taken for a bot's. The hit is kept and marked, never dropped. */
export const BOT_REASONS = [
  'ua_missing',
  'ua_bot',
  'ua_library',
  'ai_crawler',
  'ai_assistant',
  'headless',
  'headers_automation',
  'prefetch',
  'datacenter_ip',
  'referrer_spam',
  'request_rate',
] as const
export type BotReason = (typeof BOT_REASONS)[number]

export const HIT_TYPES = ['page_view', 'event', 'engagement'] as const
export type HitType = (typeof HIT_TYPES)[number]
