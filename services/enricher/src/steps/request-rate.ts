import type { SiteSettings } from '@millrace/shared'
import type { Rule } from './bots.ts'

/** What one visitor is trusted with in a session: more hits than this, on average faster than this, are a program's. */
export interface RateLimit {
  readonly hits: number
  /** Over the life of the session. */
  readonly perSecond: number
}

/**
 * Far above people: one person makes a hit a second at most. Far above crowds too, because a visitor is an address and a user
 * agent, and everybody with the same phone behind one carrier's address is one: 128 subscribers to an address
 * (https://www.rfc-editor.org/rfc/rfc6269) who all read the same site, a page every ten seconds, make 13 a second. And
 * a thousand people in one building who open the same page within a minute are not yet 2,000 hits.
 */
export const RATE_LIMIT: RateLimit = { hits: 2_000, perSecond: 20 }

/** Asked in the session step, with the session that a hit would join; see `step.ts`. */
export const REQUEST_RATE: Rule = {
  name: 'request_rate',
  reason: 'request_rate',
  finds: `more hits of one visitor than people make: a session of ${RATE_LIMIT.hits} page views and events, on average more than ${RATE_LIMIT.perSecond} a second; never of a private address, which may be a proxy's`,
  // Its "activity-based filtration", which it asks of every measurement.
  source: 'https://mediaratingcouncil.org/101515_IVT%20Addendum%20FINAL%20(Version%201.0).pdf',
}

/** The limit of a site; null = it has switched the rule off. */
export const rateLimitOf = ({ disabled_bot_rules: disabled }: SiteSettings): RateLimit | null =>
  disabled.includes(REQUEST_RATE.name) ? null : RATE_LIMIT

/** Whether a session with so many hits between two times (epoch milliseconds) is beyond the limit. */
export const isTooFast = (limit: RateLimit, hits: number, start: number, end: number): boolean =>
  hits >= limit.hits && hits * 1_000 > limit.perSecond * (end - start)
