import { DEFAULT_SITE_SETTINGS, HIT_COLUMNS, NO_ID, type RawLine } from '@millrace/shared'
import { hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DeadLetter, type RawHit, type ReadingTools, readRecord } from './raw-hit.ts'
import { Senders } from './senders.ts'
import { Lab, NOON, READING, RULES, rawRecord } from './testing/lab.ts'

function read(value: Buffer | string | null): { hits: RawHit[]; letters: DeadLetter[] } {
  const hits: RawHit[] = []
  const letters: DeadLetter[] = []
  readRecord(rawRecord(7, NOON, typeof value === 'string' ? Buffer.from(value) : value), READING, hits, letters)
  return { hits, letters }
}
const view = (n: number) => ({ ...pageView(), hit_id: hitId(n) })
const good = rawValue([rawLine([view(1), view(2)])]).toString()

describe('readRecord', () => {
  it.each([
    ['no value', null, ['line_unreadable']],
    ['nothing', '', []],
    ['two hits', good, ['', '']],
    ['a line without its end', good.trimEnd(), ['', '']],
    ['a bad line between good ones', `${good}{"v":\n${good}`, ['', '', 'line_unreadable', '', '']],
    ['an empty line', `\n${good}`, ['line_unreadable', '', '']],
    ['bad UTF-8', Buffer.from([0xff, 0xfe, 10]), ['line_unreadable']],
    ['a number', '5\n', ['line_unreadable']],
    ['null', 'null\n', ['line_unreadable']],
    ['a version to come', good.replace('"v":1', '"v":2'), ['line_version_unknown']],
    ['no site', good.replace('"site"', '"cite"'), ['line_unreadable']],
    ['hits that are none', JSON.stringify({ ...rawLine([]), hits: 5 }), ['line_unreadable']],
    [
      'a hit that is none',
      JSON.stringify({ ...rawLine([]), hits: [null, [], 'x', view(1)] }),
      ['hit_invalid', 'hit_invalid', 'hit_invalid', ''],
    ],
    ['nesting', `${'['.repeat(100_000)}\n${good}`, ['line_unreadable', '', '']],
    ['more lines than a record can have', '\n'.repeat(70_000), ['line_unreadable']],
  ])('reads %s', (_, value, dead) => {
    const { hits } = read(value)
    expect(hits.map((hit) => hit.dead)).toEqual(dead)
    expect(hits.map((hit) => [hit.offset, hit.index])).toEqual(dead.map((__, i) => [7, i]))
  })

  it('keeps the bytes of a line that cannot be read, once, with the index of its first dead hit', () => {
    const line = JSON.stringify({ ...rawLine([]), hits: [view(1), null, null] })
    const { letters } = read(`${line}\n{bad\n`)
    expect(letters.map(({ bytes, reason, index }) => [bytes.toString(), reason, index])).toEqual([
      [line, 'hit_invalid', 1],
      ['{bad', 'line_unreadable', 3],
    ])
  })

  it('takes the clock of a spool only when it is earlier', () => {
    const line = (fields: object) => read(`${JSON.stringify({ ...rawLine([view(1)]), ...fields })}\n`).hits[0]!
    expect(line({ collected_at: NOON - 5_000 }).receivedAt).toBe(NOON)
    expect(line({ collected_at: NOON - 5_000, spooled: true }).receivedAt).toBe(NOON - 5_000)
    expect(line({ collected_at: NOON + 5_000, spooled: true }).receivedAt).toBe(NOON)
  })
})

