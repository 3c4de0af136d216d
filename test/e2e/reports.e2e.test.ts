/**
 * Every kind of report of a day on which 9 page views and 4 events of 3 people came, all numbers worked out by hand. The day is one of 25
 * hours in a zone half an hour off: 2026-11-01 in St. John's begins at 02:30 UTC, has 01:00 to 02:00 twice (from 03:30 and from
 * 04:30 UTC), and ends at 03:30 UTC of the next.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hitId, waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type MovableProduct, startMovableProduct } from './movable-product/start-movable-product.ts'

/** When the reports are asked for: half an hour before the day ends. */
const NOW = Date.parse('2026-11-02T03:00:00Z')
const MINUTE_MS = 60_000

/** Who visits. Addresses are of Deutsche Telekom, A1 Telekom Austria, Orange, Google and Free. */
const VISITORS = {
  anna: {
    ip: '84.128.10.20',
    user_agent:
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
    language: 'de-DE',
    screen_width: 1920,
  },
  bert: {
    ip: '91.112.10.20',
    user_agent:
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
    language: 'de-AT',
    screen_width: 390,
  },
  cleo: {
    ip: '90.0.10.20',
    user_agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
    language: 'fr',
    screen_width: 1280,
  },
  crawler: {
    ip: '66.249.66.1',
    user_agent: 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
  },
  script: { ip: '82.64.10.20', user_agent: 'curl/8.5.0' },
} as const
type Visitor = keyof typeof VISITORS
type Sent = [time: string, visitor: Visitor, path: string, more?: object]

const event = (name: string, more: object): object => ({ type: 'event', name, ...more })
const took = (route: string, request_ms: number): object => ({ route, request_ms, method: 'GET', status: 200 })
const DOCS_PAGE = hitId(1)

/** The day before: one visit of two pages. */
const DAY_BEFORE: Sent[] = [
  ['2026-10-31T12:00:00Z', 'bert', '/'],
  ['2026-10-31T12:00:30Z', 'bert', '/pricing'],
]
/** The day: two visits of Anna, one of Bert, one of Cleo; a crawler and a script. */
const DAY: Sent[] = [
  // 01:10, the first time: from a search engine, 4 minutes.
  ['2026-11-01T03:40:00Z', 'anna', '/', { title: 'Home', referrer: 'https://www.google.com/' }],
  ['2026-11-01T03:41:00Z', 'anna', '/pricing', { title: 'Prices' }],
  ['2026-11-01T03:43:00Z', 'anna', '/docs', { title: 'Docs', hit_id: DOCS_PAGE }],
  [
    '2026-11-01T03:43:30Z',
    'anna',
    '/docs',
    { type: 'engagement', page_id: DOCS_PAGE, engaged_ms: 30_000, scroll_percent: 80 },
  ],
  [
    '2026-11-01T03:44:00Z',
    'anna',
    '/docs',
    event('signup', { value: 49, currency: 'EUR', props: { plan: 'pro', seats: 12 } }),
  ],
  // 01:10, the second time: a link in a mail, and gone.
  [
    '2026-11-01T04:40:00Z',
    'bert',
    '/pricing?utm_source=newsletter&utm_medium=email&utm_campaign=autumn',
    { title: 'Prices' },
  ],
  // 11:30: Anna comes back and buys, 140 s.
  ['2026-11-01T15:00:00Z', 'anna', '/', { title: 'Home' }],
  ['2026-11-01T15:00:20Z', 'anna', '/shop/hat', { title: 'Hat' }],
  ['2026-11-01T15:01:20Z', 'anna', '/shop/hat', event('buy', { value: 20, currency: 'EUR', duration_ms: 4_000 })],
  ['2026-11-01T15:01:50Z', 'anna', '/shop/hat', event('signup', { props: { plan: 'free', seats: 3 } })],
  ['2026-11-01T15:02:20Z', 'anna', '/', { title: 'Home' }],
  // 12:30
  ['2026-11-01T16:00:00Z', 'crawler', '/'],
  ['2026-11-01T16:05:00Z', 'script', '/docs'],
  // 23:15: another site sent Cleo, 6 minutes, the last ones of them in the last half an hour.
  [
    '2026-11-02T02:45:00Z',
    'cleo',
    '/docs',
    { referrer: 'https://news.example/today', tags: { section: 'docs' }, ...took('/docs', 100) },
  ],
  ['2026-11-02T02:50:00Z', 'cleo', '/docs/a', { title: 'Docs: a', ...took('/docs/:page', 300) }],
  ['2026-11-02T02:51:00Z', 'cleo', '/docs/a', event('signup', { props: { plan: 'pro', seats: 6 } })],
]

