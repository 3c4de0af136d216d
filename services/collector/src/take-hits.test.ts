import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type RunningCollector, runCollector } from './collector.fixture.ts'
import { parseTrustedProxies } from './trusted-proxies.ts'

const page = 'https://example.com/pricing'
const INGEST = 'mr_ingest'
/** Slow enough for any machine. */
const A_HIT_IN_TEN_SECONDS = 0.1

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown> & { refused?: object[]; ignored?: object[] }
}

async function post(to: RunningCollector, body: object, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${to.url}/v1/hits`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': 'A', ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] }
}
const bearer = (key: string): { authorization: string } => ({ authorization: `Bearer ${key}` })

describe('admission over HTTP', () => {
  let collector: RunningCollector
  beforeAll(async () => {
    collector = await runCollector()
    collector.set('bound', { hostnames: ['example.com'] })
    collector.set('closed', { ingest_key_required: true })
    collector.set('files', { ignore_asset_paths: true })
    collector.add(INGEST, {})
    collector.add('mr_admin', { scopes: ['admin'] })
    collector.add('mr_read', { scopes: ['read', 'sql'] })
    collector.add('mr_closed', { sites: ['closed'] })
  })
  afterAll(() => collector.close())
  afterEach(() => collector.lines())

  it.each<[string, object, Record<string, string>, number, string]>([
    ['a site that nobody made', { site: 'nobody', url: page }, {}, 404, 'site_unknown'],
    ['two hits of such sites', { hits: ['x', 'y'].map((site) => ({ site, url: page })) }, {}, 404, 'site_unknown'],
    ['another host', { site: 'bound', url: 'https://example.org/' }, {}, 403, 'hostname_not_allowed'],
    ['another origin', { site: 'bound', url: page }, { origin: 'https://evil.example' }, 403, 'hostname_not_allowed'],
    ['no key where one is needed', { site: 'closed', url: page }, {}, 401, 'unauthorized'],
    ['a key for other sites', { site: 'files', url: page }, bearer('mr_closed'), 403, 'forbidden'],
    [
      'two reasons',
      {
        hits: [
          { site: 'x', url: page },
          { site: 'closed', url: page },
        ],
      },
      {},
      400,
      'hits_refused',
    ],
    ['a site and a hit', { hits: [{ site: 'x', url: page }, { url: 'nowhere' }] }, {}, 400, 'hits_refused'],
    ['a field for servers', { url: page, ip: '203.0.113.1' }, {}, 400, 'hits_refused'],
  ])('it refuses %s', async (_what, body, headers, status, code) => {
    const before = await collector.metric(`millrace_collector_hits_refused_total{code="${code}"}`)
    const answer = await post(collector, body, headers)
    expect([answer.status, answer.body.code]).toEqual([status, code])
    expect(answer.body.refused).toHaveLength('hits' in body ? 2 : 1)
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    if (status === 401) expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    const counted = await collector.metric(`millrace_collector_hits_refused_total{code="${code}"}`)
    expect(counted - before).toBe(code === 'hits_refused' ? 0 : answer.body.refused!.length)
    expect(await collector.lines()).toEqual([])
  })

  it.each([
    ['a key that nobody has', bearer('mr_nobody'), 401, 'unauthorized'],
    ['a key that may only read', bearer('mr_read'), 403, 'forbidden'],
  ])('it refuses %s as a whole', async (_what, headers, status, code) => {
    const answer = await post(collector, { url: page }, headers)
    expect([answer.status, answer.body.code]).toEqual([status, code])
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(await collector.lines()).toEqual([])
  })

  it('it names a refused hit of an unknown site beside one that it took', async () => {
    const { status, body } = await post(collector, { hits: [{ url: page }, { site: 'x', url: page }] })
    expect([status, body]).toEqual([
      202,
      {
        accepted: 1,
        refused: [{ index: 1, code: 'site_unknown', pointer: '/hits/1/site', detail: expect.any(String) }],
      },
    ])
  })

  it.each<[string, object, Record<string, string>, object[]]>([
    ['DNT', { url: page }, { dnt: '1' }, [{ index: 0, reason: 'do_not_track' }]],
    ['Sec-GPC', { url: page }, { 'sec-gpc': '1' }, [{ index: 0, reason: 'global_privacy_control' }]],
    ['a file', { site: 'files', url: `${page}.js` }, {}, [{ index: 0, reason: 'asset_path' }]],
  ])('it keeps nothing but a metric of %s', async (_what, body, headers, ignored) => {
    const { reason } = ignored[0] as { reason: string }
    const before = await collector.metric(`millrace_collector_hits_ignored_total{reason="${reason}"}`)
    const answer = await post(collector, body, headers)
    expect([answer.status, answer.body]).toEqual([202, { accepted: 0, ignored }])
    expect(await collector.lines()).toEqual([])
    expect(await collector.metric(`millrace_collector_hits_ignored_total{reason="${reason}"}`)).toBe(before + 1)
  })

  it('it takes from a server what it says of its visitors, and says where it comes from', async () => {
    const hits = [
      {
        url: page,
        site: 'bound',
        ip: '203.0.113.1',
        user_agent: 'V',
        headers: { 'Accept-Language': 'de' },
        status: 200,
      },
      { url: page, site: 'bound', ip: '203.0.113.2', user_agent: 'V', user: 'u' },
    ]
    expect((await post(collector, { hits }, bearer(INGEST))).body).toEqual({ accepted: 2 })
    const lines = await collector.lines()
    expect(lines.sort((a, b) => (a.ip < b.ip ? -1 : 1))).toMatchObject([
      {
        site: 'bound',
        trust: 'secret',
        ip: '203.0.113.1',
        user_agent: 'V',
        headers: { 'accept-language': 'de' },
        config_at: 7,
      },
      { site: 'bound', trust: 'secret', ip: '203.0.113.2', user_agent: 'V', headers: {} },
    ])
    expect(JSON.stringify(lines)).not.toContain('"u"')
  })

  it.each([
    ['a key for one site', bearer('mr_closed'), 'closed', 'secret'],
    ['a key for all sites', bearer(INGEST), 'default', 'secret'],
    ['an admin key', bearer('mr_admin'), 'default', 'secret'],
    ['a password of a page', { authorization: 'Basic YTpi' }, 'default', 'public'],
    ['no key', {}, 'default', 'public'],
  ])('it gives a hit without a site that came with %s to its site', async (_what, headers, site, trust) => {
    expect((await post(collector, { url: page }, headers as Record<string, string>)).status).toBe(202)
    expect(await collector.lines()).toMatchObject([{ site, trust }])
  })

  it.each<[string, string, string | null, string | null, string | null]>([
    ['an open site', 'default', 'https://evil.example', '*', null],
    ['an open site', 'default', null, '*', null],
    ['an allowed page', 'bound', 'https://example.com', 'https://example.com', 'Origin'],
    ['another page', 'bound', 'https://evil.example', null, 'Origin'],
    ['no page', 'bound', null, null, 'Origin'],
    ['a hidden page', 'bound', 'null', 'null', 'Origin'],
  ])('it lets %s of the site %s with the origin %s read the answer', async (_what, site, origin, allowed, vary) => {
    const { headers } = await post(collector, { site, url: page }, origin === null ? {} : { origin })
    expect(headers.get('access-control-allow-origin')).toBe(allowed)
    expect(headers.get('vary')).toBe(vary)
    expect(headers.get('access-control-allow-credentials')).toBeNull()
    expect(headers.get('accept-ch')).toContain('Sec-CH-UA-Platform-Version')
  })

  it('it allows the preflight of any page, for a day and without credentials', async () => {
    const { status, headers } = await fetch(`${collector.url}/v1/hits`, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    })
    expect([status, headers.get('access-control-allow-origin')]).toEqual([204, '*'])
    expect(headers.get('access-control-max-age')).toBe('86400')
    expect(headers.get('access-control-allow-credentials')).toBeNull()
  })

  it('it writes nothing about who sent', () => {
    expect(collector.logged.join('')).not.toMatch(/203\.0\.113|example\.com|mr_/)
  })
})

describe('limits', () => {
  it('it refuses an address that sends too much, before it reads the body, and says until when', async () => {
    const limit = { perSecond: A_HIT_IN_TEN_SECONDS, everyAddress: true }
    const collector = await runCollector({
      MILLRACE_RATE_LIMIT_PER_ADDRESS: limit,
      MILLRACE_TRUSTED_PROXIES: parseTrustedProxies('1'),
    })
    collector.add(INGEST, {})
    const from = (ip: string) => ({ 'x-forwarded-for': ip })
    expect((await post(collector, { hits: Array(20).fill({ url: page }) }, from('2001:db8::1'))).status).toBe(202)
    const { status, headers, body } = await post(collector, { foo: 1 }, from('2001:db8::3'))
    expect([status, body.code]).toEqual([429, 'rate_limited'])
    expect(headers.get('retry-after')).toMatch(/^\d+$/)
    expect(headers.get('ratelimit-policy')).toBe('"address";q=1;w=10;qu="hits"')
    expect(headers.get('ratelimit')).toMatch(/^"address";r=0;t=\d+$/)
    expect(headers.get('access-control-expose-headers')).toContain('Retry-After')
    expect((await post(collector, { url: page }, from('203.0.113.1'))).status).toBe(202)
    expect((await post(collector, { url: page }, { ...from('2001:db8::1'), ...bearer(INGEST) })).status).toBe(202)
    expect(await collector.metric('millrace_collector_address_limited_total')).toBe(1)
    await collector.close()
  })

  it('it does not limit private addresses unless it is told to', async () => {
    const collector = await runCollector({ MILLRACE_RATE_LIMIT_PER_ADDRESS: { perSecond: 1, everyAddress: false } })
    for (let i = 0; i < 3; i++)
      expect((await post(collector, { hits: Array(50).fill({ url: page }) })).status).toBe(202)
    await collector.close()
  })

  it('it says so when more hits wait than it may hold', async () => {
    const collector = await runCollector({}, { limits: { maxInFlightBytes: 0 } })
    const { status, headers, body } = await post(collector, { url: page })
    expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'overloaded', '1'])
    expect(headers.get('access-control-allow-origin')).toBe('*')
    await collector.close()
  })

  it('it takes no hit while too many wait to be stored', async () => {
    let full = true
    const collector = await runCollector({}, { isFull: () => full })
    const refused = await post(collector, { url: page })
    expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([503, 'overloaded', '1'])
    full = false
    expect((await post(collector, { url: page })).status).toBe(202)
    await collector.close()
  })

  it('it holds the answer back as long as it is told to, but not the hit', async () => {
    const collector = await runCollector({}, { holdBackMs: () => 400 })
    const sentAt = performance.now()
    const answer = post(collector, { url: page })
    await vi.waitFor(async () => expect(await collector.lines()).toHaveLength(1), 20_000)
    expect((await answer).status).toBe(202)
    // Timers are a millisecond early at times.
    expect(performance.now() - sentAt).toBeGreaterThan(395)
    await collector.close()
  })

  it('it limits a site, and leaves others alone', async () => {
    const collector = await runCollector({ MILLRACE_RATE_LIMIT_PER_SITE: A_HIT_IN_TEN_SECONDS })
    collector.set('a', {})
    collector.add(INGEST, {})
    const hits = Array(3).fill({ site: 'a', url: page })
    const first = await post(collector, { hits })
    expect([first.status, first.body.accepted, first.body.refused?.length]).toEqual([202, 1, 2])
    expect(first.headers.get('ratelimit')).toMatch(/^"site";r=0;t=\d+$/)
    const second = await post(collector, { site: 'a', url: page })
    expect([second.status, second.body.code]).toEqual([429, 'rate_limited'])
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(0)
    const server = await post(collector, { url: page }, bearer(INGEST))
    expect([server.status, server.headers.get('ratelimit-policy')]).toEqual([202, '"site";q=1;w=10;qu="hits"'])
    await collector.close()
  })
})
