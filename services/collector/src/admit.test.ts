import type { Key } from '@millrace/config'
import type { SiteSettings } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { Admission, type Asking } from './admit.ts'
import { configFixture } from './config.fixture.ts'
import { NO_SIGNALS, readSignals } from './privacy-signals.ts'
import { RateLimit } from './rate-limit.ts'
import { readHits } from './validate-hits.ts'

const url = 'https://example.com/pricing'
const key = (some: Partial<Key> = {}): Key => ({
  id: 'k',
  name: '',
  scopes: ['ingest'],
  sites: [],
  created_at: '',
  ...some,
})
const asking = (some: Partial<Asking> = {}): Asking => ({
  caller: null,
  origin: undefined,
  signals: NO_SIGNALS,
  nowMs: 0,
  ...some,
})

/** What becomes of a body sent to the site `a`, which has these settings. */
function admit(settings: Partial<SiteSettings>, body: object, some: Partial<Asking> = {}) {
  const fixture = configFixture()
  fixture.set('a', settings)
  const asked = asking(some)
  const read = readHits(JSON.stringify(body), false, asked.caller !== null)
  return new Admission({ config: fixture.config, siteLimit: null }).admit(read, asked)
}

describe('Admission', () => {
  it.each<[string, Partial<SiteSettings>, object, Partial<Asking>, string]>([
    ['a hit of an open site', {}, { site: 'a', url }, {}, 'taken'],
    ['a hit without a site', {}, { url }, {}, 'taken'],
    ['a hit of a site that nobody made', {}, { site: 'b', url }, {}, 'site_unknown /site'],
    ['a hit of a site that objects inherit', {}, { site: 'constructor', url }, {}, 'site_unknown /site'],

    ['an allowed host', { hostnames: ['example.com'] }, { site: 'a', url }, {}, 'taken'],
    ['another host', { hostnames: ['example.org'] }, { site: 'a', url }, {}, 'hostname_not_allowed /url'],
    ['a host below', { hostnames: ['*.com'] }, { site: 'a', url }, {}, 'taken'],
    [
      'an allowed origin',
      { hostnames: ['example.com'] },
      { site: 'a', url },
      { origin: 'https://example.com:8443' },
      'taken',
    ],
    [
      'a page of another origin',
      { hostnames: ['example.com'] },
      { site: 'a', url },
      { origin: 'https://evil.example' },
      'hostname_not_allowed ',
    ],
    ['an origin that stays hidden', { hostnames: ['example.com'] }, { site: 'a', url }, { origin: 'null' }, 'taken'],
    ['any origin on an open site', {}, { site: 'a', url }, { origin: 'https://evil.example' }, 'taken'],
    [
      'an engagement without a url',
      { hostnames: ['example.com'] },
      { site: 'a', type: 'engagement', page_id: '01932c07-1111-7222-8333-444455556666' },
      {},
      'taken',
    ],
    [
      'an engagement from another origin',
      { hostnames: ['example.com'] },
      { site: 'a', type: 'engagement', page_id: '01932c07-1111-7222-8333-444455556666' },
      { origin: 'https://evil.example' },
      'hostname_not_allowed ',
    ],

    ['no key', { ingest_key_required: true }, { site: 'a', url }, {}, 'unauthorized /site'],
    ['a key', { ingest_key_required: true }, { site: 'a', url }, { caller: key() }, 'taken'],
    ['a key for this site', {}, { site: 'a', url }, { caller: key({ sites: ['b', 'a'] }) }, 'taken'],
    ['a key for another site', {}, { site: 'a', url }, { caller: key({ sites: ['default'] }) }, 'forbidden /site'],
    ['no site, a key for one', { ingest_key_required: true }, { url }, { caller: key({ sites: ['a'] }) }, 'taken'],
    ['no site, a key for two', {}, { url }, { caller: key({ sites: ['a', 'b'] }) }, 'forbidden /site'],
    [
      'a key, from another origin',
      { hostnames: ['example.com'] },
      { site: 'a', url },
      { caller: key(), origin: 'https://evil.example' },
      'taken',
    ],
    [
      'a key, another host',
      { hostnames: ['example.org'] },
      { site: 'a', url },
      { caller: key() },
      'hostname_not_allowed /url',
    ],
    ['an address', {}, { site: 'a', url, ip: '2001:DB8::1' }, { caller: key() }, 'taken'],
    ['an address that is none', {}, { site: 'a', url, ip: 'localhost' }, { caller: key() }, 'field_invalid /ip'],

    ['DNT', {}, { site: 'a', url }, { signals: readSignals({ dnt: '1' }) }, 'do_not_track'],
    ['DNT: 0', {}, { site: 'a', url }, { signals: readSignals({ dnt: '0' }) }, 'taken'],
    ['DNT, not heeded', { respect_dnt: false }, { site: 'a', url }, { signals: readSignals({ dnt: '1' }) }, 'taken'],
    ['GPC', {}, { site: 'a', url }, { signals: readSignals({ 'sec-gpc': '1' }) }, 'global_privacy_control'],
    [
      'GPC, not heeded',
      { respect_gpc: false },
      { site: 'a', url },
      { signals: readSignals({ 'sec-gpc': '1' }) },
      'taken',
    ],
    ['GPC: true', {}, { site: 'a', url }, { signals: readSignals({ 'sec-gpc': 'true' }) }, 'taken'],
    [
      'DNT where only GPC is heeded',
      { respect_dnt: false },
      { site: 'a', url },
      { signals: readSignals({ dnt: '1', 'sec-gpc': '1' }) },
      'global_privacy_control',
    ],
    ["a server's visitor with DNT", {}, { site: 'a', url, headers: { DNT: '1' } }, { caller: key() }, 'do_not_track'],
    [
      "a server's visitor without",
      {},
      { site: 'a', url, headers: {} },
      { caller: key(), signals: readSignals({ dnt: '1' }) },
      'taken',
    ],
    [
      'a server that passes DNT on',
      {},
      { site: 'a', url },
      { caller: key(), signals: readSignals({ dnt: '1' }) },
      'do_not_track',
    ],

    ['a file', { ignore_asset_paths: true }, { site: 'a', url: `${url}.png?a` }, {}, 'asset_path'],
    ['a file, not ignored', {}, { site: 'a', url: `${url}.png` }, {}, 'taken'],
    [
      'an event on a file',
      { ignore_asset_paths: true },
      { site: 'a', type: 'event', name: 'x', url: `${url}.png` },
      {},
      'taken',
    ],
  ])('it judges %s', (_what, settings, body, some, expected) => {
    for (const [sent, index, prefix] of [
      [body, 0, ''],
      [{ hits: [{ url: 'nowhere' }, body] }, 1, '/hits/1'],
    ] as const) {
      const { hits, refused, ignored } = admit(settings, sent, some)
      const invalid = index === 0 ? [] : [expect.objectContaining({ index: 0, code: 'url_invalid' })]
      const [code, pointer] = expected.split(' ')
      const isIgnored = pointer === undefined && expected !== 'taken'
      expect(hits).toHaveLength(expected === 'taken' ? 1 : 0)
      expect(ignored).toEqual(isIgnored ? [{ index, reason: expected }] : [])
      const refusal = { index, code, pointer: prefix + pointer, detail: expect.any(String) }
      expect(refused).toEqual(expected === 'taken' || isIgnored ? invalid : [...invalid, refusal])
    }
  })

  it('it tells the hits of a request apart, by their places in it', () => {
    const files = { site: 'a', url: `${url}.css` }
    const hits = [
      { site: 'a', url },
      { url: 'nowhere' },
      files,
      { site: 'x', url },
      { site: 'a', url },
      { foo: 1 },
      { url },
    ]
    const admitted = admit({ ignore_asset_paths: true }, { hits })
    expect(admitted.hits).toHaveLength(3)
    expect(admitted.ignored).toEqual([{ index: 2, reason: 'asset_path' }])
    expect(admitted.refused.map(({ index, pointer }) => [index, pointer])).toEqual([
      [1, '/hits/1/url'],
      [3, '/hits/3/site'],
      [5, '/hits/5/foo'],
    ])
  })

  it('it goes by the settings of the moment', () => {
    const { config, set, remove } = configFixture()
    const admission = new Admission({ config, siteLimit: null })
    const codes = (): (string | undefined)[] => {
      const read = readHits(JSON.stringify({ site: 'a', url }), false)
      return [admission.admit(read, asking()).refused[0]?.code]
    }
    expect(codes()).toEqual(['site_unknown'])
    set('a', {})
    expect(codes()).toEqual([undefined])
    set('a', { hostnames: ['example.org'] })
    expect(codes()).toEqual(['hostname_not_allowed'])
    set('a', { hostnames: ['example.com'] })
    expect(codes()).toEqual([undefined])
    remove('a')
    expect(codes()).toEqual(['site_unknown'])
  })

  it("it keeps the server's id of a visitor only where the site allows it", () => {
    const body = { site: 'a', url, user: 'u-1' }
    expect(admit({}, body, { caller: key() }).hits[0]!.user).toBeUndefined()
    expect(admit({ user_ids: true }, body, { caller: key() }).hits[0]!.user).toBe('u-1')
  })

  it('it limits each site by itself', () => {
    const { config, set } = configFixture()
    set('a', {})
    const admission = new Admission({ config, siteLimit: new RateLimit({ perSecond: 1 }) })
    const send = (hits: object[]) => admission.admit(readHits(JSON.stringify({ hits }), false), asking())
    const first = send(Array.from({ length: 12 }, () => ({ site: 'a', url })))
    expect([first.hits.length, first.limitedSite]).toEqual([10, 'a'])
    expect(first.refused).toMatchObject([
      { index: 10, code: 'rate_limited', pointer: '/hits/10' },
      { index: 11, code: 'rate_limited' },
    ])
    const second = send([{ url }, { site: 'a', url }])
    expect([second.hits.length, second.refused.length]).toEqual([1, 1])
  })

  it.each<[string, Partial<SiteSettings>, object, string | undefined, string]>([
    ['of an open site', {}, { site: 'a', url }, undefined, 'any'],
    ['of an open site', {}, { site: 'a', url }, 'https://evil.example', 'any'],
    ['of a bound site', { hostnames: ['example.com'] }, { site: 'a', url }, 'https://example.com', 'origin'],
    ['of a bound site', { hostnames: ['example.com'] }, { site: 'a', url }, 'https://evil.example', 'none'],
    ['of a bound site', { hostnames: ['example.com'] }, { site: 'a', url }, undefined, 'none'],
    [
      'of both',
      { hostnames: ['example.com'] },
      { hits: [{ url }, { site: 'a', url }] },
      'https://evil.example',
      'none',
    ],
    [
      'of both',
      { hostnames: ['example.com'] },
      { hits: [{ url }, { site: 'a', url }] },
      'https://example.com',
      'origin',
    ],
  ])('it lets the answer %s (%j, %j) be read by the origin %s: %s', (_what, settings, body, origin, expected) => {
    expect(admit(settings, body, { origin }).readableBy).toBe(expected)
  })
})
