import { partitionFor, type RawLine } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import type { Sender } from './stamp-lines.ts'
import { stampVisitors } from './stamp-visitors.ts'
import { readHits } from './validate-hits.ts'

const url = 'https://example.com/'
const server: Sender = {
  ip: '192.0.2.1',
  userAgent: 'server/1.0',
  headers: { 'accept-language': 'en', 'http-version': '1.1' },
  trust: 'public',
}

function stamp(...hits: object[]): (RawLine & { partition: number })[] {
  const read = readHits(JSON.stringify({ hits, sent_at: 5 }), false, true)
  expect(read.refused).toEqual([])
  const lines = stampVisitors(read.hits, read.sentAt, server, 1_000, 4, 7)
  return lines.map(({ partition, text }) => ({ ...(JSON.parse(text) as RawLine), partition }))
}

describe('stampVisitors', () => {
  it('it writes a line for each visitor that a server speaks for', () => {
    const a = { ip: '203.0.113.1', user_agent: 'A', headers: { 'Accept-Language': 'de', Cookie: 'x=1' } }
    const b = { ip: '203.0.113.2', user_agent: 'A' }
    const lines = stamp({ url, title: '1', ...a }, { url, title: '2', ...b }, { url, title: '3', ...a })
    expect(lines).toMatchObject([
      { trust: 'secret', ip: '203.0.113.1', user_agent: 'A', config_at: 7, hits: [{ title: '1' }, { title: '3' }] },
      { trust: 'secret', ip: '203.0.113.2', user_agent: 'A', config_at: 7, hits: [{ title: '2' }] },
    ])
    expect(lines.map(({ headers }) => headers)).toEqual([{ 'accept-language': 'de' }, {}])
    expect(lines[0]!.partition).toBe(partitionFor('default', '203.0.113.1\0A', 4))
    for (const { hits } of lines) {
      for (const hit of hits) expect(Object.keys(hit).sort()).toEqual(['hit_id', 'title', 'url'])
    }
  })

  it('it tells visitors of one address apart by what else they send', () => {
    const ip = '203.0.113.1'
    const lines = stamp({ url, ip, user_agent: 'A' }, { url, ip, user_agent: 'B' }, { url, ip, headers: { te: 'x' } })
    expect(lines.map(({ user_agent, headers }) => [user_agent, headers])).toEqual([
      ['A', {}],
      ['B', {}],
      ['', { te: 'x' }],
    ])
  })

  it.each<[string, object, object]>([
    ['nothing of its visitor', {}, { ip: '192.0.2.1', user_agent: 'server/1.0', headers: server.headers }],
    ['an address', { ip: '203.0.113.1' }, { ip: '203.0.113.1', user_agent: '', headers: {} }],
    ['an address in another spelling', { ip: '[2001:DB8::0:1]:80' }, { ip: '2001:db8::1' }],
    ['a user agent', { user_agent: 'A' }, { ip: '192.0.2.1', user_agent: 'A', headers: {} }],
    ['a user agent among the headers', { headers: { 'User-Agent': 'A' } }, { user_agent: 'A', headers: {} }],
    [
      'headers',
      { headers: { 'SEC-CH-UA': 'x', dnt: '0', 'x-secret': 'y' } },
      { headers: { 'sec-ch-ua': 'x', dnt: '0' } },
    ],
    [
      'a header named __proto__',
      JSON.parse('{"headers":{"__proto__":"x","te":"y"}}') as object,
      { headers: { te: 'y' } },
    ],
    ['a long header', { headers: { te: 'y'.repeat(2_000) } }, { headers: { te: 'y'.repeat(1_024) } }],
    [
      'measures',
      { method: 'GET', status: 200, request_ms: 1.5 },
      { hits: [{ method: 'GET', status: 200, request_ms: 1.5 }] },
    ],
  ])('it stamps a hit that says %s', (_what, said, expected) => {
    const [line] = stamp({ url, ...said })
    expect(line).toMatchObject(expected)
    if ('headers' in expected) expect(line!.headers).toEqual(expected.headers)
  })

  it("it goes by the server's own id of a visitor", () => {
    const [a, b] = stamp({ url, user: 'u-1', ip: '203.0.113.1' }, { url, user: 'u-1', ip: '203.0.113.2' })
    expect([a!.user, b!.user]).toEqual(['u-1', 'u-1'])
    expect(a!.partition).toBe(partitionFor('default', 'u-1', 4))
    expect(b!.partition).toBe(a!.partition)
  })
})