const folder = mkdtempSync(join(tmpdir(), 'millrace-reports-'))
let product: MovableProduct

beforeAll(async () => {
  product = await startMovableProduct({ dataDir: folder, startAt: Date.parse(DAY_BEFORE[0]![0]) })
  await ask('/v1/sites', { id: 'blog', timezone: 'America/St_Johns' })
  const { key } = await ask<{ key: string }>('/v1/keys', { scopes: ['ingest'] })
  for (const visit of visits([...DAY_BEFORE, ...DAY])) {
    await moveTo(Date.parse(visit.at(-1)![0]))
    await send(visit, key)
  }
  await moveTo(NOW)
  await untilComplete()
}, 120_000)
afterAll(() => {
  product?.kill()
  rmSync(folder, { recursive: true, force: true })
})

interface Answer {
  query: { from: string; to: string }
  rows: Record<string, unknown>[]
  totals: Record<string, unknown>
  row_count: number
  complete_until: string
}

async function ask<Body = Answer>(path: string, body: object, headers: Record<string, string> = {}): Promise<Body> {
  const answer = await fetch(product.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${text}`)
  return JSON.parse(text) as Body
}
const query = (body: object): Promise<Answer> =>
  ask('/v1/query', { site: 'blog', period: 'today', metrics: ['page_views'], ...body })
const report = <Body = Answer>(name: string, body: object = {}): Promise<Body> =>
  ask(`/v1/reports/${name}`, { site: 'blog', period: 'today', ...body })

/** Hits that are sent together: none is older than some minutes, as it would belong to no session then. */
function visits(hits: readonly Sent[]): Sent[][] {
  const found: Sent[][] = []
  for (const hit of hits) {
    const begin = found.at(-1)?.[0]
    if (begin && Date.parse(hit[0]) - Date.parse(begin[0]) < 10 * MINUTE_MS) found.at(-1)!.push(hit)
    else found.push([hit])
  }
  return found
}

/** Sets the clock of the product, and waits until it says so. */
async function moveTo(time: number): Promise<void> {
  product.setClock(time)
  await waitUntil('the clock has moved', async () => Date.parse((await query({ period: '24h' })).query.to) >= time)
}

/** Hits as the site's own server sends them, in one request at the time of the last one. */
async function send(hits: readonly Sent[], key: string): Promise<void> {
  const sent = hits.map(([time, visitor, path, more]) => ({
    site: 'blog',
    created_at: Date.parse(time),
    url: `https://example.com${path}`,
    headers: { accept: 'text/html', 'accept-language': 'de' },
    ...VISITORS[visitor],
    ...more,
  }))
  const sent_at = Date.parse(hits.at(-1)![0])
  const answer = await ask('/v1/hits', { hits: sent, sent_at }, { authorization: `Bearer ${key}` })
  expect(answer).toEqual({ accepted: hits.length })
}

/** Until all that was sent is counted, with its visits: what is complete is told by the machine's own clock. */
async function untilComplete(): Promise<void> {
  const sentMs = Date.now()
  await waitUntil('all is counted', async () => {
    const { totals, complete_until } = await query({ period: 'all', include_bots: true })
    return totals.page_views === 13 && Date.parse(complete_until) >= sentMs
  })
}

/** A table of the fields: one line a row. */
const table = (rows: readonly Record<string, unknown>[], ...fields: string[]): unknown[][] =>
  rows.map((row) => fields.map((field) => row[field]))

