import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ERROR_CODES, MAX_HITS_PER_REQUEST } from '@millrace/shared'
import {
  engagement,
  event,
  freePort,
  hitId,
  type Product,
  pageView,
  postHits,
  query,
  startProduct,
  waitUntil,
} from '@millrace/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tableOf } from './check/findings.ts'
import { runCheck } from './check/run-check.ts'

let folder: string
let dataDir: string
let port: number
const started: Product[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-spine-'))
  dataDir = join(folder, 'data')
  port = await freePort()
})
afterEach(async () => {
  await Promise.all(started.splice(0).map((product) => product.kill()))
  rmSync(folder, { recursive: true, force: true })
})

function launch(env: Record<string, string> = {}): Product {
  const product = startProduct({ dataDir, port, env })
  started.push(product)
  return product
}

async function start(env: Record<string, string> = {}): Promise<Product> {
  const product = launch(env)
  await product.ready()
  return product
}

const METRICS = ['page_views', 'visitors', 'sessions']
const totals = async ({ url }: Product, site = 'blog') => {
  const { page_views, visitors, sessions } = (await query(url, { site, period: '24h', metrics: METRICS })).totals
  return { page_views, visitors, sessions }
}

/** Waits until every hit that was accepted before the call is counted. */
async function complete(product: Product): Promise<void> {
  const now = Date.now()
  const body = { site: 'blog', period: '24h', metrics: METRICS }
  await waitUntil(
    'every accepted hit is counted',
    async () => Date.parse((await query(product.url, body)).complete_until) >= now,
  )
}

/** The data of a stopped product, compared with an independent recount. */
async function expectSound(): Promise<void> {
  const report = await runCheck({ dataDir, zone: 'UTC', sessionTimeoutMs: 30 * 60_000 })
  expect(report.ok, tableOf(report)).toBe(true)
}

const view = (n: number, fields: object = {}) => pageView({ site: 'blog', hit_id: hitId(n), ...fields })

describe('one hit', () => {
  test('a hit is in the report, is there once after kill -9, and after a graceful stop', async () => {
    let product = await start()
    expect(await postHits(product.url, view(1))).toMatchObject({ status: 202, body: { accepted: 1 } })
    await waitUntil('the hit is in the report', async () => (await totals(product)).page_views === 1)
    await product.kill()

    product = await start()
    await complete(product)
    expect(await totals(product)).toEqual({ page_views: 1, visitors: 1, sessions: 1 })
    expect(await product.stop()).toEqual({ code: 0, signal: null })

    product = await start()
    expect(await totals(product)).toEqual({ page_views: 1, visitors: 1, sessions: 1 })
    await product.stop()
    await expectSound()
  })

  test('the same hit_id counts once: in one request, in the next one, and after kill -9', async () => {
    let product = await start()
    await postHits(product.url, { hits: [view(1), view(1)] })
    await postHits(product.url, view(1))
    await complete(product)
    await product.kill()
    product = await start()
    await postHits(product.url, view(1))
    await complete(product)
    expect(await totals(product)).toEqual({ page_views: 1, visitors: 1, sessions: 1 })
    await product.stop()
    await expectSound()
  })

  test('what was answered right before kill -9 is counted after the restart', async () => {
    let product = await start()
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => postHits(product.url, view(i + 1))))
    await product.kill()
    expect(answers.every(({ status }) => status === 202)).toBe(true)
    product = await start()
    await complete(product)
    expect(await totals(product)).toEqual({ page_views: 40, visitors: 1, sessions: 1 })
  })

  test('a graceful stop counts everything that was answered', async () => {
    let product = await start()
    await postHits(product.url, {
      hits: [view(1), event({ site: 'blog', hit_id: hitId(2) }), engagement({ site: 'blog', page_id: hitId(1) })],
    })
    expect(await product.stop()).toEqual({ code: 0, signal: null })
    await expectSound()
    product = await start()
    expect(await totals(product)).toEqual({ page_views: 1, visitors: 1, sessions: 1 })
  })
})

