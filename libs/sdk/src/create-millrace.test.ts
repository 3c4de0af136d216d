import { EngagementHit, EventHit, MAX_BODY_BYTES, MAX_HITS_PER_REQUEST, PageViewHit } from '@millrace/shared'
import { hitId } from '@millrace/testing'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createMillrace, type Millrace } from './create-millrace.ts'
import type { FetchAnswer } from './fetch.ts'
import type { HitFields } from './hits.ts'
import type { MillraceOptions } from './options.ts'
import { MAX_BYTES, MAX_HITS } from './sender.ts'
import { accept, type Got, type Reply, type StandIn, startStandIn } from './service.fixture.ts'

const PAGE = 'https://example.com/'
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const opened: { close(): Promise<unknown> }[] = []

afterEach(async () => {
  vi.useRealTimers()
  for (const one of opened.splice(0)) await one.close()
})

async function standIn(reply?: (got: Got, n: number) => Reply | Promise<Reply>): Promise<StandIn> {
  const service = await startStandIn(reply)
  opened.push(service)
  return service
}

/** A client that tells the test everything, and does not wait long between failures. */
function client(url: string, options: Partial<MillraceOptions> = {}) {
  const told: unknown[][] = []
  const tell =
    (what: string) =>
    (...said: unknown[]): void =>
      void told.push([what, ...said])
  const millrace = createMillrace({
    url,
    site: 'blog',
    backoffMinMs: 1,
    backoffMaxMs: 5,
    lingerMs: 5,
    onDelivered: tell('delivered'),
    onRefused: tell('refused'),
    onIgnored: tell('ignored'),
    onDrop: tell('dropped'),
    onRetry: tell('retry'),
    ...options,
  })
  const delivered = (): string[] => told.flatMap(([what, ids]) => (what === 'delivered' ? (ids as string[]) : []))
  return Object.assign(millrace, { told, delivered })
}

const views = (count: number): HitFields[] =>
  Array.from({ length: count }, (_, n) => ({ type: 'page_view', url: `${PAGE}${n}` }))

