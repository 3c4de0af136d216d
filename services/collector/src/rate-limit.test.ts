import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RateLimit, rateLimitHeaders } from './rate-limit.ts'

/** How many of `count` single hits at `nowMs` are let in. */
function letIn(limit: RateLimit, key: string, count: number, nowMs: number): number {
  let taken = 0
  for (let i = 0; i < count; i++) if (limit.take(key, 1, nowMs)) taken++
  return taken
}

describe('RateLimit', () => {
  it('it lets ten seconds of hits in at once, then as many as the rate', () => {
    const limit = new RateLimit({ perSecond: 5 })
    expect(letIn(limit, 'a', 100, 0)).toBe(50)
    expect(letIn(limit, 'a', 100, 199)).toBe(0)
    expect(letIn(limit, 'a', 100, 200)).toBe(1)
    expect(letIn(limit, 'a', 100, 1_200)).toBe(5)
    expect(letIn(limit, 'a', 100, 3_600_000)).toBe(50)
  })

  it('it counts each key by itself', () => {
    const limit = new RateLimit({ perSecond: 1 })
    expect(letIn(limit, 'a', 100, 0)).toBe(10)
    expect(letIn(limit, 'b', 100, 0)).toBe(10)
  })

  it('it lets a request in whole, and the bucket owes the rest', () => {
    const limit = new RateLimit({ perSecond: 1 })
    expect(limit.take('a', 9, 0)).toBe(true)
    expect(limit.take('a', 20, 0)).toBe(true)
    expect(limit.quotaOf('a', 0)).toEqual({ remaining: 0, waitMs: 20_000 })
    expect(letIn(limit, 'a', 100, 19_999)).toBe(0)
    expect(letIn(limit, 'a', 100, 20_000)).toBe(1)
  })

  it('it charges what turned out later', () => {
    const limit = new RateLimit({ perSecond: 1 })
    limit.take('a', 1, 0)
    limit.charge('a', 8, 0)
    expect(limit.quotaOf('a', 0)).toEqual({ remaining: 1, waitMs: 0 })
    expect(letIn(limit, 'a', 100, 0)).toBe(1)
  })

  it('it remembers who came lately through a flood of others, in bounded memory', () => {
    const limit = new RateLimit({ perSecond: 1, maxKeys: 100 })
    letIn(limit, 'a', 100, 0)
    for (let i = 0; i < 150; i++) limit.take(`x${i}`, 1, 0)
    expect(letIn(limit, 'a', 1, 0)).toBe(0)
    for (let i = 0; i < 1_000; i++) limit.take(`y${i}`, 1, 0)
    expect(letIn(limit, 'a', 1, 0)).toBe(1)
  })

  it('it never lets in more than burst and rate allow, whatever the times', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 200 })
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 50 }), (pauses, perSecond) => {
        const limit = new RateLimit({ perSecond })
        let nowMs = 0
        let taken = 0
        for (const pause of pauses) {
          nowMs += pause
          taken += letIn(limit, 'a', 20, nowMs)
        }
        expect(taken).toBeLessThanOrEqual(perSecond * 10 + (nowMs / 1_000) * perSecond + 1e-6)
      }),
    )
  })
})

describe('rateLimitHeaders', () => {
  it('it writes them as the draft does', () => {
    const limit = new RateLimit({ perSecond: 100 })
    expect(rateLimitHeaders('address', limit, { remaining: 990, waitMs: 0 })).toEqual({
      'ratelimit-policy': '"address";q=1000;w=10;qu="hits"',
      ratelimit: '"address";r=990;t=0',
    })
    expect(rateLimitHeaders('site', limit, { remaining: 0, waitMs: 1_001 })).toEqual({
      'ratelimit-policy': '"site";q=1000;w=10;qu="hits"',
      ratelimit: '"site";r=0;t=2',
      'retry-after': '2',
    })
  })
})
