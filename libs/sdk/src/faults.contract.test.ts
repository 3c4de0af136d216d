import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, PERSON_AGENT, type Product, startProduct, waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MillraceApiError } from './api-error.ts'
import { createMillrace } from './create-millrace.ts'
import { FAULTS, type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.fixture.ts'
import type { PageViewFields } from './hits.ts'
import type { MillraceOptions } from './options.ts'
import { METRICS, NUMBER_DIMENSIONS, TEXT_DIMENSIONS } from './query.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-sdk-'))
let product: Product

beforeAll(async () => {
  product = startProduct({ dataDir: join(folder, 'data'), port: await freePort() })
  await product.ready()
})
afterAll(async () => {
  await product?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Waits until every hit that was accepted before the call is counted. */
async function complete(): Promise<void> {
  const { query } = createMillrace({ url: product.url })
  const now = Date.now()
  await waitUntil('every accepted hit is counted', async () => {
    const { complete_until } = await query({ period: 'today', metrics: ['page_views'] })
    return Date.parse(complete_until) >= now
  })
}

/** How often each path of a host is counted: a path is one hit. */
async function counted(hostname: string): Promise<Map<string, number>> {
  await complete()
  const { query } = createMillrace({ url: product.url })
  const { rows } = await query({
    period: '24h',
    metrics: ['page_views'],
    dimensions: ['path'],
    filter: { dimension: 'hostname', is: hostname },
    limit: 10_000,
    include_bots: true,
  })
  return new Map(rows.map(({ path, page_views }) => [path, page_views]))
}

const view = (hostname: string, n: number): PageViewFields => ({ url: `https://${hostname}/${n}`, title: 'A page' })

describe('the service', () => {
  test('takes what each function sends, and reports it', async () => {
    const refused: unknown[] = []
    const millrace = createMillrace({
      url: product.url,
      onRefused: (hit, refusal) => refused.push([hit.hit_id, refusal]),
    })
    const page = millrace.pageView({ url: 'https://shop.example/a', title: 'A', tags: { section: 'docs' } })
    millrace.pageView({ url: 'https://shop.example/b', title: 'B' })
    millrace.event('buy', { url: 'https://shop.example/b', value: 10, currency: 'EUR', props: { plan: 'team' } })
    millrace.engagement(page, { engaged_ms: 12_000, scroll_percent: 80 })
    const bad = millrace.pageView({ url: 'mailto:me@example.com' })
    expect(await millrace.flush()).toBe(true)
    expect(refused).toEqual([[bad, expect.objectContaining({ code: 'url_invalid', pointer: '/url', status: 202 })]])
    expect(millrace.stats()).toMatchObject({ delivered: 4, refused: 1, retries: 0 })

    await complete()
    const { reports } = millrace
    // Bots too: the SDK is one where no key lets it speak for a visitor.
    const filter = { dimension: 'hostname', is: 'shop.example' } as const
    const people = { include_bots: true, filter } as const
    const { rows, totals, query } = await reports.pages(people)
    expect(query.from < query.to).toBe(true)
    expect(totals).toEqual({ visitors: 1, page_views: 2 })
    expect(rows.map(({ path, page_views }) => [path, page_views]).sort()).toEqual([
      ['/a', 1],
      ['/b', 1],
    ])
    expect((await reports.summary(people)).rows).toEqual([
      expect.objectContaining({ visitors: 1, sessions: 1, page_views: 2, events: 1, bounce_rate: 0 }),
    ])
    const days = await reports.visitorsByDay({ ...people, period: 'yesterday', compare: 'previous_period' })
    expect(days.rows).toEqual([
      expect.objectContaining({ visitors: 0, previous: { visitors: 0, sessions: 0, page_views: 0 } }),
    ])
    expect((await reports.events(people)).rows).toEqual([{ event_name: 'buy', visitors: 1, events: 1 }])
    expect((await reports.eventProperty('plan', people)).rows[0]?.['props.plan']).toBe('team')
    expect((await reports.tag('section', { ...people, metrics: ['page_views'] })).rows).toEqual([
      { 'tags.section': 'docs', page_views: 1 },
    ])
    expect((await reports.entryPages(people)).rows[0]?.entry_path).toBe('/a')
    const some = await reports.pages({
      ...people,
      filter: { and: [filter, { dimension: 'path', is: '/b' }] },
      metrics: ['page_views'],
    })
    expect(some.rows).toEqual([{ path: '/b', page_views: 1 }])
  })

  test('takes the word of a server with a key about its visitors', async ({ skip }) => {
    const made = await fetch(`${product.url}/v1/keys`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'sdk', scopes: ['ingest', 'read'], sites: [] }),
    })
    if (made.status === 404) return skip('this service has no keys yet')
    const { key } = (await made.json()) as { key: string }
    const refused: unknown[] = []
    const onRefused = (_: unknown, refusal: unknown): void => void refused.push(refusal)
    const millrace = createMillrace({ url: product.url, key, trustProxy: 1, onRefused })
    for (const ip of ['203.0.113.1', '203.0.113.2', '2001:db8::3']) {
      millrace.pageView({
        request: new Request('https://keyed.example/', {
          headers: { 'x-forwarded-for': ip, 'user-agent': PERSON_AGENT, 'accept-language': 'de-AT', cookie: 'a=1' },
        }),
      })
    }
    millrace.pageView({
      request: new Request('https://keyed.example/', { headers: { 'user-agent': PERSON_AGENT, dnt: '1' } }),
    })
    expect(await millrace.flush()).toBe(true)
    expect(refused).toEqual([])
    expect(millrace.stats()).toMatchObject({ delivered: 3, ignored: 1 })
    await complete()
    // People: without include_bots.
    const { rows } = await millrace.reports.languages({ filter: { dimension: 'hostname', is: 'keyed.example' } })
    expect(rows).toEqual([{ language: 'de', visitors: 3, sessions: 3, page_views: 3 }])

    const stranger = createMillrace({ url: product.url, key: 'mr_unknown_key', onRefused })
    stranger.pageView({ url: 'https://keyed.example/' })
    expect(await stranger.flush()).toBe(true)
    expect(refused).toMatchObject([{ code: 'unauthorized', status: 401 }])
  })

  test('answers every report', async () => {
    const { reports } = createMillrace({ url: product.url })
    const asked = Object.entries(reports).map(async ([name, report]) => {
      const named = name === 'eventProperty' || name === 'tag'
      const ask = report as (...words: unknown[]) => Promise<{ readonly rows: readonly unknown[] }>
      const { rows } = await (named ? ask('plan', { period: '7d' }) : ask({ period: '7d' })).catch((error: Error) => {
        throw new Error(`${name}: ${error.message}`)
      })
      expect(Array.isArray(rows), name).toBe(true)
    })
    expect((await Promise.all(asked)).length).toBeGreaterThan(30)
  })

  test('says what is wrong with a query, as an error that can be read', async () => {
    const { query } = createMillrace({ url: product.url })
    const error = await query({ period: '8d' as never, metrics: ['clicks' as never] }).then(
      () => null,
      (reason: MillraceApiError) => reason,
    )
    expect(error).toMatchObject({ name: 'MillraceApiError', status: 400, code: 'query_invalid' })
    expect(error?.problem?.errors?.map(({ pointer }) => pointer).sort()).toEqual(['/metrics/0', '/period'])
  })

  test('knows no metric and no dimension that the types do not', async () => {
    const { query } = createMillrace({ url: product.url })
    const choices = async (body: object): Promise<string[]> => {
      const error = await query(body as never).catch((reason: MillraceApiError) => reason)
      const detail = (error as MillraceApiError).problem!.errors![0]!.detail
      return detail.replace(/^.*(must be one of|dimensions are) /, '').split(', ')
    }
    const metrics = await choices({ period: '7d', metrics: ['x'] })
    expect(metrics).toContain('visitors')
    expect(metrics.filter((name) => !(name in METRICS))).toEqual([])
    const dimensions = await choices({ period: '7d', metrics: ['visitors'], dimensions: ['x'] })
    expect(dimensions).toContain('path')
    const known = { ...TEXT_DIMENSIONS, ...NUMBER_DIMENSIONS, 'props.KEY': 1, 'tags.KEY': 1 }
    expect(dimensions.filter((name) => !(name in known))).toEqual([])
  })
})