describe('a hit', () => {
  test('of each kind is sent in the words of the service, with its id, time, site and sender', async () => {
    const service = await standIn()
    const millrace = client(service.url)
    const page = millrace.pageView({ url: PAGE, title: 'Home', tags: { section: 'docs' }, referrer: undefined })
    const event = millrace.event('signup', { url: PAGE, value: 49, currency: 'EUR', props: { plan: 'team', seats: 3 } })
    const engaged = millrace.engagement(page, { engaged_ms: 1_000, created_at: new Date(5) })
    const own = millrace.pageView({ url: PAGE, hit_id: hitId(1), site: 'shop', created_at: 7 })
    expect(await millrace.flush()).toBe(true)

    const hits = service.hits()
    const common = { site: 'blog', sender: 'millrace-sdk/0.1.0' }
    expect(hits).toMatchObject([
      { ...common, type: 'page_view', hit_id: page, url: PAGE, title: 'Home', tags: { section: 'docs' } },
      { ...common, type: 'event', hit_id: event, name: 'signup', value: 49, props: { plan: 'team', seats: 3 } },
      { ...common, type: 'engagement', hit_id: engaged, page_id: page, engaged_ms: 1_000, created_at: 5 },
      { type: 'page_view', hit_id: hitId(1), site: 'shop', created_at: 7 },
    ])
    for (const hit of hits.slice(0, 3)) expect(hit.hit_id).toMatch(UUID_V7)
    expect(hits[0]!.created_at).toBeLessThanOrEqual(service.got[0]!.body.sent_at)
    expect(new Set(millrace.delivered())).toEqual(new Set([page, event, engaged, own]))
    expect(millrace.stats()).toMatchObject({ queued: 0, queuedBytes: 0, delivered: 4, retries: 0 })
  })

  const request = {
    url: '/cart?a=1',
    method: 'POST',
    httpVersion: '1.1',
    socket: { remoteAddress: '203.0.113.9' },
    headers: {
      host: 'shop.example',
      referer: 'https://news.example/',
      cookie: 'session=1',
      authorization: 'Bearer secret',
      'user-agent': 'Firefox',
      'accept-language': 'de-AT,de;q=0.8',
      dnt: '0',
    },
  }
  const open = { url: 'http://shop.example/cart?a=1', referrer: 'https://news.example/', language: 'de-AT' }
  const secret = {
    ip: '203.0.113.9',
    user_agent: 'Firefox',
    method: 'POST',
    headers: { 'accept-language': 'de-AT,de;q=0.8', dnt: '0' },
  }

  test.each<[string, string | undefined, object]>([
    ['without a key tells no visitor', undefined, open],
    ['with a key tells the visitor', 'mr_a_b', { ...open, ...secret }],
  ])('from a request %s', async (_, key, facts) => {
    const service = await standIn()
    const millrace = client(service.url, { key })
    millrace.pageView({ request, title: 'Cart' })
    millrace.pageView({ request, url: PAGE, language: undefined, headers: { Cookie: 'a=1', DNT: '0' }, ip: '::1' })
    await millrace.flush()
    const [first, second] = service.hits() as [Record<string, unknown>, Record<string, unknown>]
    const { hit_id, created_at, sender, ...rest } = first
    expect(rest).toEqual({ ...facts, site: 'blog', type: 'page_view', title: 'Cart' })
    expect(second).toMatchObject({ url: PAGE, language: 'de-AT', headers: { dnt: '0' }, ip: '::1' })
    expect(JSON.stringify(service.got[0]!.body)).not.toMatch(/session|secret|cookie/i)
    expect(service.got[0]!.headers.authorization).toBe(key && `Bearer ${key}`)
  })

  test('of a visitor who opted out stays here if the service could not see that', async () => {
    const service = await standIn()
    const optedOut = { ...request, headers: { ...request.headers, 'sec-gpc': '1' } }
    const keyless = client(service.url)
    keyless.pageView({ request: optedOut })
    expect(await keyless.flush()).toBe(true)
    expect(keyless.told).toEqual([['ignored', null, 'opted_out']])
    expect(keyless.stats()).toMatchObject({ ignored: 1, queued: 0 })
    const keyed = client(service.url, { key: 'mr_a_b' })
    keyed.pageView({ request: optedOut })
    await keyed.flush()
    expect(service.hits()).toMatchObject([{ headers: { 'sec-gpc': '1' } }])
  })

  test('of every kind fits the schema of the service', async () => {
    const { TypeCompiler } = await import('@sinclair/typebox/compiler')
    const service = await standIn()
    const millrace = client(service.url, { key: 'mr_a_b' })
    const page = millrace.pageView({ request, title: 'A', screen_width: 10, pixel_ratio: 1.5, user: 'u1', status: 200 })
    millrace.event('buy', { request, request_ms: 1.5, interactive: false, duration_ms: 5 })
    millrace.engagement(page, { request, scroll_percent: 50 })
    await millrace.flush()
    const [view, event, engagement] = service.hits()
    const mistakes = [
      ...TypeCompiler.Compile(PageViewHit).Errors(view),
      ...TypeCompiler.Compile(EventHit).Errors(event),
      ...TypeCompiler.Compile(EngagementHit).Errors(engagement),
    ]
    expect(mistakes).toEqual([])
  })
})

