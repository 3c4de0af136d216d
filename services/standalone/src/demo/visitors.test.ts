import { describe, expect, test } from 'vitest'
import { BROWSERS } from './browsers.ts'
import { seeded } from './random.ts'
import { type VisitorRequest, visitorRequests } from './visitors.ts'

const OPTIONS = { seed: 7, startMs: Date.UTC(2026, 10, 21, 12), visitsPerMinute: 30 }

function take(count: number, options = OPTIONS): VisitorRequest[] {
  const stream = visitorRequests(options)
  return Array.from({ length: count }, () => stream.next().value)
}
const hitOf = (request: VisitorRequest) => JSON.parse(request.body).hits[0]

describe('visitorRequests', () => {
  test('the same seed gives the same stream, another seed another', () => {
    expect(take(200)).toEqual(take(200))
    expect(take(1, { ...OPTIONS, seed: 8 })).not.toEqual(take(1))
  })

  test('requests come in the order of their time, from the start on', () => {
    const times = take(2_000).map(({ atMs }) => atMs)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(times[0]).toBe(OPTIONS.startMs)
  })

  test('every hit has an id of its own, and engagement names a page view that was sent before', () => {
    const hits = take(2_000).map(hitOf)
    expect(new Set(hits.map((hit) => hit.hit_id)).size).toBe(hits.length)
    const seen = new Set<string>()
    for (const hit of hits) {
      if (hit.type === 'engagement') expect(seen).toContain(hit.page_id)
      seen.add(hit.hit_id)
    }
  })

  test('the stream holds page views, events and engagement of many visitors', () => {
    const requests = take(2_000)
    expect(new Set(requests.map((request) => hitOf(request).type))).toEqual(
      new Set(['page_view', 'event', 'engagement']),
    )
    expect(new Set(requests.map(({ headers }) => headers['x-forwarded-for'])).size).toBeGreaterThan(200)
  })
})

describe('BROWSERS', () => {
  test('some hundred user agents, all distinct', () => {
    const agents = BROWSERS.map(({ userAgent }) => userAgent)
    expect(agents.length).toBeGreaterThan(200)
    expect(new Set(agents).size).toBe(agents.length)
  })
})

test('a seeded stream stays in its range and follows weights', () => {
  const random = seeded(1)
  const picks = Array.from({ length: 4_000 }, () =>
    random.weighted([
      [3, 'a'],
      [1, 'b'],
    ] as const),
  )
  const share = picks.filter((pick) => pick === 'a').length / picks.length
  expect(share).toBeGreaterThan(0.7)
  expect(share).toBeLessThan(0.8)
  expect(Array.from({ length: 1_000 }, () => random.below(3)).every((n) => n >= 0 && n < 3)).toBe(true)
})