describe('with faults between', () => {
  const LATE_MS = 400
  /** The same faults in the same order at each run. */
  function chance(seed: number): () => number {
    let state = seed
    return () => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31
      return state / 2 ** 31
    }
  }

  const opened: FaultProxy[] = []
  afterAll(() => Promise.all(opened.map((proxy) => proxy.close())))

  async function sendThrough(choose: () => Fault, options: Partial<MillraceOptions>, hits: number) {
    const proxy = await startFaultProxy(product.url, choose, LATE_MS)
    opened.push(proxy)
    const delivered: string[] = []
    const lost: unknown[] = []
    const millrace = createMillrace({
      url: proxy.url,
      timeoutMs: LATE_MS / 2,
      backoffMinMs: 1,
      backoffMaxMs: 20,
      lingerMs: 1,
      onDelivered: (ids) => delivered.push(...ids),
      onRefused: (hit, refusal) => lost.push([hit, refusal]),
      onDrop: (hit, reason) => lost.push([hit, reason]),
      ...options,
    })
    const ids: string[] = []
    for (let n = 0; n < hits; n++) {
      ids.push(millrace.pageView(view('faults.example', n)))
      if (n % 40 === 39) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    const closed = await millrace.close({ timeoutMs: 60_000 })
    return { proxy, ids, delivered, lost, closed, stats: millrace.stats() }
  }

  test('every hit that is told as delivered is counted once, and every hit is', async () => {
    const random = chance(5)
    const choose = (): Fault => (random() < 0.4 ? 'pass' : FAULTS[Math.floor(random() * FAULTS.length)]!)
    const { proxy, ids, delivered, lost, closed, stats } = await sendThrough(choose, { batchHits: 20 }, 1_200)

    expect(lost).toEqual([])
    expect(closed).toBe(true)
    expect(stats).toMatchObject({ delivered: ids.length, queued: 0, queuedBytes: 0 })
    // Told once each.
    expect(delivered).toHaveLength(ids.length)
    expect(new Set(delivered)).toEqual(new Set(ids))
    // The faults did strike: some hits reached the service more than once.
    expect([...proxy.struck.keys()].sort()).toEqual([...FAULTS].sort())
    expect(proxy.forwarded.length).toBeGreaterThan(ids.length)

    expect(await counted('faults.example')).toEqual(new Map(ids.map((_, n) => [`/${n}`, 1])))
  })

  test('what is told as lost when it is closed is the only thing that may be missing', async () => {
    let requests = 0
    // From the tenth request on nothing comes back any more.
    const choose = (): Fault => (requests++ < 10 ? 'pass' : requests % 2 === 0 ? 'cut_before' : 'busy_seconds')
    const proxy = await startFaultProxy(product.url, choose, LATE_MS)
    opened.push(proxy)
    const delivered = new Set<string>()
    const dropped: string[] = []
    const millrace = createMillrace({
      url: proxy.url,
      batchHits: 10,
      backoffMinMs: 1,
      backoffMaxMs: 5,
      onDelivered: (all) => {
        for (const id of all) delivered.add(id)
      },
      onDrop: (hit, reason) => dropped.push(`${reason} ${hit?.url}`),
    })
    const ids = millrace.batch(Array.from({ length: 300 }, (_, n) => view('outage.example', n)))
    await waitUntil('what went through is told', () => delivered.size === 100)
    expect(await millrace.close({ timeoutMs: 100 })).toBe(false)
    expect(delivered.size).toBe(100)
    expect(dropped).toHaveLength(200)
    const expected = ids.flatMap((id, n) => (delivered.has(id) ? [[`/${n}`, 1] as const] : []))
    expect(await counted('outage.example')).toEqual(new Map(expected))
  })
})