describe('a batch', () => {
  test('has at most as many hits and bytes as the service takes', async () => {
    expect([MAX_HITS, MAX_BYTES]).toEqual([MAX_HITS_PER_REQUEST, MAX_BODY_BYTES])
    const service = await standIn()
    const millrace = client(service.url, { compress: false })
    millrace.batch(views(250))
    // The three bytes of each character make 20 hits fill a request.
    const large = Array.from({ length: 45 }, () => ({ url: PAGE, title: '€'.repeat(1_000) }))
    const ids = millrace.batch(large)
    expect(await millrace.flush()).toBe(true)
    expect(Math.max(...service.got.map(({ body }) => body.hits.length))).toBe(MAX_HITS_PER_REQUEST)
    expect(Math.max(...service.got.map(({ bytes }) => bytes))).toBeLessThanOrEqual(MAX_BODY_BYTES)
    expect(Math.max(...service.got.map(({ bytes }) => bytes))).toBeGreaterThan(MAX_BODY_BYTES - 3_500)
    expect(new Set(service.hits().map(({ hit_id }) => hit_id)).size).toBe(295)
    expect(millrace.delivered()).toEqual(expect.arrayContaining(ids))
  })

  test('may be filled to the last byte', async () => {
    const service = await standIn()
    const millrace = client(service.url, { compress: false })
    for (let length = 65_200; length < 65_440; length += 6) {
      millrace.pageView({ url: PAGE, title: 'x'.repeat(length) })
      millrace.pageView({ url: PAGE, title: '\u{1F600}é'.repeat(Math.floor(length / 6)) })
    }
    await millrace.flush()
    const { delivered, dropped } = millrace.stats()
    expect(Math.max(...service.got.map(({ bytes }) => bytes))).toBeLessThanOrEqual(MAX_BODY_BYTES)
    expect(delivered).toBeGreaterThan(20)
    expect(dropped.too_large).toBeGreaterThan(5)
    expect(delivered + dropped.too_large).toBe(80)
  })

  test('goes gzipped where that pays', async () => {
    const service = await standIn()
    const millrace = client(service.url, { maxRequests: 1 })
    for (const count of [100, 1, 100, 1]) {
      millrace.batch(views(count))
      await millrace.flush()
    }
    expect(service.got.map(({ headers }) => headers['content-encoding'])).toEqual([
      'gzip',
      undefined,
      'gzip',
      undefined,
    ])
    expect(Number(service.got[0]!.headers['content-length'])).toBeLessThan(service.got[0]!.bytes / 4)
    expect(service.hits()).toHaveLength(202)
  })

  test('goes over connections that are kept', async () => {
    const service = await standIn()
    const millrace = client(service.url, { maxRequests: 1, batchHits: 1 })
    millrace.batch(views(40))
    await millrace.flush()
    expect(service.got).toHaveLength(40)
    // One, or a second while the runtime winds up the answer on the first.
    expect(service.connections()).toBeLessThanOrEqual(2)
  })

  test('goes plain to who does not take gzip, and in parts to who takes less', async () => {
    const service = await standIn((got) => {
      if (got.headers['content-encoding']) return { status: 415, body: { code: 'encoding_unsupported' } }
      return got.bytes > 4_000 ? { status: 413, body: '<html>' } : accept(got)
    })
    const millrace = client(service.url)
    millrace.batch(views(100))
    millrace.pageView({ url: PAGE, title: 'x'.repeat(5_000) })
    expect(await millrace.flush()).toBe(true)
    expect(millrace.stats()).toMatchObject({ delivered: 100, refused: 1, retries: 0 })
    expect(millrace.told.find(([what]) => what === 'refused')).toMatchObject([
      'refused',
      { title: 'x'.repeat(5_000) },
      { code: 'http_413', status: 413 },
    ])
  })
})

