/** The rule with its real limits: who is a flood, and above all who is not. */
import { DEFAULT_SITE_SETTINGS } from '@millrace/shared'
import { event, hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import { describe, expect, it } from 'vitest'
import { Lab, NOON, rawRecord } from '../testing/lab.ts'
import { RATE_LIMIT, rateLimitOf } from './request-rate.ts'

interface Visit {
  readonly what: string
  readonly hits: number
  /** Milliseconds between two of them. */
  readonly everyMs: number
  readonly ip?: string
  readonly kind?: 'view' | 'event'
}

/** How many hits of a visitor are marked. */
function marked(
  { hits, everyMs, ip = '203.0.113.7', kind = 'view' }: Visit,
  rate = rateLimitOf(DEFAULT_SITE_SETTINGS),
): number {
  const lab = new Lab(rate)
  const records = Array.from({ length: hits }, (_, i) => {
    const time = NOON + Math.round(i * everyMs)
    const url = `https://example.com/${i % 50}`
    const hit = kind === 'view' ? pageView({ url }) : event({ url })
    return rawRecord(
      i,
      time,
      rawValue([rawLine([{ ...hit, hit_id: hitId(i), created_at: time } as never], { sent_at: time, ip })]),
    )
  })
  lab.enrich(records)
  return lab.rows().filter((row) => row.bot_reason === 'request_rate' && row.is_bot).length
}

describe('a person', () => {
  it.each<Visit>([
    { what: 'somebody who turns a page a second for ten minutes', hits: 600, everyMs: 1_000 },
    { what: 'somebody who turns a page a second for an hour', hits: 3_600, everyMs: 1_000 },
    { what: 'an application that sends 500 events at once', hits: 500, everyMs: 0, kind: 'event' },
    {
      what: 'an application that sends an event for every 100 ms of a drag, for five minutes',
      hits: 3_000,
      everyMs: 100,
      kind: 'event',
    },
    { what: 'an office of 1,000 that opens one page within a minute', hits: 1_000, everyMs: 60 },
    { what: "128 subscribers behind a carrier's address, a page every ten seconds", hits: 4_000, everyMs: 78 },
    { what: 'everybody, behind a proxy that does not say for whom it asks', hits: 4_000, everyMs: 10, ip: '10.0.0.1' },
    { what: 'everybody, behind a proxy on the same machine', hits: 4_000, everyMs: 10, ip: '::1' },
  ])('is $what', (visit) => {
    expect(marked(visit)).toBe(0)
  })
})

describe('a flood', () => {
  it('is what goes on beyond 2,000 hits at more than 20 a second', () => {
    expect(marked({ what: '', hits: 3_000, everyMs: 40 })).toBe(1_000)
    expect(marked({ what: '', hits: 3_000, everyMs: 0, kind: 'event' })).toBe(1_000)
  })

  it('is nobody where the site has switched the rule off', () => {
    const off = rateLimitOf({ ...DEFAULT_SITE_SETTINGS, disabled_bot_rules: ['request_rate'] })
    expect(off).toBeNull()
    expect(marked({ what: '', hits: 3_000, everyMs: 40 }, off)).toBe(0)
  })

  it('needs both, so many hits and so fast', () => {
    expect(RATE_LIMIT).toEqual({ hits: 2_000, perSecond: 20 })
    expect(marked({ what: '', hits: 2_000, everyMs: 0 })).toBe(0)
    expect(marked({ what: '', hits: 2_001, everyMs: 0 })).toBe(1)
    expect(marked({ what: '', hits: 4_000, everyMs: 51 })).toBe(0)
  })
})
