import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger, createServer, type Server } from '@millrace/server'
import { BlockWriter, HIT_COLUMNS, SESSION_BLOCK_COLUMNS } from '@millrace/shared'
import { migrate, openStore, type Store, StoreUnavailable } from '@millrace/store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { wantsCsv } from './answer-report.ts'
import { randomSite, SITE_ZONE } from './random-site.fixture.ts'
import { registerQueryApi } from './register.ts'

const NOW_MS = Date.parse('2026-11-02T10:00:01.120Z')
const QUERY = { site: 'blog', period: '7d', timezone: 'UTC', metrics: ['visitors', 'page_views'], dimensions: ['day'] }
const IN_URL = 'site=blog&period=7d&timezone=UTC&metrics=visitors,page_views&dimensions=day'

let dataDir: string
let store: Store
let broken = false
let server: Server
let url: string

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-query-api-'))
  store = await openStore({ dataDir })
  await migrate(store)
  const site = randomSite('blog', 100, 4)
  const hits = new BlockWriter(HIT_COLUMNS)
  for (const hit of site.hits) hits.append(hit)
  await store.insert({ table: 'hits_in', blocks: [hits.finish()], logComment: '' })
  const sessions = new BlockWriter(SESSION_BLOCK_COLUMNS)
  for (const session of site.signed) sessions.append(session)
  await store.insert({ table: 'sessions_in', blocks: [sessions.finish()], logComment: '' })

  server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('fatal', 'test') })
  const flaky: Pick<Store, 'query'> = {
    query: (sql, options) => (broken ? Promise.reject(new StoreUnavailable('gone')) : store.query(sql, options)),
  }
  registerQueryApi({
    server,
    store: flaky as Store,
    settings: { MILLRACE_TIMEZONE: SITE_ZONE },
    completeUntil: async () => NOW_MS,
    clock: () => NOW_MS,
  })
  url = await server.listen()
})

afterAll(async () => {
  await server?.close()
  await store?.close()
  await rm(dataDir, { recursive: true, force: true })
})