test('a second process on the same folder is refused, and the first one goes on', async () => {
  const first = await start()
  const second = startProduct({ dataDir, port: await freePort() })
  started.push(second)
  const { code } = await second.exited
  expect(code).toBeGreaterThan(0)
  expect(second.lines.map(({ text }) => text).join('\n')).toMatch(/another process|in use|is used|locked/i)
  expect(await postHits(first.url, view(1))).toMatchObject({ status: 202 })
})

test('wrong settings are named, all at once, and nothing starts', async () => {
  const product = launch({ MILLRACE_TIMEZONE: 'Mars/Olympus', MILLRACE_PRT: '80' })
  expect((await product.exited).code).toBeGreaterThan(0)
  const text = product.lines.map((line) => line.text).join('\n')
  expect(text).toContain('MILLRACE_TIMEZONE')
  expect(text).toContain('MILLRACE_PRT')
})

describe('bad input', () => {
  const deep = (depth: number) => `${`{"a":`.repeat(depth)}1${'}'.repeat(depth)}`
  const withText = (text: string) => `{"site":"blog","url":"https://example.com/","title":"${text}"}`
  /** What arrives, and whether it may count: refused as a whole, or accepted (as it is, or with a clamp). */
  const cases: [title: string, body: string | Uint8Array, outcome: 'refused' | 'accepted' | 'either'][] = [
    ['nothing', '', 'refused'],
    ['half a document', '{"site":"blog"', 'refused'],
    ['a list', '[]', 'refused'],
    ['a number', '7', 'refused'],
    ['null', 'null', 'refused'],
    ['no hits', '{"hits":[]}', 'refused'],
    [
      'too many hits',
      JSON.stringify({ hits: Array.from({ length: MAX_HITS_PER_REQUEST + 1 }, () => pageView()) }),
      'refused',
    ],
    ['an unknown field', '{"site":"blog","url":"https://example.com/","nonsense":1}', 'refused'],
    ['a field that needs a key', '{"site":"blog","url":"https://example.com/","ip":"203.0.113.1"}', 'refused'],
    ['a wrong type', '{"site":"blog","url":7}', 'refused'],
    ['no url', '{"site":"blog"}', 'refused'],
    ['a relative url', '{"site":"blog","url":"/pricing"}', 'refused'],
    ['a url of another scheme', '{"site":"blog","url":"javascript:alert(1)"}', 'refused'],
    ['a site that is none', '{"site":"../etc","url":"https://example.com/"}', 'refused'],
    ['a path of 10 kB', `{"site":"blog","url":"https://example.com/${'a'.repeat(10_000)}"}`, 'refused'],
    ['a body of 100 kB', withText('a'.repeat(100_000)), 'refused'],
    ['nesting 20,000 deep', deep(20_000), 'refused'],
    [
      'props in props',
      '{"site":"blog","type":"event","name":"x","url":"https://example.com/","props":{"a":{"b":1}}}',
      'refused',
    ],
    ['__proto__', '{"site":"blog","url":"https://example.com/","__proto__":{"accepted":1}}', 'refused'],
    ['a key that is twice there', '{"site":"nobody","site":"blog","url":"https://example.com/"}', 'either'],
    [
      'bytes that are no UTF-8',
      Buffer.concat([Buffer.from(withText('x').slice(0, -3)), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
      'either',
    ],
    ['a lone surrogate', withText('\\ud800'), 'accepted'],
    ['a null byte', withText('a\\u0000b'), 'accepted'],
    ['a raw null byte', withText('a\0b'), 'refused'],
    ['year 1970', '{"site":"blog","url":"https://example.com/","created_at":0,"sent_at":1}', 'accepted'],
    [
      'year 2100',
      '{"hits":[{"site":"blog","url":"https://example.com/","created_at":4102444800000}],"sent_at":4102444800000}',
      'accepted',
    ],
    [
      'a clock that ran backwards',
      '{"hits":[{"site":"blog","url":"https://example.com/","created_at":4102444800000}],"sent_at":1}',
      'accepted',
    ],
    [
      'fractions of milliseconds',
      '{"hits":[{"site":"blog","url":"https://example.com/","created_at":1000.25}],"sent_at":1500.5}',
      'accepted',
    ],
    ['a number too large', '{"site":"blog","url":"https://example.com/","created_at":1e400}', 'refused'],
    ['letters of every kind', withText('Ünïcödé 漢字 🦦 \\u202e'), 'accepted'],
    [
      'a url that only a parser loves',
      '{"site":"blog","url":"https://user:pass@EXAMPLE.com:8443/a/../b;c?q=%ff#frag"}',
      'accepted',
    ],
  ]

  test('each is answered with a reason or counted, its neighbours count, and the data stay sound', async () => {
    const product = await start()
    let counted = 0
    for (const [title, body, outcome] of cases) {
      const answer = await postHits(product.url, body)
      const said = `${title}: ${answer.status} ${JSON.stringify(answer.body)}`
      if (outcome !== 'either') expect(answer.status === 202 ? 'accepted' : 'refused', said).toBe(outcome)
      if (answer.status === 202) counted += Number(answer.body.accepted)
      else expectProblem(answer, said)
      expect(await postHits(product.url, pageView({ site: 'blog' })), `after ${title}`).toMatchObject({ status: 202 })
    }
    await expectNeighboursCounted(product)
    await expectHugeBodyRefused(product)
    await expectProblemsEverywhere(product)
    await complete(product)
    const { totals: sums } = await query(product.url, { site: 'blog', period: '7d', metrics: ['page_views'] })
    expect(sums.page_views).toBe(counted + cases.length)
    expect(await product.stop()).toEqual({ code: 0, signal: null })
    await expectSound()
  })

  /** One bad hit does not sink its neighbours, and is named. */
  async function expectNeighboursCounted(product: Product): Promise<void> {
    const hit = (n: number, fields: object = {}) => view(n, { site: 'neighbours', ...fields })
    const answer = await postHits(product.url, { hits: [hit(1), hit(2, { url: 'nowhere' }), hit(3)] })
    expect(answer).toMatchObject({
      status: 202,
      body: { accepted: 2, refused: [{ index: 1, code: 'url_invalid', pointer: '/hits/1/url' }] },
    })
    await complete(product)
    expect(await totals(product, 'neighbours')).toMatchObject({ page_views: 2 })
  }

  /** 100 MB: the connection may be cut before they are all sent. */
  async function expectHugeBodyRefused(product: Product): Promise<void> {
    const answer = await postHits(product.url, Buffer.alloc(100 << 20, 32)).catch((error: Error) => error)
    if (!(answer instanceof Error)) expect(answer).toMatchObject({ status: 413, body: { code: 'body_too_large' } })
  }

  async function expectProblemsEverywhere(product: Product): Promise<void> {
    const json = { method: 'POST', body: '{"site":', headers: { 'content-type': 'application/json' } }
    const requests: [path: string, init: object, status: number][] = [
      ['/v1/hits', {}, 405],
      ['/nowhere', {}, 404],
      ['/v1/query', json, 400],
      ['/v1/hits', { ...json, headers: { 'content-type': 'application/xml' } }, 415],
      ['/v1/hits', { ...json, headers: { ...json.headers, 'content-encoding': 'zstd' } }, 415],
    ]
    for (const [path, init, status] of requests) {
      const response = await fetch(product.url + path, init)
      const body = (await response.json()) as Record<string, unknown>
      const said = `${path} ${JSON.stringify(init)}: ${response.status} ${JSON.stringify(body)}`
      expectProblem({ status: response.status, headers: response.headers, body }, said)
      expect(response.status, said).toBe(status)
    }
  }
})

function expectProblem(
  answer: { status: number; headers: Headers; body: Record<string, unknown> },
  said: string,
): void {
  expect(answer.status, said).toBeGreaterThanOrEqual(400)
  expect(answer.status, said).toBeLessThan(500)
  expect(answer.headers.get('content-type'), said).toContain('application/problem+json')
  expect(Object.keys(ERROR_CODES), said).toContain(answer.body.code)
  expect(answer.body.status, said).toBe(answer.status)
}
