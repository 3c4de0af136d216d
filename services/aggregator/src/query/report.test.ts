import type { Store } from '@millrace/store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readDayTotals } from './day-totals.ts'
import { type FilledStore, insertRows, openFilledStore } from './filled-store.fixture.ts'
import { type Goal, parseGoal } from './goals.ts'
import { METRIC_NAMES } from './metrics.ts'
import { parseQuery } from './parse-query.ts'
import { type Numbers, type PlainFilter, type PlainGoal, recountPlainly } from './plain-recount.fixture.ts'
import { planQuery } from './planner.ts'
import { FIRST_MS, LAST_MS, type RandomSite, randomSite, SITE_ZONE, seeded } from './random-site.fixture.ts'
import { makeReport, type Report, type ReportRow } from './report.ts'
import { readRows, showKeys } from './rows.ts'
import { SKETCH_ERROR, SKETCH_EXACT_UP_TO } from './source.ts'

const NOW_MS = LAST_MS + 5 * 86_400_000
const blog = randomSite('blog', 400, 1)
const shop = randomSite('shop', 60, 2)
/** Sites share the tables, and session ids here: rows of another one must never count. */
const data: RandomSite = {
  hits: [...blog.hits, ...shop.hits],
  sessions: [...blog.sessions, ...shop.sessions],
  signed: [...blog.signed, ...shop.signed],
}

let filled: FilledStore
let store: Store
beforeAll(async () => {
  filled = await openFilledStore([blog, shop])
  store = filled.store
})
afterAll(() => filled?.close())

const PLAIN_GOALS: PlainGoal[] = [
  { type: 'page', path: '/docs**' },
  { type: 'page', path: '/pricing' },
  { type: 'event', event_name: 'buy' },
  { type: 'scroll', path: '/**', scroll_percent: 60 },
  { type: 'duration', duration_ms: 30 * 60_000 },
]
const GOALS = PLAIN_GOALS.map((goal, i): Goal => parseGoal(`goal-${i}`, goal)!)

const parse = (body: object) =>
  parseQuery({ site: 'blog', ...body }, { nowMs: NOW_MS, siteZone: SITE_ZONE, goals: GOALS })
const ask = (body: object): Promise<Report> => makeReport(parse(body), { store, siteZone: SITE_ZONE, nowMs: NOW_MS })

/** Rows by their dimension values; the second of two hours with one label is marked as the recount marks it. */
function byKey(
  rows: readonly ReportRow[],
  dimensions: readonly string[],
  metrics: readonly string[],
): Map<string, Numbers> {
  const found = new Map<string, Numbers>()
  for (const row of rows) {
    const again = found.has(dimensions.map((name) => row[name]).join('\t'))
    const key = dimensions.map((name) => (again && name === 'hour' ? `${row[name]}~` : row[name])).join('\t')
    const numbers = Object.fromEntries(metrics.map((name) => [name, row[name] as number | null]))
    if (Object.values(numbers).some((value) => value !== 0 && value !== null)) found.set(key, numbers)
  }
  return found
}

interface Case {
  period: { from: string | number; to: string | number }
  timezone?: string
  dimensions: string[]
  filter?: PlainFilter
  include_bots?: boolean
  metrics?: string[]
}

