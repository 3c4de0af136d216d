import { readFileSync } from 'node:fs'
import { KEPT_HEADERS, MAX_BODY_BYTES, partitionFor, RAW_RECORD_MAX_BYTES, type RawLine } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { readSender, type Sender, stampLines, stampText } from './stamp-lines.ts'
import { readHits } from './validate-hits.ts'

const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'
const sender: Sender = { ip: '192.0.2.7', userAgent: agent, headers: { 'accept-language': 'de-AT' }, trust: 'public' }
const url = 'https://example.com/'
const hit_id = '01932c07-1111-7222-8333-444455556666'

const stamp = (body: object, from = sender): { partition: number; hits: number; line: RawLine }[] => {
  const { hits, sentAt } = readHits(JSON.stringify(body), false)
  return stampLines(hits, sentAt, from, 1000, 4, 7).map(({ partition, text, hits }) => ({
    partition,
    hits,
    line: JSON.parse(text) as RawLine,
  }))
}

describe('stampLines', () => {
  it('it writes the line of schema.md', () => {
    const body = { url, site: 'blog', hit_id, created_at: 900, sent_at: 950, tags: { a: 'b' } }
    expect(stamp(body)).toEqual([
      {
        partition: partitionFor('blog', `192.0.2.7\0${agent}`, 4),
        hits: 1,
        line: {
          v: 1,
          collected_at: 1000,
          config_at: 7,
          site: 'blog',
          trust: 'public',
          ip: '192.0.2.7',
          user_agent: agent,
          headers: { 'accept-language': 'de-AT' },
          sent_at: 950,
          hits: [{ url, hit_id, created_at: 900, tags: { a: 'b' } }],
        },
      },
    ])
  })

  it('it makes an id for a hit that has none, each its own', () => {
    const { line } = stamp({ hits: [{ url }, { url }] })[0]!
    expect(line.hits[0]!.hit_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(line.hits[1]!.hit_id).not.toBe(line.hits[0]!.hit_id)
  })

  it('it gives hits without a site to the default site', () => {
    expect(stamp({ url })[0]!.line.site).toBe('default')
  })

  it('it writes a line for each site and sending time, in order', () => {
    const hits = [
      { url, site: 'a', title: '1' },
      { url, site: 'b', title: '2' },
      { url, site: 'a', title: '3' },
      { url, site: 'a', title: '4', sent_at: 7 },
      { url, title: '5' },
    ]
    const lines = stamp({ hits, sent_at: 5 }).map(({ line, hits }) => [
      line.site,
      line.sent_at,
      hits,
      line.hits.map(({ title }) => title).join(),
    ])
    expect(lines).toEqual([
      ['a', 5, 2, '1,3'],
      ['b', 5, 1, '2'],
      ['a', 7, 1, '4'],
      ['default', 5, 1, '5'],
    ])
  })

  it('it puts a visitor of a site on one partition, and visitors on all', () => {
    const partitions = Array.from(
      { length: 50 },
      (_, i) => stamp({ url }, { ...sender, ip: `192.0.2.${i}` })[0]!.partition,
    )
    expect(new Set(partitions)).toEqual(new Set([0, 1, 2, 3]))
    expect(stamp({ url })[0]!.partition).toBe(stamp({ url: `${url}other` })[0]!.partition)
  })

  it('it writes one line without a line feed that fits a record, whatever a body holds', () => {
    const wide = {
      type: 'event',
      url,
      name: 'x',
      props: Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}`, 1e20])),
    }
    const bodies = [
      { hits: Array.from({ length: 100 }, () => wide) },
      { url, title: 'a\nb\u2028c' },
      { hits: Array.from({ length: 15 }, () => ({ url: `https://example.com/${'"'.repeat(1900)}` })) },
    ]
    const headers = Object.fromEntries(KEPT_HEADERS.map((name) => [name, '"'.repeat(5_000)]))
    const loud = readSender('192.0.2.7', '1.1', { ...headers, 'user-agent': '\u00ff'.repeat(9_000) })
    for (const body of bodies) {
      // Numbers grow most: 1e20 takes 4 bytes in a body and 21 in a line.
      const text = JSON.stringify(body).replaceAll('100000000000000000000', '1e20')
      expect(text.length).toBeLessThan(MAX_BODY_BYTES)
      const { hits } = readHits(text, false)
      expect(hits.length).toBeGreaterThan(0)
      for (const line of stampLines(hits, undefined, loud, 1000, 4, -1)) {
        expect(line.text).not.toContain('\n')
        expect(Buffer.byteLength(line.text)).toBeLessThan(RAW_RECORD_MAX_BYTES)
      }
    }
  })
})

