import { createServer, type IncomingMessage, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { KEPT_HEADERS as KEPT_BY_THE_SERVICE } from '@millrace/shared'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KEPT_HEADERS, keepHeaders, type NodeRequestLike, readRequest, type TrustProxy } from './request.ts'

const SECRETS = { cookie: 'session=1', authorization: 'Bearer x', 'proxy-authorization': 'y', 'x-api-key': 'z' }
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'
const HEADERS = {
  ...SECRETS,
  host: 'shop.example',
  referer: 'https://news.example/a',
  'user-agent': AGENT,
  'accept-language': 'de-AT,de;q=0.8',
  'sec-ch-ua-mobile': '?0',
}

const node = (fields: Partial<NodeRequestLike> = {}, headers: Record<string, string> = {}): NodeRequestLike => ({
  url: '/cart?a=1',
  method: 'GET',
  socket: { remoteAddress: '::ffff:203.0.113.9' },
  ...fields,
  headers: { ...HEADERS, ...headers },
})

const FACTS = {
  url: 'http://shop.example/cart?a=1',
  referrer: 'https://news.example/a',
  language: 'de-AT',
  user_agent: AGENT,
  headers: { 'accept-language': 'de-AT,de;q=0.8', 'sec-ch-ua-mobile': '?0' },
  method: 'GET',
  optedOut: false,
}