describe('visitors', () => {
  const idOf = (fields: Partial<RawLine>, tools: Partial<ReadingTools> = {}) => {
    const hits: RawHit[] = []
    const value = rawValue([rawLine([view(1)], fields)])
    readRecord(rawRecord(7, NOON, value), { ...READING, senders: new Senders(), ...tools }, hits, [])
    return hits[0]!.sender.visitor.own(hits[0]!.day).toString()
  }
  const german = { headers: { 'accept-language': 'de', 'accept-encoding': 'br' } }
  const english = { headers: { 'accept-language': 'en', 'accept-encoding': 'br' } }

  it('are told apart by headers only where the operator says so', () => {
    expect(idOf(german)).toBe(idOf(english))
    const inputs = { fingerprintHeaders: ['accept-language'] }
    expect(idOf(german, inputs)).not.toBe(idOf(english, inputs))
    expect(idOf(german, inputs)).not.toBe(idOf(german))
    const others = { fingerprintHeaders: ['accept-encoding'] }
    expect(idOf(german, others)).toBe(idOf(english, others))
    expect(idOf({ headers: {} }, others)).not.toBe(idOf(german, others))
  })

  it('are known by `user` with a secret, from a trusted sender, on a site that allows it', () => {
    const secret = { installationSecret: () => Buffer.alloc(32, 7) }
    const allowed = { rulesOf: () => ({ ...RULES, settings: { ...DEFAULT_SITE_SETTINGS, user_ids: true } }) }
    const line = { trust: 'secret', user: 'u-1' } as const
    const byAddress = idOf({})
    expect(idOf(line, { ...secret, ...allowed })).not.toBe(byAddress)
    expect(idOf({ ...line, ip: '::1' }, { ...secret, ...allowed })).toBe(idOf(line, { ...secret, ...allowed }))
    expect(idOf(line, secret)).toBe(byAddress)
    expect(idOf(line, allowed)).toBe(byAddress)
    expect(idOf({ ...line, trust: 'public' }, { ...secret, ...allowed })).toBe(byAddress)
    expect(idOf({ ...line, user: '' }, { ...secret, ...allowed })).toBe(byAddress)
  })
})

describe('a line as the collector writes it', () => {
  const readText = (text: string, senders: Senders) => {
    const hits: RawHit[] = []
    const letters: DeadLetter[] = []
    const configAt = readRecord(rawRecord(7, NOON, Buffer.from(`${text}\n`)), { ...READING, senders }, hits, letters)
    return {
      configAt,
      letters,
      hits: hits.map(({ sender: { site, ip, client, settings, secret, visitor }, ...hit }) => ({
        ...hit,
        sender: { site, ip, client: { ...client, bytes: '' }, settings, secret, visitor: visitor.on(hit.day) },
      })),
    }
  }
  /** The same line with its sender unknown, known, and in a spelling that has to be parsed as a whole. */
  const expectSame = (text: string): void => {
    const senders = new Senders()
    const first = readText(text, senders)
    expect(readText(text, senders)).toEqual(first)
    const whole = readText(text.replace('{', '{ '), new Senders())
    expect({ ...first, letters: first.letters.length }).toEqual({ ...whole, letters: whole.letters.length })
  }
  const spelt = ({ v, collected_at, config_at, site, trust, ip, user_agent, headers, ...rest }: RawLine): string =>
    JSON.stringify({
      ...(rest.spooled && { spooled: true }),
      v,
      collected_at,
      config_at,
      site,
      trust,
      ip,
      user_agent,
      headers,
      user: rest.user,
      sent_at: rest.sent_at,
      hits: rest.hits,
    })

  it('says the same, whether its sender is known or not, or all of it is parsed', () => {
    const text = fc.string({ unit: 'binary', maxLength: 12 })
    const nasty = fc.oneof(text, fc.constantFrom(',"hits":[', '","hits":[{}]}', ',"sent_at":5', '\\', '"', '{"v":1,'))
    const hit = fc.record({ hit_id: fc.uuid(), url: fc.constant('https://example.com/'), title: nasty })
    const line = fc.record({
      site: nasty,
      ip: nasty,
      user_agent: nasty,
      headers: fc.dictionary(text, nasty),
      user: fc.option(nasty, { nil: undefined }),
      sent_at: fc.option(fc.maxSafeNat(), { nil: undefined }),
      collected_at: fc.nat(),
      config_at: fc.integer({ min: -1 }),
      spooled: fc.option(fc.constant(true as const), { nil: undefined }),
      hits: fc.array(hit, { maxLength: 3 }),
    })
    fc.assert(
      fc.property(line, (fields) => expectSame(spelt(rawLine([], fields as Partial<RawLine>)))),
      { numRuns: 300 },
    )
  })

  const plain = spelt(rawLine([view(1)], { sent_at: NOON }))
  it.each([
    ['another version', plain.replace('"v":1', '"v":2')],
    ['no JSON in the hits', plain.replace(/}]}$/, '}}]}')],
    ['no JSON in the sender', plain.replace('"trust":', 'trust:')],
    ['a field of the line among those of the sender', plain.replace('"trust":', '"v":3,"trust":')],
    ['hits among the fields of the sender', plain.replace('"headers":{', '"headers":{"a":"b","hits":[1]},"x":{')],
    ['hits twice', plain.replace(/}$/, ',"hits":[]}')],
    ['more behind the hits', plain.replace(/}$/, ',"spooled":true}')],
    ['a time with a leading zero', plain.replace(/"sent_at":/, '"sent_at":0')],
    ['a time with a fraction', plain.replace(/("sent_at":\d+)/, '$1.5')],
    ['a time of many digits', plain.replace(/"collected_at":\d+/, '"collected_at":12345678901234567890')],
    ['an agent that is a number', plain.replace(/"user_agent":"[^"]*"/, '"user_agent":5')],
    ['no end', plain.slice(0, -1)],
  ])('says the same with %s', (_what, text) => expectSame(text))

  it('is read anew when the settings of its site change', () => {
    const senders = new Senders()
    const read = (tools: Partial<ReadingTools>): RawHit => {
      const hits: RawHit[] = []
      readRecord(rawRecord(7, NOON, Buffer.from(`${plain}\n`)), { ...READING, senders, ...tools }, hits, [])
      return hits[0]!
    }
    const before = read({})
    expect(read({}).sender).toBe(before.sender)
    const changed = { ...RULES, settings: { ...DEFAULT_SITE_SETTINGS, user_ids: true } }
    const after = read({ rulesOf: () => changed })
    expect(after.sender).not.toBe(before.sender)
    const secret = Buffer.alloc(32, 7)
    expect(read({ rulesOf: () => changed, installationSecret: () => secret }).sender).not.toBe(after.sender)
  })
})