describe('a day whose numbers were worked out by hand', () => {
  test('has its headline, and how it grew', async () => {
    // 3 + 1 + 3 + 2 page views in 4 visits of 3 people; (240 + 0 + 140 + 360) s / 4.
    const { totals, query: asked } = await report('headline', { compare: 'previous_period' })
    expect([asked.from, asked.to]).toEqual(['2026-11-01T02:30:00.000Z', '2026-11-02T03:30:00.000Z'])
    expect(totals).toMatchObject({
      visitors: 3,
      sessions: 4,
      page_views: 9,
      views_per_session: 2.25,
      bounce_rate: 0.25,
    })
    expect(totals.session_duration).toBe(185_000)
    expect(totals.previous).toEqual({
      ...{ visitors: 1, sessions: 1, page_views: 2, views_per_session: 2, bounce_rate: 0, session_duration: 30_000 },
    })
    expect(totals.growth).toMatchObject({ visitors: 2, sessions: 3, page_views: 3.5, bounce_rate: null })
  })

  test('has 25 hours, one of them twice, and the hours of the clock', async () => {
    const { rows } = await report('chart', { dimensions: ['hour'] })
    const hours = table(rows, 'hour', 'visitors', 'page_views')
    expect(hours.length).toBe(25)
    expect(hours.slice(0, 4)).toEqual([
      ['2026-11-01T00:00', 0, 0],
      ['2026-11-01T01:00', 1, 3],
      ['2026-11-01T01:00', 1, 1],
      ['2026-11-01T02:00', 0, 0],
    ])
    expect(hours.filter(([, visitors]) => visitors !== 0).slice(2)).toEqual([
      ['2026-11-01T11:00', 1, 3],
      ['2026-11-01T23:00', 1, 2],
    ])
    const heat = (await report('heatmap')).rows.filter(({ page_views }) => page_views !== 0)
    // A Sunday.
    expect(table(heat, 'weekday', 'hour_of_day', 'page_views')).toEqual([
      [7, 1, 4],
      [7, 11, 3],
      [7, 23, 2],
    ])
  })

  test('has its pages, with those who saw them', async () => {
    const { rows, totals, row_count } = await report('pages', { metrics: ['page_views', 'visitors', 'sessions'] })
    expect(table(rows, 'path', 'page_views', 'visitors', 'sessions')).toEqual([
      ['/', 3, 1, 2],
      ['/docs', 2, 2, 2],
      ['/pricing', 2, 2, 2],
      ['/docs/a', 1, 1, 1],
      ['/shop/hat', 1, 1, 1],
    ])
    expect([totals, row_count]).toEqual([{ page_views: 9, visitors: 3, sessions: 4 }, 5])
    const second = await report('pages', { metrics: ['page_views', 'visitors'], limit: 2, offset: 3 })
    expect([table(second.rows, 'path'), second.row_count]).toEqual([[['/docs/a'], ['/shop/hat']], 5])
  })

  test('has its entry and exit pages', async () => {
    const entries = (await report('entry_pages')).rows
    expect(table(entries, 'entry_path', 'entries', 'bounce_rate', 'session_duration')).toEqual([
      ['/', 2, 0, 190_000],
      ['/docs', 1, 0, 360_000],
      ['/pricing', 1, 1, 0],
    ])
    const exits = (await report('exit_pages')).rows
    expect(table(exits, 'exit_path', 'exits', 'session_duration')).toEqual([
      ['/', 1, 140_000],
      ['/docs', 1, 240_000],
      ['/docs/a', 1, 360_000],
      ['/pricing', 1, 0],
    ])
  })

  test('says how long pages were seen', async () => {
    const { rows } = await report('time_on_page')
    expect(table(rows, 'path', 'time_on_page', 'scroll_depth', 'page_views')).toEqual([
      // Anna until her last sign of life, 30 s; Cleo until the next page, 300 s.
      ['/docs', 165_000, 80, 2],
      ['/pricing', 120_000, null, 2],
      ['/shop/hat', 120_000, null, 1],
      // 60 s and 20 s; how long she saw it the last time is not known.
      ['/', 40_000, null, 3],
      ['/docs/a', null, null, 1],
    ])
  })

  test.each([
    [
      'channels',
      'channel',
      [
        ['Direct', 1, 0],
        ['Email', 1, 1],
        ['Organic Search', 1, 0],
        ['Referral', 1, 0],
      ],
    ],
    [
      'sources',
      'referrer_name',
      [
        ['', 1, 0],
        ['Google', 1, 0],
        ['Newsletter', 1, 1],
        ['news.example', 1, 0],
      ],
    ],
    [
      'utm',
      'utm_campaign',
      [
        ['', 3, 0],
        ['autumn', 1, 1],
      ],
    ],
    [
      'places',
      'country',
      [
        ['DE', 2, 0],
        ['AT', 1, 1],
        ['FR', 1, 0],
      ],
    ],
    [
      'devices',
      'device_type',
      [
        ['desktop', 3, 0],
        ['phone', 1, 1],
      ],
    ],
    [
      'browsers',
      'browser',
      [
        ['Chrome', 2, 0],
        ['Firefox', 1, 0],
        ['Safari', 1, 1],
      ],
    ],
    [
      'systems',
      'os',
      [
        ['Windows', 2, 0],
        ['Linux', 1, 0],
        ['iOS', 1, 1],
      ],
    ],
    [
      'languages',
      'language',
      [
        ['de', 3, 1 / 3],
        ['fr', 1, 0],
      ],
    ],
    [
      'screens',
      'screen_class',
      [
        ['xxl', 2, 0],
        ['lg', 1, 0],
        ['xs', 1, 1],
      ],
    ],
  ])('has its %s', async (name, dimension, wanted) => {
    expect(table((await report(name)).rows, dimension, 'sessions', 'bounce_rate')).toEqual(wanted)
  })

  test('has its events, what they carry, and its tags', async () => {
    const { rows, totals } = await report('events')
    expect(table(rows, 'event_name', 'events', 'visitors', 'revenue', 'event_duration')).toEqual([
      ['signup', 3, 2, 49, null],
      ['buy', 1, 1, 20, 4_000],
    ])
    // Of everybody who came, events or not.
    expect(totals).toEqual({ events: 4, visitors: 3, revenue: 69, event_duration: 4_000 })
    const asked = { event_name: 'signup', property: 'seats' }
    const seats = await report<{ summary: object; rows: Record<string, unknown>[] }>('event_properties', asked)
    expect(seats.summary).toMatchObject({ events: 3, numbers: 3, sum: 21, average: 7, min: 3, max: 12, p50: 6 })
    const plans = await report('event_properties', { ...asked, property: 'plan' })
    expect(table(plans.rows, 'value', 'events', 'visitors', 'revenue')).toEqual([
      ['pro', 2, 2, 49],
      ['free', 1, 1, 0],
    ])
    expect((await report('tags')).rows).toEqual([
      { tag: 'section', tag_values: 1, page_views: 1, events: 0, visitors: 1 },
    ])
    const sections = await query({ dimensions: ['tags.section'], metrics: ['page_views', 'visitors'] })
    expect(sections.rows).toEqual([{ 'tags.section': 'docs', page_views: 1, visitors: 1 }])
  })

  test('has its slowest routes, and its bots by reason', async () => {
    const { rows } = await report('routes')
    const durations = ['p50', 'p95', 'p99'].map((level) => `request_duration_${level}`)
    expect(table(rows, 'route', 'requests', ...durations, 'request_duration')).toEqual([
      ['/docs/:page', 1, 300, 300, 300, 300],
      ['/docs', 1, 100, 100, 100, 100],
    ])
    const bots = await report('bots')
    expect(table(bots.rows, 'client_kind', 'bot_reason', 'page_views', 'events', 'visitors')).toEqual([
      ['bot', 'ua_bot', 1, 0, 1],
      ['library', 'ua_library', 1, 0, 1],
    ])
    expect((await query({ include_bots: true })).totals).toEqual({ page_views: 11 })
  })

  test('has its sessions, and each of them step by step', async () => {
    const { rows, row_count } = await report('sessions')
    const fields = ['start', 'entry_path', 'exit_path', 'page_views', 'events', 'duration_ms', 'is_bounce', 'country']
    expect(table(rows, ...fields)).toEqual([
      ['2026-11-02T02:45:00.000Z', '/docs', '/docs/a', 2, 1, 360_000, 0, 'FR'],
      ['2026-11-01T15:00:00.000Z', '/', '/', 3, 2, 140_000, 0, 'DE'],
      ['2026-11-01T04:40:00.000Z', '/pricing', '/pricing', 1, 0, 0, 1, 'AT'],
      ['2026-11-01T03:40:00.000Z', '/', '/docs', 3, 1, 240_000, 0, 'DE'],
    ])
    expect(row_count).toBe(4)
    expect(rows[1]!.visitor_id).toBe(rows[3]!.visitor_id)
    const steps = await report('session', { session_id: rows[3]!.session_id })
    expect(table(steps.rows, 'time', 'type', 'path', 'event_name', 'engaged_ms')).toEqual([
      ['2026-11-01T03:40:00.000Z', 'page_view', '/', '', 0],
      ['2026-11-01T03:41:00.000Z', 'page_view', '/pricing', '', 0],
      ['2026-11-01T03:43:00.000Z', 'page_view', '/docs', '', 0],
      ['2026-11-01T03:43:30.000Z', 'engagement', '/docs', '', 30_000],
      ['2026-11-01T03:44:00.000Z', 'event', '/docs', 'signup', 0],
    ])
  })

  test('knows who is there now', async () => {
    const now = await ask<Answer & { series: Record<string, unknown>[] }>('/v1/reports/realtime', { site: 'blog' })
    expect(now.totals).toMatchObject({ visitors: 1, page_views: 2, events: 1 })
    expect(now.rows).toEqual([{ path: '/docs/a', visitors: 1 }])
    expect(now.series.reduce((sum, { page_views }) => sum + Number(page_views), 0)).toBe(2)
  })

  test('reaches its goals', async () => {
    const goals = {
      hat: { type: 'page', path: '/shop/*', value: 10, currency: 'EUR' },
      long: { type: 'duration', duration_ms: 180_000 },
      read: { type: 'scroll', path: '/docs', scroll_percent: 75 },
      signed: { type: 'event', event_name: 'signup' },
    }
    for (const [id, goal] of Object.entries(goals)) await ask('/v1/sites/blog/goals', { id, name: id, ...goal })
    const { rows, totals } = await report('goals')
    expect(table(rows, 'goal', 'conversions', 'visitors', 'conversion_rate', 'revenue')).toEqual([
      ['hat', 1, 1, 1 / 3, 10],
      ['long', 2, 2, 2 / 3, 0],
      ['read', 1, 1, 1 / 3, 0],
      ['signed', 3, 2, 2 / 3, 49],
    ])
    expect(totals).toEqual({ visitors: 3 })
  })

  test('has those who went on from step to step, and where they came from and went to', async () => {
    const steps = [{ path: '/' }, { path: '/pricing' }, { event_name: 'signup' }]
    const { rows } = await report('funnel', { steps })
    expect(table(rows, 'name', 'count', 'rate', 'step_rate', 'dropped')).toEqual([
      ['/', 2, 1, 1, 0],
      ['/pricing', 1, 0.5, 0.5, 1],
      ['signup', 1, 0.5, 1, 0],
    ])
    const strict = await report('funnel', { steps, order: 'strict' })
    // The docs come between.
    expect(table(strict.rows, 'count')).toEqual([[2], [1], [0]])
    expect(await report<object>('journey', { path: '/pricing' })).toMatchObject({
      previous: [{ path: '/', page_views: 1 }],
      next: [{ path: '/docs', page_views: 1 }],
      totals: { page_views: 2, entries: 1, exits: 1 },
    })
  })

  test('offers what filters may be made of, and filters across tables', async () => {
    const { rows } = await report('values', { dimension: 'path', search: 'DOCS' })
    expect(rows).toEqual([
      { value: '/docs', count: 3 },
      { value: '/docs/a', count: 2 },
    ])
    const metrics = ['sessions', 'visitors', 'page_views', 'bounce_rate']
    const saw = { dimension: 'path', is: ['/pricing'] }
    expect((await query({ metrics, filter: saw })).totals).toEqual({
      ...{ sessions: 2, visitors: 2, page_views: 2, bounce_rate: 0.5 },
    })
    expect((await query({ metrics, filter: { session: saw } })).totals).toMatchObject({ sessions: 2, page_views: 4 })
    const paid = { dimension: 'props.seats', greater: [5] }
    expect((await query({ metrics: ['events', 'sessions'], filter: paid })).totals).toEqual({ events: 2, sessions: 2 })
    const stayed = { not: { dimension: 'is_bounce', is: [1] } }
    expect((await query({ metrics, filter: stayed })).totals).toMatchObject({ sessions: 3, page_views: 8 })
  })

  test('is the same as CSV, by a bookmark', async () => {
    const search = 'site=blog&period=today&metrics=visitors,bounce_rate&dimensions=channel&compare=previous_period'
    const answer = await fetch(`${product.url}/v1/query?${search}`, { headers: { accept: 'text/csv' } })
    expect((await answer.text()).split('\r\n')).toEqual([
      'channel,visitors,bounce_rate,previous_visitors,previous_bounce_rate,growth_visitors,growth_bounce_rate',
      'Direct,1,0,1,0,0,',
      'Email,1,1,0,,,',
      'Organic Search,1,0,0,,,',
      'Referral,1,0,0,,,',
      '',
    ])
  })

  test('is nothing in other periods, in which there is 0 of all, and no rate', async () => {
    const metrics = ['visitors', 'bounce_rate', 'session_duration']
    for (const period of [
      { from: '2027-03-01', to: '2027-03-02' },
      { from: '2020-02-28', to: '2020-03-01' },
    ]) {
      const { totals, rows } = await query({ period, metrics, dimensions: ['path'] })
      expect([totals, rows]).toEqual([{ visitors: 0, bounce_rate: null, session_duration: null }, []])
    }
    const days = await query({
      period: { from: '2026-10-30', to: '2026-11-01' },
      metrics: ['visitors', 'page_views'],
      dimensions: ['day'],
    })
    expect(table(days.rows, 'day', 'visitors', 'page_views')).toEqual([
      ['2026-10-30', 0, 0],
      ['2026-10-31', 1, 2],
      ['2026-11-01', 3, 9],
    ])
  })
})