describe('stampText', () => {
  const id = '01932c07-0000-7000-8000-000000000001'
  const hit = { site: 'blog', hit_id: id, url, title: 'a "b" \\ é', created_at: 5 }
  const other = { ...hit, hit_id: id.replace('0001', '0002'), title: 'the other' }
  const bare = ({ hits }: RawLine) => hits.map((one) => ({ ...one, site: undefined, sent_at: undefined }))

  it.each([
    ['a hit', JSON.stringify({ ...hit, sent_at: 6 })],
    ['spaces and another order of fields', `  {"title" : "x", "url":"${url}","hit_id":"${id}"}  `],
    ['a field that comes twice', `{"url":"${url}","site":"a","site":"b","hit_id":"${id}"}`],
    ['a list', JSON.stringify({ sent_at: 7, hits: [hit, other] })],
    ['a list without a sending time', JSON.stringify({ hits: [hit] })],
    ['a list with a field that comes twice', `{"hits":[{"url":"${url}","hit_id":"${id}","site":"a","site":"b"}]}`],
  ])('it writes what stampLines writes, the line said twice or not: %s', (_what, text) => {
    const read = readHits(text, false)
    const line = stampText(read.text!, sender, 1000, 4, 17)
    const again = readHits(text, false)
    const [expected] = stampLines(again.hits, again.sentAt, sender, 1000, 4, 17)
    const [found, wanted] = [JSON.parse(line.text), JSON.parse(expected!.text)] as [RawLine, RawLine]
    expect({ ...found, hits: bare(found) }).toEqual({ ...wanted, hits: bare(wanted) })
    expect({ ...line, text: '' }).toEqual({ ...expected, text: '' })
    expect(line.text).not.toContain('\n')
  })

  it.each([
    ['no hit_id', JSON.stringify({ url })],
    ['a list with a hit that has no hit_id', JSON.stringify({ hits: [hit, { url, site: 'blog' }] })],
    ['an id in capitals', JSON.stringify({ ...hit, hit_id: id.toUpperCase().replace('0001', '00AB') })],
    ['a space before an id', `{"url":"${url}","hit_id": "${id}"}`],
    ['a line feed between fields', JSON.stringify(hit, null, 1)],
    ['an escape that is cleaned', JSON.stringify({ ...hit, title: '\ud800' })],
    ['an unknown field that is left out', JSON.stringify({ ...hit, colour: 'red' }), true],
    ['an unknown list behind that of the hits', `{"hits":[${JSON.stringify(hit)}],"more":[1]}`, true],
    ['two sites', JSON.stringify({ hits: [hit, { ...other, site: 'shop' }] })],
    ['a refused neighbour', JSON.stringify({ hits: [hit, { ...other, url: 'nowhere' }] })],
    ['a hit with a sending time of its own', JSON.stringify({ sent_at: 7, hits: [{ ...hit, sent_at: 6 }] })],
    ['the sending time behind the list', JSON.stringify({ hits: [hit], sent_at: 7 })],
    ['two lists', `{"hits":[{"url":"nowhere","hit_id":"${id}"}],"hits":[${JSON.stringify(hit)}]}`],
    ['two lists, of which one is spelled otherwise', `{"hits":[],"hits" :[${JSON.stringify(hit)}]}`],
    ['spaces around the list', `{"hits": [${JSON.stringify(hit)}] }`],
  ])('it is not for a body that has to be written anew: %s', (_what, text, ignoreUnknown = false) => {
    const read = readHits(text, ignoreUnknown)
    expect(read.hits.length).toBeGreaterThan(0)
    expect(read.text).toBeNull()
  })
})

describe('readSender', () => {
  it('it keeps the listed headers and the HTTP version, nothing else', () => {
    const headers = { 'accept-language': 'de', cookie: 'a=b', referer: url, 'sec-gpc': '1', 'user-agent': agent }
    expect(readSender('192.0.2.7', '1.1', headers)).toEqual({
      ip: '192.0.2.7',
      userAgent: agent,
      headers: { 'accept-language': 'de', 'sec-gpc': '1', 'http-version': '1.1' },
      trust: 'public',
    })
  })

  it('it keeps the headers that docs/reference/topics.md lists', () => {
    const page = readFileSync(new URL('../../../docs/reference/topics.md', import.meta.url), 'utf8')
    const list = page.slice(page.indexOf('`headers` are,')).split('\n\n', 1)[0]!
    const names = [...list.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name).slice(1)
    expect(names).toEqual([...KEPT_HEADERS, 'http-version'])
  })

  it('it takes a missing user agent as an empty one', () => {
    expect(readSender('192.0.2.7', '1.0', {}).userAgent).toBe('')
  })
})
