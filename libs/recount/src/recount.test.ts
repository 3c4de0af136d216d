import { hash } from 'node:crypto'
import type { RawLine, StampedHit } from '@millrace/shared'
import { engagement, event, hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ExpectedHit, type RawRecord, type Recount, type RecountSettings, recount } from './recount.ts'

/** Noon of 2026-11-21, UTC. */
const NOON = Date.UTC(2026, 10, 21, 12)
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const SETTINGS: RecountSettings = { zone: 'UTC', sessionTimeoutMs: 30 * MINUTE, epoch: 0 }

/** A hit that reaches the log `at` ms after noon, `delay` ms after it happened. */
interface Sent {
  at: number
  delay?: number
  hit: object
  line?: Partial<RawLine>
}

let ids = 0
const stamped = (hit: object): StampedHit => ({ hit_id: hitId(++ids), ...hit }) as StampedHit

function record(offset: number, { at, delay, hit, line }: Sent): RawRecord {
  const clocks = delay === undefined ? {} : { created_at: NOON, sent_at: NOON + delay }
  const { sent_at, ...created } = clocks as { created_at?: number; sent_at?: number }
  const sent = sent_at === undefined ? {} : { sent_at }
  return {
    offset,
    timestamp: NOON + at,
    value: rawValue([rawLine([stamped({ ...hit, ...created })], { ...sent, ...line })]),
  }
}

async function* once(records: readonly RawRecord[]): AsyncIterable<readonly RawRecord[]> {
  yield records
}

async function recountOf(
  sent: readonly Sent[],
  settings: Partial<RecountSettings> = {},
): Promise<Recount & { hits: ExpectedHit[] }> {
  const hits: ExpectedHit[] = []
  const batches = once(sent.map((one, offset) => record(offset, one)))
  const totals = await recount([{ partition: 0, batches }], { ...SETTINGS, ...settings }, (hit) => void hits.push(hit))
  return { ...totals, hits }
}

const view = (path: string, fields: object = {}) => pageView({ url: `https://example.com${path}`, ...fields })
/** Sessions as short texts, in order of their start: page views, events, minutes of start and end, bounce. */
const shape = ({ sessions }: Recount): string[] =>
  sessions
    .toSorted((a, b) => a.start - b.start || a.end - b.end || a.number - b.number)
    .map(
      ({ pageViews, events, start, end, isBounce, entryPath, exitPath }) =>
        `${pageViews}v ${events}e ${(start - NOON) / MINUTE}-${(end - NOON) / MINUTE} ${entryPath}>${exitPath}${isBounce ? ' bounce' : ''}`,
    )

