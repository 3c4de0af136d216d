import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RunningCollector, runCollector } from './collector.fixture.ts'

const page = 'https://example.com/pricing?a=b'
/** Slow enough for any machine. */
const A_HIT_IN_TEN_SECONDS = 0.1
const id = '01932c07-1111-7222-8333-444455556666'

describe('GET /v1/pixel.gif', () => {
  let collector: RunningCollector
  beforeAll(async () => {
    collector = await runCollector()
    collector.set('blog', { hostnames: ['example.com'] })
    collector.set('shop', {})
    collector.set('closed', { ingest_key_required: true })
  })
  afterAll(() => collector.close())
  afterEach(() => collector.lines())

  const get = async (query: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> => {
    const response = await fetch(`${collector.url}/v1/pixel.gif${query}`, {
      method,
      headers: { 'user-agent': 'A', ...headers },
    })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('image/gif')
    expect(response.headers.get('cache-control')).toContain('no-store')
    expect(response.headers.get('accept-ch')).toContain('Sec-CH-UA-Model')
    const bytes = Buffer.from(await response.arrayBuffer())
    expect(bytes.toString('base64')).toBe(
      method === 'GET' ? 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==' : '',
    )
    return response
  }
  const query = (fields: Record<string, string>): string => `?${new URLSearchParams(fields)}`

  it.each<[string, string, Record<string, string>, string, object]>([
    ['a page view', query({ site: 'blog', url: page }), {}, 'blog', { url: page }],
    [
      'a page by its Referer',
      '?site=blog',
      { referer: 'https://example.com/' },
      'blog',
      { url: 'https://example.com/' },
    ],
    ['a url before the Referer', query({ url: page }), { referer: 'https://example.org/' }, 'default', { url: page }],
    ['an empty url', '?url=', { referer: page }, 'default', { url: page }],
    [
      'what is known of the page',
      query({
        url: page,
        title: 'Pricing & more',
        referrer: 'https://news.example/',
        screen_width: '1920',
        pixel_ratio: '1.5',
        'tags.section': 'docs',
        'tags.a.b': 'c',
      }),
      {},
      'default',
      {
        url: page,
        title: 'Pricing & more',
        referrer: 'https://news.example/',
        screen_width: 1920,
        pixel_ratio: 1.5,
        tags: { section: 'docs', 'a.b': 'c' },
      },
    ],
    [
      'an event',
      query({
        url: page,
        type: 'event',
        name: 'opened',
        value: '9.5',
        currency: 'EUR',
        interactive: 'false',
        'props.plan': 'team',
      }),
      {},
      'default',
      {
        url: page,
        type: 'event',
        name: 'opened',
        value: 9.5,
        currency: 'EUR',
        interactive: false,
        props: { plan: 'team' },
      },
    ],
    [
      'an engagement',
      query({ type: 'engagement', page_id: id, engaged_ms: '1000' }),
      {},
      'default',
      { type: 'engagement', page_id: id, engaged_ms: 1000 },
    ],
    [
      'parameters that are no fields',
      query({ url: page, _: '1', foo: 'x', ip: '203.0.113.1' }),
      {},
      'default',
      { url: page },
    ],
    ['a parameter that comes twice', `?url=nowhere&url=${encodeURIComponent(page)}`, {}, 'default', { url: page }],
  ])('it takes %s', async (_what, sent, headers, site, hit) => {
    await get(sent, headers)
    const [line] = await collector.lines()
    expect(line!.site).toBe(site)
    expect(line!.hits).toEqual([{ hit_id: expect.stringMatching(/^[0-9a-f-]{36}$/), ...hit }])
  })

  it('it stamps the site and who asked', async () => {
    await get(query({ site: 'shop', url: page }), { 'accept-language': 'de' })
    expect(await collector.lines()).toMatchObject([
      { site: 'shop', trust: 'public', ip: '127.0.0.1', user_agent: 'A', headers: { 'accept-language': 'de' } },
    ])
  })

  it.each<[string, string, string, Record<string, string>?]>([
    ['no url', '', 'field_missing'],
    ['a url that is none', '?url=nowhere', 'url_invalid'],
    ['a number that is none', query({ url: page, screen_width: 'wide' }), 'field_invalid'],
    ['an event without a name', query({ url: page, type: 'event' }), 'field_missing'],
    ['an unknown site', query({ site: 'x', url: page }), 'site_unknown'],
    ['another host', query({ site: 'blog', url: 'https://example.org/' }), 'hostname_not_allowed'],
    ['no key where one is needed', query({ site: 'closed', url: page }), 'unauthorized'],
    ['a key that nobody has', query({ url: page }), 'unauthorized', { authorization: 'Bearer mr_x' }],
  ])('it answers %s with the picture, and counts it as refused', async (_what, sent, code, headers) => {
    const name = `millrace_collector_hits_refused_total{code="${code}"}`
    const before = await collector.metric(name)
    await get(sent, headers)
    expect(await collector.metric(name)).toBe(before + 1)
    expect(await collector.lines()).toEqual([])
  })

  it('it keeps nothing of a visitor who does not want it', async () => {
    await get(query({ url: page }), { 'sec-gpc': '1' })
    expect(await collector.lines()).toEqual([])
    expect(await collector.metric('millrace_collector_hits_ignored_total{reason="global_privacy_control"}')).toBe(1)
  })

  it('it counts nothing for those who ask for the headers only', async () => {
    const before = await collector.metric('millrace_collector_pixels_total')
    await get(query({ url: page }), {}, 'HEAD')
    expect(await collector.lines()).toEqual([])
    expect(await collector.metric('millrace_collector_pixels_total')).toBe(before)
    await get(query({ url: page }))
    expect(await collector.metric('millrace_collector_pixels_total')).toBe(before + 1)
  })

  it('it answers any query with the picture', async () => {
    for (const sent of [
      '?%zz=%zz&url=%ff',
      '?__proto__=x&tags.__proto__=y&url=https://a.b',
      '?tags=x',
      '?type=x&url',
      `?${'a'.repeat(9_000)}`,
    ]) {
      await get(sent)
    }
  })

  it('it goes by the limits of hits', async () => {
    const limited = await runCollector({ MILLRACE_RATE_LIMIT_PER_SITE: A_HIT_IN_TEN_SECONDS })
    for (let i = 0; i < 3; i++) {
      expect((await fetch(`${limited.url}/v1/pixel.gif${query({ url: page })}`)).status).toBe(200)
    }
    expect(await limited.metric('millrace_collector_hits_refused_total{code="rate_limited"}')).toBe(2)
    expect(await limited.lines()).toHaveLength(1)
    await limited.close()
  })
})
