import type { Store } from '@millrace/store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FilledStore, openFilledStore } from './filled-store.fixture.ts'
import { parseQuery } from './parse-query.ts'
import { recountPlainly } from './plain-recount.fixture.ts'
import { planQuery } from './planner.ts'
import { LAST_MS, randomSite, SITE_ZONE } from './random-site.fixture.ts'
import { makeReport, type Report } from './report.ts'

const NOW_MS = LAST_MS + 5 * 86_400_000
const blog = randomSite('blog', 1_500, 9)
/** Nothing but events: no path is likely. */
const clicks = {
  hits: blog.hits.filter(({ type }) => type === 'event').map((hit) => ({ ...hit, site: 'clicks' })),
  sessions: [],
  signed: [],
}

let filled: FilledStore
beforeAll(async () => {
  filled = await openFilledStore([blog, clicks])
})
afterAll(() => filled?.close())

/** With visits on both sides of both midnights. */
const PERIOD = { from: '2026-10-22', to: '2026-11-03' }
const parse = (body: object) =>
  parseQuery(
    { site: 'blog', period: PERIOD, metrics: ['visitors'], dimensions: ['path'], ...body },
    { nowMs: NOW_MS, siteZone: SITE_ZONE, goals: [] },
  )
const rowsOf = ({ rows, row_count, totals }: Report): object => ({ rows, row_count, totals })

/** What a query is answered, and how often its rows were asked for: of few paths, and of all. */
async function ask(body: object) {
  const asked = { few: 0, all: 0 }
  const query: Store['query'] = (sql, options) => {
    if (options?.params?.likely) asked.few++
    else if (options?.params?.offset !== undefined) asked.all++
    return filled.store.query(sql, options)
  }
  const report = await makeReport(parse(body), { store: { query }, siteZone: SITE_ZONE, nowMs: NOW_MS })
  return { report, asked }
}

const METRICS = [
  ['page_views', 'visitors'],
  ['visitors', 'events'],
  ['sessions', 'bounce_rate', 'exit_rate'],
  ['visitors', 'sessions', 'bounces', 'page_views'],
]

describe('rows by path, of which few are shown,', () => {
  test.each(METRICS)('are those of all paths, however few: %j', async (...metrics) => {
    const all = (await ask({ metrics, limit: 1_000 })).report
    expect(all.rows.length).toBe(7)
    const ways = { few: 0, all: 0 }
    for (let limit = 1; limit <= 8; limit++) {
      for (const offset of [0, 1, 4, 8]) {
        const { report, asked } = await ask({ metrics, limit, offset })
        ways.few += asked.few
        ways.all += asked.all
        expect(rowsOf(report)).toEqual({ ...rowsOf(all), rows: all.rows.slice(offset, offset + limit) })
      }
    }
    expect(ways.few).toBeGreaterThan(0)
  })

  test('are asked for again where another path may be among them', async () => {
    // Events make a path that is not likely: so many visitors may have done something on it.
    const order_by = [{ field: 'visitors', direction: 'desc' }]
    const { report, asked } = await ask({ site: 'clicks', metrics: ['visitors', 'events'], order_by, limit: 2 })
    expect(asked).toEqual({ few: 1, all: 1 })
    expect(report.rows.length).toBe(2)
    expect(report.row_count).toBe(7)
  })

  test('count the sessions of the period, also of visits over its midnights', async () => {
    const metrics = ['sessions', 'bounces']
    const { report, asked } = await ask({ metrics, limit: 7 })
    expect(asked.few).toBe(1)
    const { fromMs, toMs } = parse({}).range!
    const whole = { site: 'blog', fromMs, toMs, timezone: SITE_ZONE, dimensions: ['path'] }
    const wanted = recountPlainly({ ...whole, filter: null, includeBots: false, goals: [] }, blog)
    for (const { path, sessions, bounces } of report.rows)
      expect({ sessions, bounces }, String(path)).toEqual({
        sessions: wanted.get(String(path))!.sessions,
        bounces: wanted.get(String(path))!.bounces,
      })
    const over = (day: number): number => {
      const began = new Set(blog.sessions.filter((one) => one.day < day).map((one) => one.session_id))
      return blog.hits.filter((hit) => hit.day >= day && began.has(hit.session_id)).length
    }
    const { first, last } = parse({}).range!.days!
    expect([over(first) > 0, over(last + 1) > 0]).toEqual([true, true])
  })

  test.each([
    [{ order_by: [{ field: 'visitors', direction: 'asc' }] }],
    [{ metrics: ['bounce_rate', 'sessions'] }],
    [{ metrics: ['visitors', 'conversion_rate'], order_by: [{ field: 'conversion_rate', direction: 'desc' }] }],
    [{ limit: 51 }],
    [{ filter: { dimension: 'country', is: ['DE'] } }],
    [{ dimensions: ['path', 'browser'] }],
    [{ dimensions: ['title'] }],
    [{ timezone: 'Asia/Tokyo' }],
    [{ metrics: ['page_views'] }],
    [{ metrics: ['sessions', 'session_duration'] }],
  ])('are not sought among likely paths where a number too high would hide one: %j', (body) => {
    const query = parse({ limit: 10, ...body })
    expect(planQuery(query, query.range!, { siteZone: SITE_ZONE, hitsInPeriod: 0 }).few).toBeNull()
  })
})