/** A line whose parts may be anything. */
const anything = fc.oneof(fc.anything({ withNullPrototype: false }), fc.string(), fc.double(), fc.constant(hitId(1)))
const strangeHit = fc.record(
  Object.fromEntries(
    [
      'type',
      'hit_id',
      'url',
      'referrer',
      'title',
      'created_at',
      'language',
      'screen_width',
      'pixel_ratio',
      'props',
      'tags',
      'value',
      'page_id',
      'engaged_ms',
      'name',
      'method',
      'interactive',
    ].map((name) => [
      name,
      name === 'hit_id' || name === 'page_id'
        ? fc.oneof(fc.integer({ min: 0, max: 3 }).map(hitId), anything)
        : name === 'type'
          ? fc.constantFrom('page_view', 'event', 'engagement', undefined, 'x')
          : name === 'url'
            ? fc.oneof(fc.webUrl(), anything)
            : anything,
    ]),
  ),
  { requiredKeys: ['hit_id'] },
)
const strangeLine = fc
  .record(
    {
      collected_at: anything,
      spooled: anything,
      site: fc.oneof(fc.string(), anything),
      user_agent: fc.string(),
      headers: anything,
      sent_at: anything,
      hits: fc.oneof(fc.array(strangeHit, { maxLength: 4 }), anything),
    },
    { requiredKeys: ['hits'] },
  )
  .map((fields) => {
    const line = { ...rawLine([]), ...fields }
    try {
      return Buffer.from(`${JSON.stringify(line, (_, value) => (typeof value === 'bigint' ? String(value) : value))}\n`)
    } catch {
      return Buffer.from('{}\n')
    }
  })

describe('the whole pipeline', () => {
  it('never throws and gives one complete row for each hit, whatever the bytes', () => {
    const chunk = fc.oneof(
      { weight: 4, arbitrary: strangeLine },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
    )
    fc.assert(
      fc.property(fc.array(fc.array(chunk, { maxLength: 4 }), { minLength: 1, maxLength: 4 }), (records) => {
        const lab = new Lab()
        const raw = records.map((chunks, i) => rawRecord(i, NOON + i * 60_000, Buffer.concat(chunks)))
        lab.enrich(raw)
        const rows = lab.rows()
        const expected = raw.flatMap((record) => read(record.value).hits.map((hit) => [record.offset, hit.index]))
        expect(rows.map((row) => [row.ko, row.ki])).toEqual(expected)
        for (const row of rows) {
          expect(Object.keys(row)).toEqual(Object.keys(HIT_COLUMNS))
          expect(row.visitor_id === NO_ID).toBe(row.verdict === 'dead')
          expect(row.time).toBeLessThanOrEqual(row.received_at)
        }
      }),
      { numRuns: 300 },
    )
  })
})