describe('a request', () => {
  test('of node:http is read, and nothing secret of it', () => {
    expect(readRequest(node(), 0)).toEqual({ ...FACTS, ip: '::ffff:203.0.113.9' })
  })

  test('of the Fetch API is read the same, but for the address that it does not have', () => {
    const request = new Request('http://shop.example/cart?a=1', { headers: HEADERS })
    expect(readRequest(request, 0)).toEqual({ ...FACTS, ip: undefined })
  })

  test('that node:http really makes is recognised', async () => {
    const server = createServer((request, response) => response.end(JSON.stringify(readRequest(request, 0))))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const answer = await new Promise<IncomingMessage>((resolve) => {
      send({ host: '127.0.0.1', port, path: '/x', headers: { ...HEADERS, host: 'a.example:81' } }, resolve).end()
    })
    const facts = JSON.parse((await answer.toArray()).join(''))
    server.close()
    expect(facts).toMatchObject({ url: 'http://a.example:81/x', ip: '127.0.0.1', user_agent: AGENT, method: 'GET' })
    expect(JSON.stringify(facts)).not.toMatch(/session=1|Bearer/)
  })

  test.each<[string, NodeRequestLike, TrustProxy, string | undefined]>([
    ['over TLS', node({ socket: { encrypted: true } }), 0, 'https://shop.example/cart?a=1'],
    ['in a mounted router', node({ url: '/', originalUrl: '/cart' }), 0, 'http://shop.example/cart'],
    ['of HTTP/2', node({}, { host: undefined as never, ':authority': 'h2.example' }), 0, 'http://h2.example/cart?a=1'],
    ['without a host', node({}, { host: undefined as never }), 0, undefined],
    ['with a broken host', node({}, { host: 'a b' }), 0, undefined],
    ['with a password', node({}, { host: 'me:secret@shop.example' }), 0, 'http://shop.example/cart?a=1'],
    ['in absolute form', node({ url: 'http://other.example/' }), 0, 'http://other.example/'],
    ['of OPTIONS *', node({ url: '*' }), 0, undefined],
    ['too long', node({ url: `/${'x'.repeat(4096)}` }), 0, undefined],
    ['whose proxy nobody trusts', node({}, { 'x-forwarded-proto': 'https' }), 0, 'http://shop.example/cart?a=1'],
    [
      'behind a proxy',
      node({}, { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'www.example' }),
      1,
      'https://www.example/cart?a=1',
    ],
    ['behind two', node({}, { 'x-forwarded-proto': 'ftp, https,http' }), 2, 'https://shop.example/cart?a=1'],
    ['with a strange scheme', node({}, { 'x-forwarded-proto': 'javascript' }), 1, 'http://shop.example/cart?a=1'],
  ])('%s has its url', (_, request, trust, url) => {
    expect(readRequest(request, trust).url).toBe(url)
  })

  test('of the Fetch API behind a proxy has the outer url', () => {
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'www.example' }
    const request = new Request('http://10.0.0.1:3000/a?b#c', { headers })
    expect(readRequest(request, 1).url).toBe('https://www.example/a?b#c')
    expect(readRequest(request, 0).url).toBe('http://10.0.0.1:3000/a?b#c')
  })

  test.each<[TrustProxy, string | undefined, string | undefined]>([
    [0, '198.51.100.1', '203.0.113.9'],
    [1, undefined, '203.0.113.9'],
    [1, '198.51.100.1', '198.51.100.1'],
    [1, '6.6.6.6, 198.51.100.1', '198.51.100.1'],
    [2, '6.6.6.6, 198.51.100.1, 10.0.0.1', '198.51.100.1'],
    [9, '6.6.6.6, 198.51.100.1', '6.6.6.6'],
    [2, 'unknown, 10.0.0.1', '10.0.0.1'],
    [2, '198.51.100.1, _hidden', '203.0.113.9'],
    [1, '198.51.100.1:4711', '198.51.100.1'],
    [1, '[2001:db8::1]:443', '2001:db8::1'],
    [1, 'fe80::1%eth0', 'fe80::1'],
    [1, '::ffff:198.51.100.1', '::ffff:198.51.100.1'],
    [1, '256.1.1.1', '203.0.113.9'],
    [1, '1.2.3', '203.0.113.9'],
    [1, '12345::1', '203.0.113.9'],
    [1, 'a.example', '203.0.113.9'],
    [1, '1.2.3.4/x', '203.0.113.9'],
    ['cf-connecting-ip', '6.6.6.6', '192.0.2.7'],
    ['CF-Connecting-IP', '6.6.6.6', '192.0.2.7'],
    ['x-real-ip', '6.6.6.6', undefined],
  ])('with trust in %j and X-Forwarded-For %j comes from %j', (trust, forwarded, ip) => {
    const headers = { 'cf-connecting-ip': '192.0.2.7', ...(forwarded && { 'x-forwarded-for': forwarded }) }
    expect(readRequest(node({ socket: { remoteAddress: '203.0.113.9' } }, headers), trust).ip).toBe(ip)
  })

  test.each([
    ['de-AT,de;q=0.8', 'de-AT'],
    ['*', undefined],
    ['', undefined],
    [' en ; q=1', 'en'],
    ['x'.repeat(80), undefined],
    ['zh-Hant_TW', 'zh-Hant_TW'],
  ])('that accepts %j speaks %j', (accepted, language) => {
    expect(readRequest(node({}, { 'accept-language': accepted }), 0).language).toBe(language)
  })

  test.each([
    [{ dnt: '1' }, true],
    [{ 'sec-gpc': '1' }, true],
    [{ dnt: '0' }, false],
  ])('with %j: opted out is %j', (headers, optedOut) => {
    expect(readRequest(node({}, headers as never), 0).optedOut).toBe(optedOut)
  })

  test('of any content is read without a throw, and gives nothing beyond the list', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 })
    const names = fc.oneof(fc.constantFrom(...KEPT_HEADERS, ...Object.keys(SECRETS), 'x-forwarded-for', 'host'), text)
    const trust = fc.oneof(fc.nat(5), fc.constant('x-real-ip'))
    const known = new Set<string>(KEPT_HEADERS)
    fc.assert(
      fc.property(fc.dictionary(names, fc.oneof(text, fc.array(text))), text, trust, (headers, url, trusted) => {
        const facts = readRequest({ headers, url, socket: null }, trusted)
        expect(Object.keys(facts.headers).filter((name) => !known.has(name))).toEqual([])
      }),
      { seed: 3, numRuns: 500 },
    )
  })
})

test('the kept headers are those that the service keeps', () => {
  expect(KEPT_HEADERS).toEqual(KEPT_BY_THE_SERVICE)
})

test('headers given by hand are sieved too, whatever their case', () => {
  expect(keepHeaders({ 'Accept-Language': 'de', Cookie: 'a=1', AUTHORIZATION: 'b', DNT: '1' })).toEqual({
    'accept-language': 'de',
    dnt: '1',
  })
})