const DIMENSIONS = [
  [],
  ['hour'],
  ['day'],
  ['week'],
  ['month'],
  ['year'],
  ['weekday'],
  ['hour_of_day'],
  ['weekday', 'hour_of_day'],
  ['path'],
  ['browser'],
  ['hostname'],
  ['referrer'],
  ['exit_path'],
  ['event_name'],
  ['http_status'],
  ['title'],
  ['route'],
  ['currency'],
  ['is_bounce'],
  ['entry_path'],
  ['session_page_views', 'tags.section'],
  ['props.plan'],
  ['props.seats'],
  ['tags.section'],
  ['day', 'path'],
  ['path', 'browser'],
  ['path', 'exit_path'],
  ['day', 'browser', 'country'],
]
const ZONES = [SITE_ZONE, 'UTC', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe']
const FILTERS: (PlainFilter | undefined)[] = [
  undefined,
  { dimension: 'country', is: ['DE', 'AT'] },
  { dimension: 'browser', is_not: ['Firefox'] },
  { dimension: 'path', is: ['/pricing'] },
  { dimension: 'path', is_not: ['/', '/docs'] },
  { not: { dimension: 'path', contains: ['/admin', 'doc'] } },
  { dimension: 'path', contains_not: ["o'clock\\n"] },
  { dimension: 'path', matches: ['^/docs', 'ü$'] },
  { dimension: 'path', matches_not: ['^/d'] },
  {
    and: [
      { dimension: 'country', is: ['US'] },
      { dimension: 'path', is: ['/docs/a b'] },
    ],
  },
  {
    or: [
      { dimension: 'browser', is: [''] },
      { dimension: 'exit_path', is: ['/'] },
    ],
  },
  { and: [{ dimension: 'exit_path', is: ['/docs'] }, { not: { dimension: 'path', is: ['/'] } }] },
  { dimension: 'exit_path', is: ['/gone'] },
  { dimension: 'http_status', greater: [200] },
  { dimension: 'http_status', is: [200, 0] },
  { dimension: 'props.seats', less: [5] },
  { not: { dimension: 'props.seats', less: [5] } },
  { dimension: 'props.plan', is: ['pro'] },
  { dimension: 'tags.section', is_not: ['docs'] },
  { dimension: 'hour_of_day', greater: [11] },
  { dimension: 'weekday', is: [6, 7] },
  { dimension: 'day', less: ['2026-10-28'] },
  { dimension: 'title', is_not: ['Home'] },
  { dimension: 'event_name', is: ['buy'] },
  { dimension: 'is_bounce', is: [1] },
  { not: { dimension: 'is_bounce', is: [1] } },
  { dimension: 'session_duration_ms', greater: [20 * 60_000] },
  { session: { dimension: 'path', is: ['/pricing'] } },
  { not: { session: { dimension: 'event_name', is: ['buy'] } } },
  { and: [{ session: { dimension: 'path', is: ['/docs'] } }, { dimension: 'path', is_not: ['/docs'] }] },
]
const PERIODS = [
  { from: '2026-10-19', to: '2026-11-05' },
  { from: '2026-10-24', to: '2026-10-26' },
  { from: '2026-11-01', to: '2026-11-01' },
  { from: '2026-10-24T21:30:00Z', to: '2026-10-25T03:15:00.500Z' },
  { from: FIRST_MS + 1, to: LAST_MS - 1 },
]

/** What the totals of each day know. */
const DAILY_METRICS = METRIC_NAMES.slice(0, 8)
/** Metrics of which rows may add up to the totals. */
const SUMS = ['sessions', 'bounce_rate', 'exits', 'time_on_page']
/** Metrics of one table alone, for the sources that serve nothing else. */
const SUBSETS = [['page_views'], ['sessions', 'bounce_rate', 'session_duration'], ['events', 'visitors'], DAILY_METRICS]

/** Every dimension, zone, filter and period at least once, and random combinations of them. */
function cases(): Case[] {
  const random = seeded(7)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const someMetrics = () => METRIC_NAMES.filter(() => random() < 0.25).concat('page_views')
  const make = (fixed: Partial<Case>): Case => ({
    period: pick(PERIODS),
    timezone: pick(ZONES),
    dimensions: pick(DIMENSIONS),
    filter: random() < 0.5 ? pick(FILTERS) : undefined,
    include_bots: random() < 0.3,
    metrics: someMetrics(),
    ...fixed,
  })
  return [
    ...DIMENSIONS.flatMap((dimensions) => [
      make({ dimensions, filter: undefined, period: PERIODS[0]!, timezone: SITE_ZONE, metrics: METRIC_NAMES }),
      make({ dimensions }),
    ]),
    ...ZONES.flatMap((timezone) =>
      PERIODS.map((period) => make({ timezone, period, dimensions: ['hour'], filter: undefined })),
    ),
    ...FILTERS.flatMap((filter) => [
      make({ filter, dimensions: [], metrics: METRIC_NAMES }),
      make({ filter, dimensions: ['path'] }),
    ]),
    ...SUBSETS.flatMap((metrics) =>
      DIMENSIONS.slice(0, 12).map((dimensions) =>
        make({ metrics, dimensions, filter: undefined, period: PERIODS[0]!, timezone: SITE_ZONE }),
      ),
    ),
    ...ZONES.flatMap((timezone, i) =>
      [['hour'], ['weekday', 'hour_of_day'], ['day']].map((dimensions) =>
        make({ timezone, period: PERIODS[i % 2]!, dimensions, filter: undefined, metrics: ['page_views'] }),
      ),
    ),
    ...[['path'], ['title', 'tags.section']].flatMap((dimensions) =>
      FILTERS.slice(0, 6).map((filter) => make({ dimensions, filter, metrics: ['sessions', 'bounce_rate'] })),
    ),
    ...[['path'], ['tags.section'], ['exit_path'], ['browser'], ['day', 'title']].map((dimensions) =>
      make({ dimensions, metrics: SUMS, filter: FILTERS[1] }),
    ),
    ...Array.from({ length: 40 }, () => make({})),
  ].map((one) => ({ ...one, metrics: [...new Set(one.metrics)] }))
}

function expected(one: Case, dimensions = one.dimensions): Map<string, Numbers> {
  const { range } = parse({ ...one, metrics: ['visitors'] })
  const all = recountPlainly(
    {
      site: 'blog',
      fromMs: range!.fromMs,
      toMs: range!.toMs,
      timezone: one.timezone ?? SITE_ZONE,
      dimensions,
      filter: one.filter ?? null,
      includeBots: one.include_bots ?? false,
      goals: PLAIN_GOALS,
    },
    data,
  )
  const asked = [...all].map(
    ([key, numbers]) => [key, Object.fromEntries(one.metrics!.map((name) => [name, numbers[name]!]))] as const,
  )
  return new Map(asked.filter(([, numbers]) => Object.values(numbers).some((value) => value !== 0 && value !== null)))
}

describe('a report', () => {
  test('equals a plain recount for every metric, dimension, zone, filter and period', {
    timeout: 600_000,
  }, async () => {
    const sources = new Set<string>()
    let compared = 0
    for (const one of cases()) {
      const report = await ask({ ...one, limit: 10_000 })
      sources.add(report.source)
      const rows = byKey(report.rows, one.dimensions, one.metrics!)
      const wanted = expected(one)
      expect(Object.fromEntries(rows), JSON.stringify(one)).toEqual(close(wanted))
      const totals = byKey([report.totals], [], one.metrics!)
      expect(Object.fromEntries(totals), `totals of ${JSON.stringify(one)}`).toEqual(close(expected(one, [])))
      compared += wanted.size
    }
    expect(sources).toEqual(
      new Set(['hits', 'hits_and_sessions', 'daily_totals', 'daily_pages', 'quarter_hours', 'sessions']),
    )
    expect(compared).toBeGreaterThan(2_000)
  })

  test.each([[[]], [['day']], [['week']], [['month']], [['weekday']]])(
    'by %j from daily totals equals a plain recount, visitors too while they are few',
    async (dimensions) => {
      const one: Case = { period: PERIODS[0]!, dimensions, metrics: DAILY_METRICS }
      const query = parse({ ...one })
      const plan = planQuery(query, query.range!, { siteZone: SITE_ZONE, hitsInPeriod: 1e9 })
      expect([plan.source, plan.sketch.rows]).toEqual(['daily_totals', true])
      const days = await readDayTotals(query, query.range!, null, { store, siteZone: SITE_ZONE, nowMs: NOW_MS })
      const { stored, totals } = days!.now
      expect(days!.hits).toBe(totals.page_views! + totals.events!)
      expect({ '': totals }).toEqual(close(expected(one, [])))
      const rows = [...readRows(dimensions.length > 0 ? stored : [{ ...totals }], query, plan)].map((row) => ({
        ...showKeys(row, query, plan.buckets),
        ...row.values,
      }))
      expect(Object.fromEntries(byKey(rows, dimensions, DAILY_METRICS))).toEqual(close(expected(one)))
    },
  )
})

describe('a site that keeps some days', () => {
  const KEPT_DAYS = [10, 14]
  const owl = randomSite('owl', 3_000, 4)
  const query = { site: 'owl', period: PERIODS[0]!, timezone: SITE_ZONE, include_bots: true }
  const metrics = ['page_views', 'time_on_page', 'scroll_depth']
  beforeAll(async () => {
    await insertRows(store, 'hits_in', owl.hits)
    await insertRows(store, 'sessions_in', owl.signed)
  })

  test.each([[[]], [['path']], [['day']], [['title']]])(
    'counts by %j what is left of the visits that began before them',
    async (dimensions) => {
      let cut = 0
      for (const retentionDays of KEPT_DAYS) {
        const asked = parseQuery(
          { ...query, metrics, dimensions, limit: 1_000 },
          { nowMs: NOW_MS, siteZone: SITE_ZONE, goals: [], retentionDays },
        )
        const first = asked.keptFrom!
        const kept = <Row extends { day: number }>(rows: readonly Row[]): Row[] =>
          rows.filter(({ day }) => day >= first)
        const gone = new Set(owl.sessions.filter(({ day }) => day < first).map(({ session_id }) => session_id))
        cut += kept(owl.hits).filter(({ session_id }) => gone.has(session_id)).length
        const { rows } = await makeReport(asked, { store, siteZone: SITE_ZONE, nowMs: NOW_MS })
        const { fromMs, toMs } = asked.range!
        const wanted = recountPlainly(
          { site: 'owl', fromMs, toMs, timezone: SITE_ZONE, dimensions, filter: null, includeBots: true, goals: [] },
          { hits: kept(owl.hits), sessions: owl.sessions, signed: [] },
        )
        const found = byKey(rows, dimensions, metrics)
        expect(found.size).toBeGreaterThan(0)
        for (const [key, numbers] of found) {
          for (const name of metrics) {
            const number = wanted.get(key)?.[name] ?? null
            if (number === null) expect(numbers[name] ?? 0, `${name} of ${key}`).toBe(0)
            else expect(numbers[name], `${name} of ${key}`).toBeCloseTo(number, 6)
          }
        }
      }
      expect(cut).toBeGreaterThan(10)
    },
  )
})

describe('rows', () => {
  const WHOLE = PERIODS[0]!
  const values = (rows: readonly ReportRow[], name: string) => rows.map((row) => row[name])

  test('without data are filled in time, counts 0 and what is undefined null', async () => {
    const report = await ask({
      period: { from: '2026-10-18', to: '2026-10-21' },
      metrics: ['page_views', 'bounce_rate'],
      dimensions: ['day'],
    })
    expect(values(report.rows, 'day')).toEqual(['2026-10-18', '2026-10-19', '2026-10-20', '2026-10-21'])
    expect(report.rows[0]).toEqual({ day: '2026-10-18', page_views: 0, bounce_rate: null })
    expect(report.row_count).toBe(4)
  })

  test('of a day of 25 hours are 25, the doubled hour twice, in order of time', async () => {
    const report = await ask({
      period: { from: '2026-10-25', to: '2026-10-25' },
      metrics: ['page_views'],
      dimensions: ['hour'],
    })
    expect(values(report.rows, 'hour').slice(1, 5)).toEqual(
      ['01', '02', '02', '03'].map((hour) => `2026-10-25T${hour}:00`),
    )
    expect(report.row_count).toBe(25)
  })

  test('of time that has not come are left out', async () => {
    const hour = new Date(NOW_MS).getUTCHours()
    const report = await ask({ period: 'today', timezone: 'UTC', metrics: ['page_views'], dimensions: ['hour'] })
    expect(report.row_count).toBe(hour + 1)
    expect(report.query.to).toBe(new Date(NOW_MS + (24 - hour) * 3_600_000).toISOString())
  })

  test('of an unknown site are none, and totals are 0 and null', async () => {
    const report = await ask({
      site: 'nobody',
      period: WHOLE,
      metrics: ['visitors', 'bounce_rate'],
      dimensions: ['path'],
    })
    expect(report).toMatchObject({ rows: [], row_count: 0, totals: { visitors: 0, bounce_rate: null } })
    const everything = await ask({ site: 'nobody', period: 'all', metrics: ['visitors'], dimensions: ['day'] })
    expect(everything.rows).toEqual([{ day: '2026-11-09', visitors: 0 }])
  })

  test('come most first and by name where even, and pages of them join to the whole', async () => {
    const question = { period: WHOLE, metrics: ['page_views', 'sessions'], dimensions: ['path', 'browser'] }
    const whole = await ask(question)
    const sorted = [...whole.rows].sort(
      (a, b) =>
        (b.page_views as number) - (a.page_views as number) ||
        Buffer.compare(Buffer.from(String(a.path)), Buffer.from(String(b.path))) ||
        Buffer.compare(Buffer.from(String(a.browser)), Buffer.from(String(b.browser))),
    )
    expect(whole.rows).toEqual(sorted)
    const pages: ReportRow[] = []
    for (let offset = 0; offset < whole.row_count; offset += 5) {
      const page = await ask({ ...question, limit: 5, offset })
      expect(page.row_count).toBe(whole.row_count)
      pages.push(...page.rows)
    }
    expect(pages).toEqual(whole.rows)
    expect(await ask({ ...question, offset: 1_000 })).toMatchObject({ rows: [], row_count: whole.row_count })
  })

  test.each(['asc', 'desc'] as const)('ordered %s by a value that may be null have null last', async (direction) => {
    for (const dimensions of [['path'], ['hour']]) {
      const order_by = [{ field: 'bounce_rate', direction }]
      const { rows } = await ask({ period: WHOLE, metrics: ['bounce_rate', 'page_views'], dimensions, order_by })
      const rates = values(rows, 'bounce_rate') as (number | null)[]
      const firstNull = rates.includes(null) ? rates.indexOf(null) : rates.length
      expect(rates.slice(firstNull).every((rate) => rate === null)).toBe(true)
      const numbers = rates.slice(0, firstNull) as number[]
      expect(numbers).toEqual([...numbers].sort((a, b) => (direction === 'asc' ? a - b : b - a)))
      expect(numbers.length).toBeGreaterThan(2)
    }
  })

  test.each(['saturday', 'sunday'])('by weeks that begin with a %s add up to the days in them', async (week_start) => {
    const question = { period: WHOLE, metrics: ['page_views'], timezone: 'Asia/Kolkata' }
    const weeks = await ask({ ...question, dimensions: ['week'], week_start })
    const days = await ask({ ...question, dimensions: ['day'] })
    for (const { week, page_views } of weeks.rows) {
      const ends = new Date(Date.parse(`${week}`) + 7 * 86_400_000).toISOString().slice(0, 10)
      const inside = days.rows.filter(({ day }) => `${day}` >= `${week}` && `${day}` < ends)
      expect(page_views).toBe(inside.reduce((sum, row) => sum + (row.page_views as number), 0))
      const filter = { dimension: 'week', is: [week] }
      expect((await ask({ ...question, filter, week_start })).totals.page_views).toBe(page_views)
    }
    expect(weeks.rows.length).toBeGreaterThan(2)
  })

  test('of time can be ordered and paged too', async () => {
    const question = {
      period: WHOLE,
      metrics: ['page_views'],
      dimensions: ['day'],
      order_by: [{ field: 'page_views' }],
    }
    const { rows } = await ask(question)
    const page = await ask({ ...question, limit: 3, offset: 2 })
    expect(page.rows).toEqual(rows.slice(2, 5))
    expect(page.row_count).toBe(18)
  })
})

describe('the period all', () => {
  test('begins with the first day that has data, in any zone', async () => {
    for (const timezone of ZONES) {
      const report = await ask({ period: 'all', timezone, metrics: ['page_views'], include_bots: true })
      const first = Math.min(...blog.hits.filter(({ verdict }) => verdict === 'keep').map(({ time }) => time))
      expect(Date.parse(String(report.query.from))).toBeLessThanOrEqual(first)
      expect(Date.parse(String(report.query.from))).toBeGreaterThan(first - 2 * 86_400_000)
    }
  })

  test('is refused where it makes too many buckets', async () => {
    const old = parseQuery(
      { site: 'blog', period: 'all', metrics: ['page_views'], dimensions: ['minute'] },
      { nowMs: NOW_MS, siteZone: SITE_ZONE },
    )
    await expect(makeReport(old, { store, siteZone: SITE_ZONE, nowMs: NOW_MS })).rejects.toMatchObject({
      code: 'query_invalid',
    })
  })
})

describe('a comparison', () => {
  test.each([[[]], [['day']], [['path']], [['day', 'browser']], [['weekday']], [['exit_path']]])(
    'by %j puts the numbers of the period before beside each row',
    async (dimensions) => {
      const metrics = ['visitors', 'page_views', 'bounce_rate']
      const now = { period: { from: '2026-10-27', to: '2026-11-02' }, dimensions, metrics, limit: 1_000 }
      const report = await ask({ ...now, compare: 'previous_period' })
      const before = await ask({ ...now, period: { from: '2026-10-20', to: '2026-10-26' } })
      expect(report.query.compare).toEqual({ from: before.query.from, to: before.query.to })
      const earlier = (row: ReportRow): ReportRow => ({
        ...row,
        ...(row.day && { day: new Date(Date.parse(`${row.day}`) - 7 * 86_400_000).toISOString().slice(0, 10) }),
      })
      for (const row of report.rows) {
        const key = dimensions.map((name) => earlier(row)[name]).join()
        const pair = before.rows.find((other) => dimensions.map((name) => other[name]).join() === key)
        const previous = Object.fromEntries(
          metrics.map((name) => [name, pair ? pair[name] : name === 'bounce_rate' ? null : 0]),
        )
        expect(row.previous, key).toEqual(previous)
        const [a, b] = [row.page_views as number, previous.page_views as number]
        expect((row.growth as Numbers).page_views).toEqual(b === 0 ? null : (a - b) / b)
      }
      expect(report.rows.length).toBeGreaterThan(0)
      expect(report.totals.previous).toEqual(Object.fromEntries(metrics.map((name) => [name, before.totals[name]])))
    },
  )

  const BEFORE = [
    'previous_period',
    { from: '2026-10-21', to: '2026-10-24' },
    // Days of both periods are asked for by themselves.
    { from: '2026-10-25', to: '2026-10-31' },
    { from: '2026-10-28', to: '2026-11-04' },
  ]
  test.each([[[]], [['day']], [['week']], [['month']], [['weekday']], [['month', 'weekday']]])(
    'by %j from daily totals puts those of the other period beside each row',
    async (dimensions) => {
      for (const compare of BEFORE) {
        const metrics = ['page_views', 'sessions', 'bounce_rate']
        const now = { period: { from: '2026-10-27', to: '2026-11-02' }, dimensions, metrics }
        const report = await ask({ ...now, compare })
        const [plain, before] = [await ask(now), await ask({ ...now, period: report.query.compare })]
        expect(report.source).toBe('daily_totals')
        expect(report.rows.map(({ previous, growth, ...row }) => row)).toEqual(plain.rows)
        expect(report.totals).toMatchObject({ ...plain.totals, previous: before.totals })
        const beside = report.rows.map((_, i) =>
          Object.fromEntries(metrics.map((name) => [name, before.rows[i] ? before.rows[i][name] : null])),
        )
        if (dimensions.length < 2) expect(report.rows.map(({ previous }) => previous)).toEqual(beside)
      }
    },
  )

  test('pairs the hours of a day of 24 with a day of 25 by the clock', async () => {
    const report = await ask({
      period: { from: '2026-10-26', to: '2026-10-26' },
      compare: 'previous_period',
      metrics: ['page_views'],
      dimensions: ['hour'],
      include_bots: true,
    })
    const before = await ask({
      period: { from: '2026-10-25', to: '2026-10-25' },
      metrics: ['page_views'],
      dimensions: ['hour'],
      include_bots: true,
    })
    const byHour = before.rows.filter((_, i) => i !== 3).map((row) => row.page_views)
    expect(report.rows.map((row) => (row.previous as Numbers).page_views)).toEqual(byHour)
  })
})

describe('visitors', () => {
  /** A site of which the sketch holds more than it counts exactly. */
  const CROWD = 2_000
  beforeAll(async () => {
    const [hit] = blog.hits
    const hits = Array.from({ length: CROWD }, (_, i) => ({
      ...hit!,
      site: 'crowd',
      type: 'page_view' as const,
      is_bot: false,
      visitor_id: (0x9e3779b97f4a7c15n * BigInt(i + 1)).toString(16).slice(-16).padStart(16, '0'),
    }))
    await insertRows(store, 'hits_in', hits)
  })

  test('are exact from hits, and the answer says so', async () => {
    const report = await ask({ site: 'crowd', period: PERIODS[0]!, metrics: ['visitors'] })
    expect(report).toMatchObject({ source: 'hits', visitors_error: 0, totals: { visitors: CROWD } })
  })

  test('of a large site are a sketch, and the answer says how good', async () => {
    const query = parse({ site: 'crowd', period: PERIODS[0]!, metrics: ['visitors'] })
    const many: Store = {
      ...store,
      query: async (sql, options) => {
        const rows = await store.query<Record<string, unknown>>(sql, options)
        return rows.map((row) => ('page_views' in row ? { ...row, page_views: 1e9 } : row)) as never[]
      },
    }
    const report = await makeReport(query, { store: many, siteZone: SITE_ZONE, nowMs: NOW_MS })
    expect(report).toMatchObject({ source: 'daily_totals', visitors_error: SKETCH_ERROR })
    expect(Math.abs((report.totals.visitors as number) / CROWD - 1)).toBeLessThan(0.05)
  })

  test('in a sketch are exact while they are few, also when days are merged', async () => {
    const sql = `SELECT count() AS tried, countIf(merged != n) AS wrong FROM (
      SELECT n, seed, uniqCombined64Merge(14)(state) AS merged FROM (
        SELECT n, seed, part, uniqCombined64State(14)(cityHash64(id, seed)) AS state FROM (
          SELECT arrayJoin([1, 17, 100, 255, 300, {most:UInt32}]) AS n, arrayJoin(range(20)) AS seed, arrayJoin(range(30)) AS part,
            arrayJoin(arrayFilter(x -> x % 30 = part OR x % 7 = part % 7, range(n))) AS id
        ) GROUP BY n, seed, part
      ) GROUP BY n, seed
    )`
    const [found] = await store.query<Record<string, string>>(sql, { params: { most: SKETCH_EXACT_UP_TO } })
    expect(found).toEqual({ tried: '120', wrong: '0' })
  })
})

describe('a pattern', () => {
  test('that the engine cannot read is refused with its pointer', async () => {
    const filter = {
      and: [
        { dimension: 'path', matches: ['^/ok', '(['] },
        { dimension: 'browser', matches_not: ['*'] },
      ],
    }
    await expect(ask({ period: PERIODS[0]!, metrics: ['visitors'], filter })).rejects.toMatchObject({
      code: 'query_invalid',
      errors: [{ pointer: '/filter/and/0/matches/1' }, { pointer: '/filter/and/1/matches_not/0' }],
    })
  })
})

/** Quotients are compared to 12 digits. */
const close = (rows: Map<string, Numbers>): object =>
  Object.fromEntries(
    [...rows].map(([key, numbers]) => [
      key,
      Object.fromEntries(
        Object.entries(numbers).map(([name, value]) => [
          name,
          value === null || Number.isInteger(value) ? value : expect.closeTo(value, 9),
        ]),
      ),
    ]),
  )