describe('what the service says', () => {
  test('of single hits is told once each, and they are not sent again', async () => {
    const refused = [{ index: 1, code: 'url_invalid', pointer: '/hits/1/url', detail: 'must be …' }]
    const service = await standIn(() => ({
      body: { accepted: 1, refused, ignored: [{ index: 2, reason: 'do_not_track' }] },
    }))
    const millrace = client(service.url)
    const ids = millrace.batch(views(3))
    await millrace.flush()
    expect(millrace.told).toEqual([
      ['delivered', [ids[0]]],
      ['refused', expect.objectContaining({ hit_id: ids[1] }), expect.objectContaining({ pointer: '/url' })],
      ['ignored', expect.objectContaining({ hit_id: ids[2] }), 'do_not_track'],
    ])
    expect(service.got).toHaveLength(1)
    expect(millrace.stats()).toMatchObject({ delivered: 1, refused: 1, ignored: 1, queued: 0 })
  })

  test.each([
    [
      400,
      { code: 'hits_refused', refused: [0, 1].map((index) => ({ index, code: 'field_unknown' })) },
      'field_unknown',
    ],
    [401, { code: 'unauthorized', detail: 'A key is required.' }, 'unauthorized'],
    [404, { code: 'site_unknown' }, 'site_unknown'],
    [302, '', 'http_302'],
  ])('of the whole request by %d is told of each hit', async (status, body, code) => {
    const service = await standIn(() => ({ status, body, headers: { location: 'http://127.0.0.1:9/' } }))
    const millrace = client(service.url)
    millrace.batch(views(2))
    expect(await millrace.flush()).toBe(true)
    const told = [expect.objectContaining({ url: expect.anything() }), expect.objectContaining({ code, status })]
    expect(millrace.told).toEqual([
      ['refused', ...told],
      ['refused', ...told],
    ])
    expect(service.got).toHaveLength(1)
  })

  test('that some of the hits are too many now: those are sent again', async () => {
    const refused = [1, 2].map((index) => ({ index, code: index === 1 ? 'rate_limited' : 'url_invalid', pointer: '' }))
    const service = await standIn((got, n) => (n === 1 ? { body: { accepted: 1, refused } } : accept(got)))
    const millrace = client(service.url)
    const ids = millrace.batch(views(3))
    expect(await millrace.flush()).toBe(true)
    expect(millrace.told).toMatchObject([
      ['delivered', [ids[0]]],
      ['refused', { hit_id: ids[2] }, { code: 'url_invalid' }],
      ['retry', { reason: 'rate_limited', hits: 1, failures: 1 }],
      ['delivered', [ids[1]]],
    ])
    expect(service.got.map(({ body }) => body.hits.length)).toEqual([3, 1])
  })

  test.each<[string, Reply | 'cut' | 'hang', string]>([
    ['408', { status: 408 }, 'http_408'],
    ['425', { status: 425 }, 'http_425'],
    ['429', { status: 429 }, 'http_429'],
    ['500', { status: 500 }, 'http_500'],
    ['502 of a proxy', { status: 502, body: '<html>' }, 'http_502'],
    ['200 of a stranger', { status: 200, body: '<html>' }, 'http_200'],
    ['half an answer', { status: 202, body: '{"accep' }, 'http_202'],
    ['no answer', 'cut', 'network'],
    ['silence', 'hang', 'timeout'],
  ])('%s: the same hits are sent again, with the same ids', async (_, reply, reason) => {
    const service = await standIn((got, n) => {
      if (n > 2) return accept(got)
      if (reply === 'cut') throw new Error('cut')
      return reply === 'hang' ? new Promise(() => {}) : reply
    })
    const millrace = client(service.url, { timeoutMs: reply === 'hang' ? 50 : 5_000, maxRequests: 1 })
    const ids = millrace.batch(views(3))
    expect(await millrace.flush()).toBe(true)
    expect(service.got).toHaveLength(3)
    for (const { body } of service.got) expect(body.hits.map(({ hit_id }) => hit_id)).toEqual(ids)
    expect(millrace.told).toMatchObject([
      ['retry', { reason, hits: 3, failures: 1 }],
      ['retry', { reason, hits: 3, failures: 2 }],
      ['delivered', ids],
    ])
    expect(millrace.stats()).toMatchObject({ retries: 2, delivered: 3, queued: 0 })
  })

  test('about one batch that breaks it stops no other', async () => {
    const service = await standIn((got) =>
      got.body.hits.some(({ title }) => title === 'poison') ? { status: 500 } : accept(got),
    )
    const millrace = client(service.url, { batchHits: 1, maxRequests: 1 })
    const poison = millrace.pageView({ url: PAGE, title: 'poison' })
    millrace.batch(views(5))
    await vi.waitFor(() => expect(millrace.stats().delivered).toBe(5))
    expect(millrace.delivered()).not.toContain(poison)
    expect(millrace.stats().queued).toBe(1)
    expect(await millrace.close({ timeoutMs: 20 })).toBe(false)
    expect(millrace.stats()).toMatchObject({ queued: 0, dropped: { closed: 1 } })
  })
})

/** A service behind a function, for the clock of the test; `answer` is asked for each request. */
function inMemory(answer: (n: number) => { status: number; headers?: Record<string, string> }) {
  const sent: { at: number; ids: string[] }[] = []
  const fetch = async (_: string, { body }: { body: unknown }): Promise<FetchAnswer> => {
    const hits: { hit_id: string }[] = JSON.parse(body as string).hits
    sent.push({ at: Date.now(), ids: hits.map(({ hit_id }) => hit_id) })
    const { status, headers } = answer(sent.length)
    const text = JSON.stringify(status === 202 ? { accepted: hits.length } : {})
    return { status, headers: new Headers(headers), text: async () => text }
  }
  return { fetch, sent }
}

