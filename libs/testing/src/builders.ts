import {
  type EngagementHit,
  type EventHit,
  type PageViewHit,
  RAW_LINE_VERSION,
  type RawLine,
  type StampedHit,
} from '@millrace/shared'

/** A Chrome on Windows: a person's user agent. */
export const PERSON_AGENT =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36'

/** The n-th hit_id of a test: a valid UUID, easy to tell in a failure. */
export function hitId(n: number): string {
  return `01932c07-0000-7000-8000-${n.toString(16).padStart(12, '0')}`
}

/** A page view as sent to POST /v1/hits. Say only what matters to the test. */
export function pageView(fields: Partial<PageViewHit> = {}): PageViewHit {
  return { type: 'page_view', url: 'https://example.com/', ...fields }
}

/** A custom event as sent to POST /v1/hits. */
export function event(fields: Partial<EventHit> = {}): EventHit {
  return { type: 'event', url: 'https://example.com/', name: 'signup', ...fields }
}

/** An engagement signal as sent to POST /v1/hits. */
export function engagement(fields: Partial<EngagementHit> & { page_id: string }): EngagementHit {
  return { type: 'engagement', engaged_ms: 1_000, ...fields }
}

/** A line of hits.raw as the collector writes it. */
export function rawLine(hits: readonly StampedHit[], others: Partial<RawLine> = {}): RawLine {
  return {
    v: RAW_LINE_VERSION,
    collected_at: 0,
    config_at: -1,
    site: 'blog',
    trust: 'public',
    ip: '203.0.113.9',
    user_agent: PERSON_AGENT,
    headers: {},
    // In the order of the collector, who writes the hits last.
    ...others,
    hits: others.hits ?? [...hits],
  }
}

/** The value of a record of hits.raw: lines that end with LF. */
export function rawValue(lines: readonly RawLine[]): Buffer {
  return Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
}
