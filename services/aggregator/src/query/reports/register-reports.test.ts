import { createLogger, createServer, type Server } from '@millrace/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FilledStore, openFilledStore } from '../filled-store.fixture.ts'
import { randomSite, SITE_ZONE } from '../random-site.fixture.ts'
import { registerQueryApi } from '../register.ts'
import { OWN_REPORTS, REPORT_NAMES } from './list-reports.ts'
import { PRESETS } from './presets.ts'

const NOW_MS = Date.parse('2026-11-02T10:00:01.120Z')
let filled: FilledStore
let server: Server
let url: string

beforeAll(async () => {
  filled = await openFilledStore([randomSite('blog', 100, 4)])
  server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('fatal', 'test') })
  registerQueryApi({
    server,
    store: filled.store,
    settings: { MILLRACE_TIMEZONE: SITE_ZONE },
    completeUntil: async () => NOW_MS,
    clock: () => NOW_MS,
  })
  url = await server.listen()
})
afterAll(async () => {
  await server?.close()
  await filled?.close()
})

interface Body {
  rows: Record<string, unknown>[]
  query: Record<string, unknown>
  errors: { pointer: string }[]
  [name: string]: unknown
}
const get = async (path: string, headers: Record<string, string> = {}) => {
  const answer = await fetch(`${url}/v1/reports/${path}`, { headers })
  const text = await answer.text()
  return {
    status: answer.status,
    text,
    body: answer.headers.get('content-type')?.includes('json') ? (JSON.parse(text) as Body) : null,
  }
}
const post = async (path: string, body: object, to = 'reports/') => {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${url}/v1/${to}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: answer.status, body: (await answer.json()) as Body }
}

test.each(Object.keys(PRESETS))('%s answers what its query answers', async (name) => {
  const { status, body } = await get(`${name}?site=blog&period=30d`)
  expect(status).toBe(200)
  const query = { period: '30d', ...PRESETS[name as keyof typeof PRESETS], site: 'blog' }
  expect(body).toEqual((await post('', query, 'query')).body)
})

test('a preset takes other fields, and adds its filter to the one given', async () => {
  const { body } = await post('bots', {
    site: 'blog',
    dimensions: ['browser'],
    filter: { dimension: 'country', is: 'DE' },
  })
  expect(body.query).toMatchObject({
    dimensions: ['browser'],
    include_bots: true,
    filter: { and: [{ dimension: 'country' }, { dimension: 'bot_reason' }] },
  })
})

test.each([
  ['realtime', ''],
  ['tags', ''],
  ['sessions', ''],
  ['goals', ''],
  ['session', '&session_id=00000000000f4241'],
  ['event_properties', '&event_name=buy&property=seats'],
  ['journey', '&path=/'],
  ['values', '&dimension=path&search=doc'],
  ['funnel', `&steps=${encodeURIComponent('[{"path":"/"},{"path":"/docs"}]')}&window_minutes=90`],
])('%s can be asked by GET and by POST', async (name, search) => {
  const byGet = await get(`${name}?site=blog&period=30d${search}`)
  expect(byGet.body, byGet.text).toMatchObject({ query: { site: 'blog' }, complete_until: '2026-11-02T10:00:01.120Z' })
  expect(Object.keys(OWN_REPORTS)).toContain(name)
  const own = Object.fromEntries(new URLSearchParams(search))
  const { steps, window_minutes, ...texts } = own
  const body = { site: 'blog', period: '30d', ...texts, ...(steps && { steps: JSON.parse(steps), window_minutes: 90 }) }
  expect((await post(name, body)).body).toEqual(byGet.body)
})

test('what does not exist is not found, and the answer lists what does', async () => {
  const { status, text } = await get('nothing?site=blog')
  expect(status).toBe(404)
  for (const name of REPORT_NAMES) expect(text).toContain(name)
  expect((await get('constructor')).status).toBe(404)
})

test('wrong fields are named', async () => {
  const { status, body } = await get('sessions?site=blog&period=8d&colour=red')
  expect(status).toBe(400)
  expect(body!.errors.map(({ pointer }) => pointer).sort()).toEqual(['/colour', '/period'])
})

test('a preset answers CSV to who asks for it', async () => {
  const { text } = await get('pages?site=blog&period=30d', { accept: 'text/csv' })
  expect(text.split('\r\n')[0]).toBe('path,page_views')
})

test('an answer of many rows is complete, as JSON and as CSV', async () => {
  const search = 'site=blog&from=2026-10-27&to=2026-11-01&metrics=page_views&dimensions=minute'
  const { rows, row_count } = (await (await fetch(`${url}/v1/query?${search}`)).json()) as Body
  expect(rows).toHaveLength(row_count as number)
  expect(rows.length).toBeGreaterThan(5_000)
  const csv = await (await fetch(`${url}/v1/query?${search}`, { headers: { accept: 'text/csv' } })).text()
  expect(csv.trimEnd().split('\r\n')).toHaveLength(rows.length + 1)
})

describe('realtime as a stream', () => {
  test('sends an event at once, and ends when the server does', async () => {
    const gone = new AbortController()
    const answer = await fetch(`${url}/v1/reports/realtime/stream?site=blog&minutes=10`, { signal: gone.signal })
    expect(answer.headers.get('content-type')).toContain('text/event-stream')
    const reader = answer.body!.getReader()
    let text = ''
    while (!text.includes('\n\n')) text += Buffer.from((await reader.read()).value!).toString()
    const [event, data] = text.split('\n')
    expect(event).toBe('event: realtime')
    expect(JSON.parse(data!.slice('data: '.length))).toMatchObject({ minutes: 10, query: { site: 'blog' } })
    gone.abort()
  })

  test('is refused where it cannot be read', async () => {
    expect((await get('realtime/stream?site=blog&minutes=0')).status).toBe(400)
  })
})