describe('the pace', () => {
  const START = Date.parse('2026-11-22T10:00:00Z')
  const setUp = (answer: Parameters<typeof inMemory>[0], options: Partial<MillraceOptions> = {}) => {
    vi.useFakeTimers({ now: START, toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
    const { fetch, sent } = inMemory(answer)
    const millrace = client('http://x.example', {
      fetch,
      compress: false,
      lingerMs: 500,
      backoffMinMs: 1_000,
      backoffMaxMs: 60_000,
      ...options,
    })
    return { millrace, times: () => sent.map(({ at }) => at - START), sent }
  }

  test('lets hits wait for company, but not a full batch', async () => {
    const { millrace, times, sent } = setUp(() => ({ status: 202 }))
    millrace.pageView({ url: PAGE })
    await vi.advanceTimersByTimeAsync(300)
    millrace.pageView({ url: PAGE })
    await vi.advanceTimersByTimeAsync(199)
    expect(times()).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(sent.map(({ ids }) => ids.length)).toEqual([2])
    millrace.batch(views(100))
    await vi.advanceTimersByTimeAsync(0)
    expect(sent.map(({ ids }) => ids.length)).toEqual([2, 100])
    expect(times()).toEqual([500, 500])
  })

  test.each([
    ['seconds', '90', 90_000],
    ['a date', 'Sun, 22 Nov 2026 10:02:00 GMT', 119_500],
  ])('obeys Retry-After in %s, also when it is closed', async (_, value, ms) => {
    vi.spyOn(Math, 'random').mockReturnValue(0)
    const { millrace, times } = setUp((n) =>
      n === 1 ? { status: 503, headers: { 'retry-after': value } } : { status: 202 },
    )
    millrace.pageView({ url: PAGE })
    await vi.advanceTimersByTimeAsync(500)
    millrace.batch(views(300))
    const closed = millrace.close({ timeoutMs: 200_000 })
    await vi.advanceTimersByTimeAsync(ms - 1)
    expect(times()).toEqual([500])
    await vi.advanceTimersByTimeAsync(1)
    expect(times()).toEqual([ms, ms, ms, ms].map((more) => 500 + more).toSpliced(0, 0, 500))
    expect(await closed).toBe(true)
    vi.restoreAllMocks()
  })

  test('slows down by chance, doubling, one request at a time, and is back to full speed after a success', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.999_999)
    const { millrace, times } = setUp((n) => ({ status: n <= 4 + 3 ? 503 : 202 }))
    millrace.batch(views(1_000))
    // Four at once fail together: that is one failure.
    await vi.advanceTimersByTimeAsync(0)
    expect(times()).toEqual([0, 0, 0, 0])
    await vi.advanceTimersByTimeAsync(15_000)
    expect(times().slice(4)).toEqual([1_000, 3_000, 7_000, ...Array(10).fill(15_000)])
    expect(
      millrace.told.filter(([what]) => what === 'retry').map(([, retry]) => (retry as { failures: number }).failures),
    ).toEqual([1, 1, 1, 1, 2, 3, 4])
    expect(millrace.stats()).toMatchObject({ delivered: 1_000, queued: 0 })
    vi.restoreAllMocks()
  })

  test('tries at once when it is closed in the middle of a wait of its own', async () => {
    const { millrace, sent } = setUp((n) => ({ status: n === 1 ? 503 : 202 }), { backoffMinMs: 60_000 })
    millrace.pageView({ url: PAGE })
    await vi.advanceTimersByTimeAsync(500)
    expect(await millrace.close()).toBe(true)
    expect(sent).toHaveLength(2)
  })

  test('gives a hit up before the service forgets its id', async () => {
    const { millrace, times } = setUp(() => ({ status: 503, headers: { 'retry-after': '600' } }), { retryForMs: 9e9 })
    millrace.pageView({ url: PAGE })
    await vi.advanceTimersByTimeAsync(3 * 3_600_000)
    expect(millrace.told.at(-1)).toMatchObject(['dropped', { url: PAGE }, 'expired'])
    expect(millrace.stats()).toMatchObject({ queued: 0, dropped: { expired: 1 } })
    // Known for an hour from its first sending.
    expect(times().length).toBeGreaterThan(4)
    expect(times().at(-1)! - times()[0]!).toBeLessThan(3_600_000)
  })
})

