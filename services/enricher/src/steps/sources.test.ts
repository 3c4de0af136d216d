import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CLICK_IDS } from './campaign.ts'
import { CHANNEL_RULES, CHANNELS, channelOf } from './channel.ts'
import { domainOf, isSameSite } from './site.ts'
import { SOURCE_KINDS, SOURCE_ROWS, SOURCES } from './sources.ts'
import { isSpamReferrer, parseSpamList } from './spam.ts'

describe('the table of sources', () => {
  it('has six cells in each row: a name, a kind, something that tells it, and where it is from', () => {
    for (const row of SOURCE_ROWS) {
      expect(row.name, row.name).toMatch(/^\S.*$/)
      expect(SOURCE_KINDS, row.name).toContain(row.kind)
      expect(row.hosts.length + row.apps.length + row.tags.length, row.name).toBeGreaterThan(0)
      expect(row.source, row.name).toMatch(/\S/)
    }
  })

  it('names each source, host, app and tag once', () => {
    for (const cells of [
      SOURCE_ROWS.map(({ name }) => name),
      SOURCE_ROWS.flatMap(({ hosts }) => hosts),
      SOURCE_ROWS.flatMap(({ apps }) => apps),
      SOURCE_ROWS.flatMap(({ tags }) => tags),
    ])
      expect(cells.filter((cell, i) => cells.indexOf(cell) !== i)).toEqual([])
  })

  it('writes hosts and tags in lower case, and no address within a host', () => {
    for (const { hosts, apps, tags } of SOURCE_ROWS) {
      for (const host of hosts) expect(host).toMatch(/^[a-z0-9-]+(\.[a-z0-9-]+)*\.([a-z]{2,}|\*)$/)
      for (const app of apps) expect(app).toMatch(/^[\w.]+$/)
      for (const tag of tags) expect(tag).toBe(tag.toLowerCase())
    }
  })

  it('finds every row by everything that it names', () => {
    for (const { name, hosts, apps, tags } of SOURCE_ROWS) {
      for (const host of hosts) {
        expect(SOURCES.ofHost(host.replace(/\.\*$/, '.de'))?.name).toBe(name)
        expect(SOURCES.ofHost(`sub.of.${host.replace(/\.\*$/, '.co.uk')}`)?.name).toBe(name)
      }
      for (const app of apps) expect(SOURCES.ofApp(app)?.name).toBe(name)
      for (const tag of [name.toUpperCase(), ...tags]) expect(SOURCES.ofTag(tag)?.name).toBe(name)
    }
  })

  it('has a source for every click id', () => {
    for (const { source } of CLICK_IDS) expect(SOURCES.ofTag(source)?.name).toBe(source)
  })

  it('never throws on a host', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'google.*-ä') }), (host) => void SOURCES.ofHost(host)))
  })
})

describe('the rules of channels', () => {
  it('stand in the order of the channels, one each', () => {
    expect(CHANNEL_RULES.map(({ channel }) => channel)).toEqual(CHANNELS)
  })

  it('give every arrival a channel, the same each time', () => {
    const kind = fc.constantFrom(null, ...SOURCE_KINDS)
    const word = fc.constantFrom('', 'cpc', 'Email', 'shop', 'cross-network', 'push', 'x', ' display ')
    const input = fc.record({
      ...{ medium: word, campaign: word, tag: word, tagKind: kind, clickKind: kind, referrerKind: kind },
      ...{ clickPaid: fc.boolean(), external: fc.boolean() },
    })
    fc.assert(
      fc.property(input, (facts) => {
        const channel = channelOf(facts)
        expect(CHANNELS).toContain(channel)
        expect(channelOf(facts)).toBe(channel)
      }),
    )
  })

  it.each(SOURCE_KINDS)('tell a channel of %s without a campaign', (kind) => {
    const facts = { medium: '', campaign: '', tag: '', tagKind: null, clickKind: null, clickPaid: false }
    expect(channelOf({ ...facts, referrerKind: kind, external: true })).not.toBe('Direct')
  })
})

describe('isSameSite', () => {
  it.each([
    ['a.example', 'a.example', [], true],
    ['www.a.example', 'a.example', [], true],
    ['a.example.co.uk', 'b.example.co.uk', [], true],
    ['a.co.uk', 'b.co.uk', [], false],
    ['a.github.io', 'b.github.io', [], false],
    ['a.example', 'b.example', ['a.example'], true],
    ['x.a.example', 'b.example', ['a.example'], false],
    ['x.a.example', 'b.example', ['*.a.example'], true],
    ['xa.example', 'b.example', ['*.a.example'], false],
    ['localhost', 'localhost', [], true],
    ['127.0.0.1', '127.0.0.2', [], false],
  ] as const)('%s and %s, with %j: %s', (host, page, hosts, expected) => {
    expect(isSameSite(host, page, hosts)).toBe(expected)
  })

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (host) => void domainOf(host)))
  })
})

describe('isSpamReferrer', () => {
  const list = parseSpamList('# comment\n\nspam.example\nhost.blog.example\n')

  it.each([
    ['spam.example', true],
    ['www.spam.example', true],
    ['a.b.spam.example', true],
    ['notspam.example', false],
    ['spam.example.org', false],
    ['host.blog.example', true],
    ['blog.example', false],
    ['', false],
  ])('of %j is %s', (host, expected) => {
    expect(isSpamReferrer(host, list)).toBe(expected)
  })

  it('reads our own list, which names no source of people', () => {
    expect(isSpamReferrer('semalt.semalt.com')).toBe(true)
    const hosts = SOURCE_ROWS.flatMap(({ hosts: named }) => named.map((host) => host.replace(/\.\*$/, '.com')))
    expect(hosts.filter((host) => isSpamReferrer(host))).toEqual([])
  })
})
