import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { METRIC_NAMES } from './metrics.ts'
import { parseQuery } from './parse-query.ts'
import { planQuery } from './planner.ts'
import { EXACT_VISITORS_MAX_HITS, type Source } from './source.ts'

const CONTEXT = { nowMs: Date.parse('2026-11-14T12:00:00Z'), siteZone: 'Europe/Vienna' }
const LARGE = EXACT_VISITORS_MAX_HITS + 1

function plan(body: object, hitsInPeriod = LARGE) {
  const query = parseQuery({ site: 'blog', period: '7d', metrics: ['page_views'], ...body }, CONTEXT)
  return planQuery(query, query.range!, { siteZone: CONTEXT.siteZone, hitsInPeriod })
}
const FILTER = { dimension: 'country', is: ['DE'] }

describe('a plan', () => {
  test.each<[object, number, Source]>([
    [{}, 0, 'daily_totals'],
    [{ metrics: ['page_views', 'events', 'sessions', 'bounce_rate'] }, 0, 'daily_totals'],
    [{ dimensions: ['day'] }, 0, 'daily_totals'],
    [{ dimensions: ['week'] }, 0, 'daily_totals'],
    [{ dimensions: ['month'] }, 0, 'daily_totals'],
    [{ dimensions: ['year', 'weekday'] }, 0, 'daily_totals'],
    [{ timezone: 'Europe/Vienna', include_bots: true }, 0, 'daily_totals'],
    [{ timezone: 'europe/vienna' }, 0, 'daily_totals'],
    [{ period: { from: '2026-10-24T22:00:00Z', to: '2026-10-25T23:00:00Z' } }, 0, 'daily_totals'],
    // Visitors of a small site are counted, those of a large one estimated.
    [{ metrics: ['visitors'] }, EXACT_VISITORS_MAX_HITS, 'hits'],
    [{ metrics: ['visitors'] }, LARGE, 'daily_totals'],
    [{ metrics: ['visitors', 'sessions'], dimensions: ['day'] }, 0, 'hits_and_sessions'],
    [{ metrics: ['visitors', 'sessions'], dimensions: ['day'] }, LARGE, 'daily_totals'],
    [{ metrics: ['events', 'revenue', 'event_duration'] }, 0, 'daily_totals'],
    // Page views of hours, and of days of other zones, from their quarters.
    [{ dimensions: ['hour'] }, 0, 'quarter_hours'],
    [{ dimensions: ['weekday', 'hour_of_day'] }, 0, 'quarter_hours'],
    [{ timezone: 'Asia/Kathmandu' }, 0, 'quarter_hours'],
    [{ timezone: 'UTC', dimensions: ['month'] }, 0, 'quarter_hours'],
    [{ period: { from: '2026-11-01T10:15:00Z', to: '2026-11-01T10:30:00Z' } }, 0, 'quarter_hours'],
    [{ period: { from: '2026-11-01T10:15:00Z', to: '2026-11-01T10:31:00Z' } }, 0, 'hits'],
    [{ period: { from: '1971-06-01', to: '1971-06-02' }, timezone: 'Africa/Monrovia' }, 0, 'hits'],
    [{ dimensions: ['minute'], period: 'today' }, 0, 'hits'],
    [{ dimensions: ['hour'], metrics: ['page_views', 'events'] }, LARGE, 'hits'],
    [{ dimensions: ['hour', 'path'] }, LARGE, 'hits'],
    [{ dimensions: ['hour'], filter: FILTER }, LARGE, 'hits'],
    // What rollups cannot tell.
    [{ timezone: 'UTC', metrics: ['events'] }, LARGE, 'hits'],
    [{ filter: FILTER }, LARGE, 'hits'],
    [{ dimensions: ['browser'] }, LARGE, 'hits'],
    [{ dimensions: ['browser'], metrics: ['sessions'] }, LARGE, 'sessions'],
    [{ dimensions: ['browser'], metrics: ['visitors', 'bounce_rate'] }, LARGE, 'hits_and_sessions'],
    [{ metrics: ['sessions'], timezone: 'UTC' }, LARGE, 'sessions'],
    [{ metrics: ['sessions'], filter: FILTER }, LARGE, 'sessions'],
    // How long pages were seen is summed where rows say all that is asked of the page, else each page view is looked at.
    [{ metrics: ['time_on_page'], dimensions: ['path', 'day', 'country'] }, LARGE, 'hits_and_sessions'],
    [{ metrics: ['scroll_depth'], filter: { dimension: 'path', contains: ['/docs'] } }, LARGE, 'hits_and_sessions'],
    [{ metrics: ['time_on_page'], filter: { session: { dimension: 'title', is: ['a'] } } }, LARGE, 'hits_and_sessions'],
    [{ metrics: ['time_on_page'], dimensions: ['title'] }, LARGE, 'hits'],
    [{ metrics: ['time_on_page'], dimensions: ['hostname'] }, LARGE, 'hits'],
    [{ metrics: ['time_on_page'], filter: { dimension: 'tags.a', is: ['b'] } }, LARGE, 'hits'],
    // Pages by day.
    [{ dimensions: ['path'] }, LARGE, 'daily_pages'],
    [{ dimensions: ['hostname', 'path', 'day'] }, LARGE, 'daily_pages'],
    [{ dimensions: ['hostname'] }, LARGE, 'daily_pages'],
    [{ dimensions: ['path'], metrics: ['page_views', 'visitors'] }, LARGE, 'hits'],
    [{ dimensions: ['path'], metrics: ['page_views', 'events'] }, LARGE, 'hits'],
    [{ dimensions: ['path', 'browser'] }, LARGE, 'hits'],
    [{ dimensions: ['path'], timezone: 'UTC' }, LARGE, 'hits'],
    // One table asks the other.
    [{ dimensions: ['path'], metrics: ['sessions'] }, LARGE, 'hits_and_sessions'],
    [{ dimensions: ['exit_path'], metrics: ['sessions'] }, LARGE, 'sessions'],
    [{ dimensions: ['exit_path'] }, LARGE, 'hits_and_sessions'],
    [{ metrics: ['sessions'], filter: { dimension: 'path', is: ['/'] } }, LARGE, 'hits_and_sessions'],
    [{ filter: { dimension: 'exit_path', is: ['/'] } }, LARGE, 'hits_and_sessions'],
  ])('for %j with %i hits asks %s', (body, hits, source) => {
    expect(plan(body, hits).source).toBe(source)
  })

  test('prunes by day, a day wider on each side than the asked time', () => {
    const { totals } = plan({ timezone: 'UTC', period: { from: '2026-11-02', to: '2026-11-03' } })
    expect(totals.sql).toContain('day BETWEEN {around_1_from:Date} AND {around_1_to:Date}')
    expect(totals.sql).toContain("time >= {from:DateTime64(3, 'UTC')}")
    expect(totals.params).toEqual({
      site: 'blog',
      around_1_from: '2026-11-01',
      around_1_to: '2026-11-04',
      from: '2026-11-02 00:00:00.000',
      to: '2026-11-04 00:00:00.000',
    })
  })

  test('reads as SQL', () => {
    const { rows } = plan({
      dimensions: ['browser'],
      metrics: ['visitors', 'bounce_rate'],
      period: { from: '2026-11-01', to: '2026-11-07' },
    })
    expect(rows!.sql).toMatchInlineSnapshot(`
      "SELECT d0,
        m_visitors AS visitors,
        if(m_sessions = 0, NULL, m_bounces / m_sessions) AS bounce_rate,
        toUInt32(count() OVER ()) AS row_count
      FROM (
        SELECT d0,
          sum(m_visitors) AS m_visitors,
          sum(m_sessions) AS m_sessions,
          sum(m_bounces) AS m_bounces
        FROM (
          SELECT browser AS d0,
            toFloat64(uniqExact(visitor_id)) AS m_visitors,
            toFloat64(0) AS m_sessions,
            toFloat64(0) AS m_bounces
          FROM millrace.hits
          WHERE site = {site:String}
            AND verdict = 'keep'
            AND type != 'engagement'
            AND is_bot = 0
            AND day BETWEEN {day_from:Date} AND {day_to:Date}
          GROUP BY d0
          UNION ALL
          SELECT browser AS d0,
            toFloat64(0) AS m_visitors,
            toFloat64(sum(sign)) AS m_sessions,
            toFloat64(sum(sign * is_bounce)) AS m_bounces
          FROM millrace.sessions
          WHERE site = {site:String}
            AND is_bot = 0
            AND day BETWEEN {day_from:Date} AND {day_to:Date}
          GROUP BY d0
        )
        GROUP BY d0
      )
      WHERE (m_visitors != 0 OR m_sessions != 0 OR m_bounces != 0)
      ORDER BY visitors DESC NULLS LAST, d0 ASC NULLS LAST
      LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
    `)
    expect(rows!.params).toMatchInlineSnapshot(`
      {
        "day_from": "2026-11-01",
        "day_to": "2026-11-07",
        "limit": 100,
        "offset": 0,
        "site": "blog",
      }
    `)
  })

  test('is always of one site, kept hits and no bots, in every table that it reads', () => {
    const dimensions = fc.subarray(['day', 'path', 'browser', 'exit_path', 'props.x', 'event_name'], { maxLength: 3 })
    const filters = fc.constantFrom(
      undefined,
      FILTER,
      { dimension: 'path', is: ['/'] },
      { and: [{ dimension: 'exit_path', is: ['/'] }, { not: { dimension: 'title', is: ['x'] } }] },
    )
    fc.assert(
      fc.property(
        dimensions,
        filters,
        fc.subarray(METRIC_NAMES, { minLength: 1 }),
        fc.constantFrom('UTC', 'Europe/Vienna'),
        (dims, filter, metrics, timezone) => {
          const { rows, totals } = plan({ dimensions: dims, filter, metrics, timezone })
          for (const { sql } of [totals, ...(rows ? [rows] : [])]) {
            for (const [, table, where] of sql.matchAll(/FROM millrace\.(\w+)\s+WHERE ([^)]*)/g)) {
              expect(where).toMatch(/^site = \{site:String\}/)
              expect(where).toContain('is_bot = 0')
              if (table === 'hits') expect(where).toContain("verdict = 'keep'\n")
            }
            expect(sql.match(/millrace\./g)).toHaveLength(
              [...sql.matchAll(/FROM millrace\.\w+\s+WHERE site = /g)].length,
            )
          }
        },
      ),
    )
  })

  test('holds nothing that a user wrote in its text', () => {
    const strange = fc.stringMatching(/^[a-z'"\\;{}` ]{8,20}$/)
    fc.assert(
      fc.property(strange, strange, fc.constantFrom('is', 'contains', 'matches', 'is_not'), (key, value, operator) => {
        const { rows, totals } = plan({
          dimensions: [`props.${key}`, `tags.${key}`, 'path'],
          filter: {
            or: [
              { dimension: `tags.${key}`, [operator]: [value] },
              { dimension: 'path', [operator]: [value] },
            ],
          },
          metrics: METRIC_NAMES,
        })
        for (const { sql, params } of [rows!, totals]) {
          expect(sql).not.toContain(key)
          expect(sql).not.toContain(value)
          for (const [, name] of sql.matchAll(/\{(\w+):/g)) expect(params).toHaveProperty(name!)
        }
      }),
      { seed: 9 },
    )
  })
})