describe('flush and close', () => {
  test('flush waits for what was queued before it, not for what comes after', async () => {
    let release: (reply: Reply) => void = () => {}
    const service = await standIn((got, n) => (n === 2 ? new Promise((resolve) => (release = resolve)) : accept(got)))
    const millrace = client(service.url, { maxRequests: 1 })
    millrace.pageView({ url: PAGE })
    const flushed = millrace.flush()
    millrace.pageView({ url: PAGE })
    expect(await flushed).toBe(true)
    await vi.waitFor(() => expect(service.got).toHaveLength(2))
    expect(await millrace.flush({ timeoutMs: 5 })).toBe(false)
    expect(millrace.stats()).toMatchObject({ queued: 1, delivered: 1 })
    release(accept(service.got[1]!))
    expect(await millrace.flush()).toBe(true)
    expect(await client(service.url).flush()).toBe(true)
  })

  test('close drops what it cannot deliver in time, tells so, and takes nothing any more', async () => {
    const service = await standIn(() => new Promise(() => {}))
    const millrace = client(service.url, { maxRequests: 1, batchHits: 2 })
    const ids = millrace.batch(views(3))
    expect(await Promise.all([millrace.close({ timeoutMs: 30 }), millrace.close()])).toEqual([false, false])
    const late = millrace.pageView({ url: PAGE })
    expect(late).toMatch(UUID_V7)
    const dropped = millrace.told.map(([what, hit, reason]) => [what, (hit as { hit_id: string }).hit_id, reason])
    expect(dropped.sort()).toEqual([...ids, late].map((id) => ['dropped', id, 'closed']).sort())
    expect(millrace.stats()).toMatchObject({ queued: 0, queuedBytes: 0, dropped: { closed: 4 } })
    expect(await millrace.flush()).toBe(true)
  })
})

describe('the host', () => {
  test('is told what does not fit, by count and by bytes', () => {
    const byCount = client('http://127.0.0.1:9', { maxQueueHits: 3, lingerMs: 60_000 })
    byCount.batch(views(5))
    expect(byCount.told).toMatchObject([
      ['dropped', { url: `${PAGE}3` }, 'queue_full'],
      ['dropped', { url: `${PAGE}4` }, 'queue_full'],
    ])
    expect(byCount.stats()).toMatchObject({ queued: 3, dropped: { queue_full: 2 } })
    const byBytes = client('http://127.0.0.1:9', { maxQueueBytes: 5_000, lingerMs: 60_000 })
    byBytes.batch(views(100))
    const { queued, queuedBytes, dropped } = byBytes.stats()
    expect(queuedBytes).toBeLessThanOrEqual(5_000)
    expect(queued).toBeGreaterThan(10)
    expect(queued + dropped.queue_full).toBe(100)
  })

  test('sees no error, whatever it passes and whatever its listeners do', async () => {
    const service = await standIn()
    const bad = (): never => {
      throw new Error('of the host')
    }
    const rejects = async (): Promise<void> => bad()
    const millrace: Millrace = createMillrace({
      url: service.url,
      lingerMs: 0,
      onDelivered: bad,
      onDrop: rejects,
      onRefused: bad,
      onIgnored: bad,
    })
    const circle: Record<string, unknown> = { url: PAGE }
    circle.self = circle
    const traps = {
      get url() {
        return bad()
      },
    }
    for (const value of [circle, traps, { url: 1n }, null, undefined, 5, 'text', { request: {} }, { request: 'x' }]) {
      const hit = value as never
      expect(millrace.pageView(hit)).toMatch(UUID_V7)
      millrace.event(hit, hit)
      millrace.engagement(hit, hit)
      millrace.batch(hit)
      millrace.batch([hit])
    }
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (name, fields) => {
        millrace.event(name as string, fields as never)
      }),
      { seed: 11, numRuns: 200 },
    )
    expect(await millrace.flush()).toBe(true)
    expect(millrace.stats().dropped.invalid).toBeGreaterThan(10)
    expect(await millrace.close(null as never)).toBe(true)
  })

  test.each<[string, object]>([
    ['url', { url: 'stats.example.com' }],
    ['url', { url: 'ftp://x' }],
    ['url', {}],
    ['maxQueueHits', { url: PAGE, maxQueueHits: 0 }],
    ['timeoutMs', { url: PAGE, timeoutMs: Number.NaN }],
    ['batchHits', { url: PAGE, batchHits: '5' }],
    ['trustProxy', { url: PAGE, trustProxy: -1 }],
    ['trustProxy', { url: PAGE, trustProxy: 'a b' }],
  ])('is told at once that %s is wrong in %j', (name, options) => {
    expect(() => createMillrace(options as MillraceOptions)).toThrow(new RegExp(`^millrace: \`${name}\``))
  })

  test('may have the service under a path', async () => {
    const service = await standIn()
    const millrace = client(`${service.url}/stats/?x#y`)
    millrace.pageView({ url: PAGE })
    await millrace.flush()
    expect(service.got[0]!.path).toBe('/stats/v1/hits')
  })
})