describe('sessions', () => {
  const page = hitId(900_001)
  const cases: [title: string, sent: Sent[], sessions: string[]][] = [
    ['one page view is a bounce', [{ at: 0, hit: view('/') }], ['1v 0e 0-0 />/ bounce']],
    [
      'a reload is counted as a view and stays a bounce',
      [
        { at: 0, hit: view('/a?x=1') },
        { at: MINUTE, hit: view('/a?x=2') },
      ],
      ['2v 0e 0-1 /a>/a bounce'],
    ],
    [
      'a second page is no bounce',
      [
        { at: 0, hit: view('/a') },
        { at: MINUTE, hit: view('/b') },
      ],
      ['2v 0e 0-1 /a>/b'],
    ],
    [
      'the same path of another host is a second page',
      [
        { at: 0, hit: view('/a') },
        { at: MINUTE, hit: pageView({ url: 'https://shop.example.com/a' }) },
      ],
      ['2v 0e 0-1 /a>/a'],
    ],
    [
      'a hit exactly at the timeout joins',
      [
        { at: 0, hit: view('/a') },
        { at: 30 * MINUTE, hit: view('/b') },
      ],
      ['2v 0e 0-30 /a>/b'],
    ],
    [
      'a hit after the timeout starts another one',
      [
        { at: 0, hit: view('/a') },
        { at: 30 * MINUTE + 1, hit: view('/b') },
      ],
      ['1v 0e 0-0 /a>/a bounce', `1v 0e ${30 + 1 / MINUTE}-${30 + 1 / MINUTE} /b>/b bounce`],
    ],
    [
      'an event is no bounce',
      [
        { at: 0, hit: view('/a') },
        { at: MINUTE, hit: event() },
      ],
      ['1v 1e 0-1 /a>/a'],
    ],
    [
      'an event that is not interactive leaves a bounce',
      [
        { at: 0, hit: view('/a') },
        { at: MINUTE, hit: event({ interactive: false }) },
      ],
      ['1v 1e 0-1 /a>/a bounce'],
    ],
    ['a session of events alone is no bounce and has no entry', [{ at: 0, hit: event() }], ['0v 1e 0-0 >']],
    ['an engagement signal alone opens nothing', [{ at: 0, hit: engagement({ page_id: page }) }], []],
    [
      'engagement below 10 s leaves a bounce and extends the end',
      [
        { at: 0, hit: view('/a') },
        { at: MINUTE, hit: engagement({ page_id: page, engaged_ms: 9_999 }) },
      ],
      ['1v 0e 0-1 /a>/a bounce'],
    ],
    [
      'engagement of 10 s ends a bounce',
      [
        { at: 0, hit: view('/a') },
        { at: MINUTE, hit: engagement({ page_id: page, engaged_ms: 10_000 }) },
      ],
      ['1v 0e 0-1 /a>/a'],
    ],
    [
      'engagement before the start does not move it',
      [
        { at: 10 * MINUTE, hit: view('/a') },
        { at: 11 * MINUTE, delay: 9 * MINUTE, hit: engagement({ page_id: page }) },
      ],
      ['1v 0e 10-10 /a>/a bounce'],
    ],
    [
      'an engagement signal keeps a session open',
      [
        { at: 0, hit: view('/a') },
        { at: 20 * MINUTE, hit: engagement({ page_id: page }) },
        { at: 45 * MINUTE, hit: view('/b') },
      ],
      ['2v 0e 0-45 /a>/b'],
    ],
    [
      'a hit that comes late moves start and entry',
      [
        { at: 10 * MINUTE, hit: view('/b') },
        { at: 12 * MINUTE, delay: 11 * MINUTE, hit: view('/a') },
      ],
      ['2v 0e 1-10 /a>/b'],
    ],
    [
      'a hit exactly 15 min behind the stream still joins',
      [
        { at: 20 * MINUTE, hit: view('/b') },
        { at: 20 * MINUTE, delay: 15 * MINUTE, hit: view('/a') },
      ],
      ['2v 0e 5-20 /a>/b'],
    ],
    [
      'a hit further behind is in no session',
      [
        { at: 20 * MINUTE, hit: view('/b') },
        { at: 20 * MINUTE, delay: 15 * MINUTE + 1, hit: view('/a') },
      ],
      ['1v 0e 20-20 /b>/b bounce'],
    ],
    [
      'of two views at one time the first of the log is the entry, the last the exit',
      [
        { at: 0, hit: view('/a') },
        { at: 0, hit: view('/b') },
      ],
      ['2v 0e 0-0 /a>/b'],
    ],
    [
      'another referrer host starts another one',
      [
        { at: 0, hit: view('/a', { referrer: 'https://news.example/1' }) },
        { at: MINUTE, hit: view('/b', { referrer: 'https://search.example/' }) },
      ],
      ['1v 0e 0-0 /a>/a bounce', '1v 0e 1-1 /b>/b bounce'],
    ],
    [
      'another page of the same referrer, none and an internal one do not',
      [
        { at: 0, hit: view('/a', { referrer: 'https://news.example/1' }) },
        { at: MINUTE, hit: view('/b', { referrer: 'https://news.example/2' }) },
        { at: 2 * MINUTE, hit: view('/c') },
        { at: 3 * MINUTE, hit: view('/d', { referrer: 'https://example.com/c' }) },
      ],
      ['4v 0e 0-3 /a>/d'],
    ],
    [
      'a referrer in the middle of a direct visit starts another one',
      [
        { at: 0, hit: view('/a') },
        { at: MINUTE, hit: view('/b', { referrer: 'https://news.example/' }) },
      ],
      ['1v 0e 0-0 /a>/a bounce', '1v 0e 1-1 /b>/b bounce'],
    ],
    [
      'another UTM value starts another one, an empty one does not',
      [
        { at: 0, hit: view('/a?utm_source=x&utm_term=t') },
        { at: MINUTE, hit: view('/b?utm_source=x') },
        { at: 2 * MINUTE, hit: view('/c?utm_source=y') },
      ],
      ['2v 0e 0-1 /a>/b', '1v 0e 2-2 /c>/c bounce'],
    ],
    [
      'a hit goes to the nearest session that fits',
      [
        { at: 0, hit: view('/a?utm_source=x') },
        { at: 10 * MINUTE, hit: view('/b?utm_source=y') },
        { at: 11 * MINUTE, delay: 10 * MINUTE, hit: view('/c') },
        { at: 12 * MINUTE, hit: view('/d') },
      ],
      ['2v 0e 0-1 /a>/c', '2v 0e 10-12 /b>/d'],
    ],
    [
      'of two that hold it, a hit goes to the one that began later',
      [
        { at: 0, hit: view('/a?utm_source=x') },
        { at: MINUTE, hit: view('/b?utm_source=y') },
        { at: 5 * MINUTE, hit: view('/c?utm_source=x') },
        { at: 6 * MINUTE, hit: view('/d?utm_source=y') },
        { at: 7 * MINUTE, delay: 4 * MINUTE, hit: view('/e') },
      ],
      ['2v 0e 0-5 /a>/c', '3v 0e 1-6 /b>/d'],
    ],
    [
      'a clock that runs backwards counts as no delay',
      [{ at: 0, delay: -5 * MINUTE, hit: view('/a') }],
      ['1v 0e 0-0 /a>/a bounce'],
    ],
    [
      'a spooled line counts from when it was collected',
      [{ at: 10 * MINUTE, line: { spooled: true, collected_at: NOON }, hit: view('/a') }],
      ['1v 0e 0-0 /a>/a bounce'],
    ],
    [
      'a collector whose clock is ahead cannot push the stream',
      [{ at: 0, line: { spooled: true, collected_at: NOON + HOUR }, hit: view('/a') }],
      ['1v 0e 0-0 /a>/a bounce'],
    ],
    [
      'another site, address or agent is another session',
      [
        { at: 0, hit: view('/a') },
        { at: 0, hit: view('/a'), line: { ip: '203.0.113.10' } },
        { at: 0, hit: view('/a'), line: { site: 'shop' } },
        {
          at: 0,
          hit: view('/a'),
          line: { user_agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' },
        },
      ],
      Array(4).fill('1v 0e 0-0 /a>/a bounce'),
    ],
  ]
  test.each(cases)('%s', async (_title, sent, sessions) => {
    expect(shape(await recountOf(sent))).toEqual(sessions)
  })

  test('24 h is the cap: the hit beyond it starts another session', async () => {
    const sent = Array.from({ length: 50 }, (_, i) => ({ at: i * 30 * MINUTE, hit: view('/a') }))
    expect(shape(await recountOf(sent))).toEqual(['49v 0e 0-1440 /a>/a bounce', '1v 0e 1470-1470 /a>/a bounce'])
  })

  test('the arrival is that of the earliest hit: one that comes late and is direct makes a campaign a new arrival', async () => {
    const { sessions } = await recountOf([
      { at: 5 * MINUTE, hit: view('/b?utm_source=x') },
      { at: 6 * MINUTE, delay: 5 * MINUTE, hit: view('/a') },
      { at: 7 * MINUTE, hit: view('/c?utm_source=x') },
    ])
    expect(sessions.map(({ pageViews }) => pageViews).sort()).toEqual([1, 2])
  })

  test('engaged_ms adds the largest total of each page', async () => {
    const [a, b] = [hitId(900_002), hitId(900_003)]
    const { sessions } = await recountOf([
      { at: 0, hit: view('/a') },
      ...[3_000, 8_000, 5_000].map((engaged_ms) => ({ at: 1, hit: engagement({ page_id: a, engaged_ms }) })),
      { at: 2, hit: engagement({ page_id: b, engaged_ms: 1_500 }) },
    ])
    expect(sessions.map(({ engagedMs, isBounce }) => [engagedMs, isBounce])).toEqual([[9_500, true]])
  })

  test('a page that goes on in another session counts there what it gained', async () => {
    const page = hitId(900_005)
    const { sessions } = await recountOf([
      { at: 0, hit: view('/a') },
      { at: 1, hit: engagement({ page_id: page, engaged_ms: 5_000 }) },
      { at: 40 * MINUTE, hit: view('/b') },
      { at: 40 * MINUTE + 1, hit: engagement({ page_id: page, engaged_ms: 6_500 }) },
    ])
    expect(sessions.map(({ engagedMs }) => engagedMs).sort()).toEqual([1_500, 5_000])
  })

  test('a signal that is in no session counts for nothing, then or later', async () => {
    const page = hitId(900_006)
    const { sessions } = await recountOf([
      { at: 0, hit: engagement({ page_id: page, engaged_ms: 5_000 }) },
      { at: 1, hit: view('/a') },
      { at: 2, hit: engagement({ page_id: page, engaged_ms: 6_000 }) },
    ])
    expect(sessions.map(({ engagedMs }) => engagedMs)).toEqual([6_000])
  })

  test('a page silent for longer than an hour and a quarter counts its total anew', async () => {
    const silence = (minutes: number) =>
      [
        ...[0, 25, 50, 75].map((at) => ({ at: at * MINUTE, hit: view('/a') })),
        { at: 1, hit: engagement({ page_id: hitId(900_004), engaged_ms: 5_000 }) },
        { at: minutes * MINUTE + 1, hit: engagement({ page_id: hitId(900_004), engaged_ms: 6_000 }) },
      ].sort((x, y) => x.at - y.at)
    expect((await recountOf(silence(75))).sessions[0]!.engagedMs).toBe(6_000)
    expect((await recountOf(silence(76))).sessions[0]!.engagedMs).toBe(11_000)
  })

  test('a larger total is forgotten after an hour and a quarter, however often smaller ones were told since', async () => {
    const page_id = hitId(900_007)
    const told = (minutes: number, engaged_ms: number): Sent => ({
      at: minutes * MINUTE,
      hit: engagement({ page_id, engaged_ms }),
    })
    const views = [0, 20, 40, 60, 80].map((minutes) => ({ at: minutes * MINUTE, hit: view('/a') }))
    const engagedBy = async (last: number): Promise<number> => {
      const sent = [...views, told(1, 9_000), told(60, 1_500), told(last, 3_000)].sort((x, y) => x.at - y.at)
      return (await recountOf(sent)).sessions[0]!.engagedMs
    }
    expect(await engagedBy(76)).toBe(9_000)
    expect(await engagedBy(77)).toBe(10_500)
  })

  test('bots and people have sessions and totals of their own', async () => {
    const totals = await recountOf([
      { at: 0, hit: view('/a') },
      { at: 0, hit: view('/a'), line: { user_agent: 'SomeBot/1.0' } },
    ])
    expect([...totals.dailyHits.keys()]).toEqual(['blog\t2026-11-21\t0', 'blog\t2026-11-21\t1'])
    expect(totals.sessions.map(({ isBot }) => isBot).sort()).toEqual([false, true])
  })
})

describe('verdicts', () => {
  const id = hitId(800_000)
  const verdicts = async (sent: Sent[]) =>
    (await recountOf(sent)).hits.map(({ verdict, late }) => (late ? 'late' : verdict))

  test('the same hit_id within an hour of stream time is a duplicate, and changes nothing', async () => {
    const sent = [0, HOUR, HOUR + 1].map((at) => ({ at, hit: view('/a', { hit_id: id }) }))
    expect(await verdicts(sent)).toEqual(['keep', 'duplicate', 'keep'])
    expect(shape(await recountOf(sent.slice(0, 2)))).toEqual(['1v 0e 0-0 /a>/a bounce'])
  })

  test('case of a hit_id does not matter', async () => {
    const sent = [id, id.toUpperCase()].map((hit_id) => ({ at: 0, hit: view('/a', { hit_id }) }))
    expect(await verdicts(sent)).toEqual(['keep', 'duplicate'])
  })

  test('the same hit_id of another address is kept', async () => {
    const hit = view('/a', { hit_id: id })
    expect(
      await verdicts([
        { at: 0, hit },
        { at: 0, hit, line: { ip: '203.0.113.77' } },
      ]),
    ).toEqual(['keep', 'keep'])
  })

  test('a late hit is kept, marked, and counted on its own day', async () => {
    const totals = await recountOf([{ at: 0, delay: 13 * HOUR, hit: view('/a') }])
    expect(totals.hits[0]).toMatchObject({ verdict: 'keep', late: true, session: 0, time: NOON - 13 * HOUR })
    expect([...totals.dailyPages]).toEqual([['blog\t2026-11-20\t0\texample.com\t/a', 1]])
    expect(totals.sessions).toEqual([])
  })

  test('a delay is clamped to 24 h', async () => {
    const { hits } = await recountOf([{ at: 0, delay: 500 * HOUR, hit: view('/a') }])
    expect(hits[0]!.time).toBe(NOON - 24 * HOUR)
  })

  test('what cannot be read is one dead hit, and its neighbours count', async () => {
    const good = JSON.stringify(rawLine([stamped(view('/a')), stamped({ ...view('/b'), url: 'ftp://x/' })]))
    const value = Buffer.from(`{"v":1,\n${JSON.stringify({ v: 9 })}\n${good}\n`)
    const hits: ExpectedHit[] = []
    const batches = once([{ offset: 7, timestamp: NOON, value }])
    const totals = await recount([{ partition: 2, batches }], { ...SETTINGS, epoch: 1 }, (hit) => void hits.push(hit))
    expect(hits.map(({ kp, ko, ki, reason }) => [kp, ko, ki, reason])).toEqual([
      [4098, 7, 0, 'line_unreadable'],
      [4098, 7, 1, 'line_version_unknown'],
      [4098, 7, 2, ''],
      [4098, 7, 3, 'url_invalid'],
    ])
    expect(totals.verdicts).toEqual({ keep: 1, duplicate: 0, dead: 3 })
  })

  test.each([
    [65_535, 'lines', 65_535],
    [65_536, 'lines', 1],
    [65_536, 'hits of a line', 1],
  ])('%i %s of a record are %i', async (count, what, expected) => {
    const value =
      what === 'lines'
        ? Buffer.from('{}\n'.repeat(count))
        : Buffer.from(JSON.stringify({ ...rawLine([]), hits: Array(count).fill(0) }))
    const found: ExpectedHit[] = []
    const batches = once([{ offset: 0, timestamp: NOON, value }])
    await recount([{ partition: 0, batches }], SETTINGS, (hit) => void found.push(hit))
    expect(found).toHaveLength(expected)
    const reason = expected === 1 ? 'line_unreadable' : 'line_version_unknown'
    expect(found.at(-1)).toMatchObject({ ki: expected - 1, verdict: 'dead', reason })
  })
})

describe('visitors', () => {
  const visitors = (totals: Recount) =>
    [...totals.dailyHits].map(([key, { visitors: names }]) => [key.split('\t')[1], names.size])

  test('one who comes on two days counts on each', async () => {
    const totals = await recountOf([
      { at: 0, hit: view('/') },
      { at: 24 * HOUR, hit: view('/') },
    ])
    expect(visitors(totals)).toEqual([
      ['2026-11-21', 1],
      ['2026-11-22', 1],
    ])
    expect(new Set(totals.hits.map(({ visitor }) => visitor)).size).toBe(2)
  })

  test('a visit over midnight keeps the visitor that it began with', async () => {
    const totals = await recountOf([
      { at: 12 * HOUR - 1, hit: view('/') },
      { at: 12 * HOUR, hit: view('/b') },
    ])
    expect(new Set(totals.hits.map(({ visitor }) => visitor)).size).toBe(1)
    expect(totals.hits.map(({ day }) => day)).toEqual([20_778, 20_779])
    expect(totals.sessions.map(({ day }) => day)).toEqual([20_778])
  })

  test('days are those of the zone', async () => {
    const sent = [
      { at: 10.5 * HOUR, hit: view('/') },
      { at: 11.5 * HOUR, hit: view('/b') },
    ]
    const totals = await recountOf(sent, { zone: 'Europe/Vienna' })
    expect(visitors(totals)).toEqual([
      ['2026-11-21', 1],
      ['2026-11-22', 1],
    ])
  })

  test('an engagement signal makes no visitor', async () => {
    expect(visitors(await recountOf([{ at: 0, hit: engagement({ page_id: hitId(1) }) }]))).toEqual([])
  })

  test('with the salt of the day the name is its documented hash', async () => {
    const salt = Buffer.alloc(32, 7)
    const { hits } = await recountOf([{ at: 0, hit: view('/'), line: { user_agent: 'A' } }], {
      salts: new Map([['2026-11-21', salt]]),
    })
    const input = Buffer.concat([salt, Buffer.from('\0blog\x00203.0.113.9\0A')])
    expect(hits[0]!.visitor).toBe(hash('sha256', input, 'hex').slice(0, 16))
  })
})

describe('floods', () => {
  const floodLimit = { hits: 3, perSecond: 1 }
  const signal = { hit: engagement({ page_id: hitId(1) }) }
  const cases: [title: string, sent: Sent[], areBots: boolean[]][] = [
    [
      'the hit behind so many is one, engagement aside',
      [{ at: 0, hit: view('/') }, { at: 0, ...signal }, ...[0, 0, 0].map((at) => ({ at, hit: view('/') }))],
      [false, false, false, false, true],
    ],
    ['events count as page views do', [0, 0, 0, 0].map((at) => ({ at, hit: event() })), [false, false, false, true]],
    [
      'no more than so many a second is none',
      [0, 1_000, 3_000, 3_000].map((at) => ({ at, hit: view('/') })),
      [false, false, false, false],
    ],
    [
      'one more than so many a second is one',
      [0, 1_000, 2_999, 3_000].map((at) => ({ at, hit: view('/') })),
      [false, false, false, true],
    ],
    [
      'a network that is not the internet sends none',
      [0, 0, 0, 0].map((at) => ({ at, hit: view('/'), line: { ip: '192.168.1.1' } })),
      [false, false, false, false],
    ],
  ]
  test.each(cases)('%s', async (_, sent, areBots) => {
    const { hits } = await recountOf(sent, { floodLimit })
    expect(hits.map(({ isBot }) => isBot)).toEqual(areBots)
  })
})

describe('laws', () => {
  const arbitrary = fc.array(
    fc.record({
      gap: fc.integer({ min: 0, max: 20 * MINUTE }),
      delay: fc.constantFrom(undefined, 0, MINUTE, 14 * MINUTE, 20 * MINUTE),
      kind: fc.constantFrom('view', 'event', 'engagement'),
      path: fc.constantFrom('/a', '/b', '/c?utm_source=x', '/d?utm_source=y'),
      id: fc.integer({ min: 1, max: 60 }),
    }),
    { maxLength: 60 },
  )

  test('every raw hit has one verdict, every session its hits, and every total is the sum of its parts', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (steps) => {
        let at = 0
        const sent = steps.map(({ gap, delay, kind, path, id }): Sent => {
          at += gap
          const hit = kind === 'view' ? view(path) : kind === 'event' ? event() : engagement({ page_id: hitId(id) })
          return { at, ...(delay !== undefined && { delay }), hit: { ...hit, hit_id: hitId(id) } }
        })
        const totals = await recountOf(sent)
        const { keep, duplicate, dead } = totals.verdicts
        expect(keep + duplicate + dead).toBe(sent.length)
        const inSessions = totals.hits.filter(({ session }) => session > 0)
        const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)
        expect(sum(totals.sessions.map(({ pageViews, events }) => pageViews + events))).toBe(
          inSessions.filter(({ type }) => type !== 'engagement').length,
        )
        expect(sum([...totals.dailySessions.values()].map(({ sessions }) => sessions))).toBe(totals.sessions.length)
        for (const { start, end } of totals.sessions) expect(end - start).toBeLessThanOrEqual(24 * HOUR)
      }),
      { numRuns: 100 },
    )
  })

  test('a visit that had begun before the first record is not certain, however long it goes on', async () => {
    const ends = [0, 1, 2, 3, 4, 5].map((n) => ({
      at: n * 20 * MINUTE,
      hit: view(n % 5 === 0 ? '/c?utm_source=x' : '/a'),
    }))
    const later = { at: 400 * MINUTE, hit: view('/a') }
    const whole = await recountOf([...ends, later])
    expect(whole.sessions.map(({ pageViews }) => pageViews).sort()).toEqual([1, 6])
    const cut = await recountOf([...ends, later].slice(1), { isCut: true })
    expect(cut.sessions).toHaveLength(3) // of what x was, nothing is known any more
    expect(cut.hits.map(({ isCertain }) => isCertain)).toEqual([false, false, false, false, false, true])
  })

  test('a recount that begins in the middle is right wherever it is certain', async () => {
    let certain = 0
    const steps = fc.array(
      fc.record({
        gap: fc.oneof(
          { weight: 12, arbitrary: fc.integer({ min: 0, max: 16 * MINUTE }) },
          { weight: 1, arbitrary: fc.integer({ min: 0, max: 200 * MINUTE }) },
        ),
        delay: fc.constantFrom(undefined, undefined, 0, 14 * MINUTE, 20 * MINUTE),
        kind: fc.constantFrom('view', 'event', 'engagement'),
        path: fc.constantFrom('/a', '/a', '/b', '/c?utm_source=x'),
        id: fc.integer({ min: 1, max: 60 }),
        page: fc.integer({ min: 1, max: 3 }),
        engaged: fc.integer({ min: 0, max: 20_000 }),
        sender: fc.integer({ min: 1, max: 2 }),
      }),
      { minLength: 30, maxLength: 90 },
    )
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(20), async (made, from) => {
        let at = 0
        const records = made.map(({ gap, delay, kind, path, id, page, engaged, sender }, offset) => {
          at += gap
          const signal = engagement({ page_id: hitId(page), engaged_ms: engaged })
          const hit = kind === 'view' ? view(path) : kind === 'event' ? event() : signal
          const line = { ip: `203.0.113.${sender}` }
          return record(offset, { at, line, ...(delay !== undefined && { delay }), hit: { ...hit, hit_id: hitId(id) } })
        })
        const run = async (part: readonly RawRecord[], isCut: boolean) => {
          const hits = new Map<number, ExpectedHit>()
          const settings = { ...SETTINGS, isCut }
          const totals = await recount([{ partition: 0, batches: once(part) }], settings, (hit) => {
            hits.set(hit.ko, hit)
          })
          return { hits, sessions: new Map(totals.sessions.map((session) => [session.number, session])) }
        }
        const whole = await run(records, false)
        const cut = await run(records.slice(from), true)
        const facts = (session: object | undefined) => ({ ...session, number: 0, visitor: '', isCertain: true })
        for (const [offset, hit] of cut.hits) {
          if (!hit.isCertain) continue
          certain += 1
          const known = whole.hits.get(offset)!
          expect([hit.verdict, hit.late, hit.session > 0]).toEqual([known.verdict, known.late, known.session > 0])
          if (hit.session > 0)
            expect(facts(cut.sessions.get(hit.session))).toEqual(facts(whole.sessions.get(known.session)))
        }
      }),
      { numRuns: 100 },
    )
    expect(certain).toBeGreaterThan(100)
  })
})