const post = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/query`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  })

interface Answer {
  query: Record<string, unknown>
  rows: Record<string, number | string>[]
  totals: Record<string, number>
  errors: { pointer: string }[]
}
const read = async (answer: Response): Promise<Answer> => (await answer.json()) as Answer

describe('POST /v1/query', () => {
  test('answers with the query as understood, rows, totals and how far they are complete', async () => {
    const answer = await post(QUERY)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toContain('application/json')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const body = await read(answer)
    expect(Object.keys(body)).toEqual([
      'query',
      'source',
      'visitors_error',
      'rows',
      'totals',
      'row_count',
      'complete_until',
    ])
    expect(body.query).toEqual({
      ...QUERY,
      from: '2026-10-27T00:00:00.000Z',
      to: '2026-11-03T00:00:00.000Z',
      order_by: [{ field: 'day', direction: 'asc' }],
      limit: 10_000,
      offset: 0,
      include_bots: false,
    })
    expect(body).toMatchObject({
      source: 'hits',
      visitors_error: 0,
      row_count: 7,
      complete_until: '2026-11-02T10:00:01.120Z',
    })
    expect(body.rows.map((row) => row.day)).toEqual(
      [27, 28, 29, 30, 31].map((d) => `2026-10-${d}`).concat('2026-11-01', '2026-11-02'),
    )
    const views = body.rows.reduce((sum, row) => sum + (row.page_views as number), 0)
    expect(views).toBe(body.totals.page_views)
    expect(views).toBeGreaterThan(50)
  })

  test('what it answers as understood can be asked again', async () => {
    const first = await read(await post({ ...QUERY, filter: { dimension: 'path', is_not: '/' }, dimensions: ['path'] }))
    const { from, to, ...query } = first.query
    const again = await read(await post({ ...query, period: { from, to } }))
    expect(again.rows).toEqual(first.rows)
    expect(again.totals).toEqual(first.totals)
  })

  test('names every mistake by its pointer', async () => {
    const answer = await post({ period: '8d', metrics: ['visitors', 'clicks'], colour: 'red' })
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    const body = await read(answer)
    expect(body).toMatchObject({ code: 'query_invalid', status: 400 })
    expect(body.errors.map((error) => error.pointer).sort()).toEqual(['/colour', '/metrics/1', '/period'])
  })

  test.each<[string, unknown, Record<string, string>, number, string]>([
    ['a wrong zone', { ...QUERY, timezone: 'Mars/Base' }, {}, 400, 'timezone_unknown'],
    ['a wrong period', { ...QUERY, period: { from: '2026-02-30', to: '2026-03-01' } }, {}, 400, 'period_invalid'],
    [
      'a pattern that cannot be read',
      { ...QUERY, filter: { dimension: 'path', matches: ['('] } },
      {},
      400,
      'query_invalid',
    ],
    ['broken JSON', '{"site":', {}, 400, 'json_invalid'],
    ['an empty body', '', {}, 400, 'json_invalid'],
    ['bytes that are no UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d), {}, 400, 'json_invalid'],
    [
      'another content type',
      'a=1',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'media_type_unsupported',
    ],
    ['a body of 100 KB', `{"site":"${'x'.repeat(100_000)}"}`, {}, 413, 'body_too_large'],
  ])('refuses %s', async (_, body, headers, status, code) => {
    const answer = await post(body, headers)
    expect(answer.status).toBe(status)
    expect(await read(answer)).toMatchObject({ code })
  })

  test('takes values for what they are', async () => {
    const hostile = `/'); DROP TABLE millrace.hits; --\\`
    const filter = {
      or: [
        { dimension: 'path', is: [hostile] },
        { dimension: `props.${hostile}`, contains: [hostile] },
        { dimension: 'path', is: ["/o'clock\\n"] },
      ],
    }
    const answer = await post({ ...QUERY, period: 'all', dimensions: ['path'], filter })
    expect(answer.status).toBe(200)
    expect((await read(answer)).rows.map((row) => row.path)).toEqual(["/o'clock\\n"])
  })

  test('says 503 while the store does not answer, and answers again after', async () => {
    broken = true
    const answer = await post(QUERY)
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).not.toBeNull()
    expect(await read(answer)).toMatchObject({ code: 'store_unavailable' })
    broken = false
    expect((await post(QUERY)).status).toBe(200)
  })

  test('is counted by source', async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toMatch(/millrace_aggregator_query_seconds_count\{source="hits"\} [1-9]/)
  })
})

describe('GET /v1/query', () => {
  test('answers the same as POST', async () => {
    const answer = await fetch(`${url}/v1/query?${IN_URL}`)
    expect(await read(answer)).toEqual(await read(await post(QUERY)))
  })

  test('answers CSV to who asks for it', async () => {
    const answer = await fetch(`${url}/v1/query?${IN_URL}`, { headers: { accept: 'text/csv' } })
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present')
    const lines = (await answer.text()).split('\r\n')
    expect(lines[0]).toBe('day,visitors,page_views')
    expect(lines[1]).toMatch(/^2026-10-27,\d+,\d+$/)
    expect(lines).toHaveLength(9)
  })

  test.each(['', '?metrics=visitors', '?period=7d&metrics=visitors&colour=red', '?period=7d&metrics=a&metrics=b'])(
    'with %j is refused with a problem document',
    async (search) => {
      const answer = await fetch(`${url}/v1/query${search}`)
      expect(answer.status).toBe(400)
      expect((await read(answer)).errors.length).toBeGreaterThan(0)
    },
  )
})

test.each([
  [undefined, false],
  ['*/*', false],
  ['text/csv', true],
  ['application/json, text/csv', false],
  ['text/csv, application/json;q=0.5', true],
  ['text/html, Text/CSV; q=0.1', true],
  ['text/csv;q=0', false],
])('an Accept of %j prefers CSV: %s', (accept, csv) => {
  expect(wantsCsv(accept)).toBe(csv)
})
