import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hash64, Uuid } from '@millrace/shared'
import { hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { ColdFolder } from '../cold/cold-folder.ts'
import { NO_ARRIVAL } from '../steps/arrival.ts'
import { Lab, MINUTE, NOON, rawRecord } from '../testing/lab.ts'
import { ColdSessions } from './cold-sessions.ts'
import { Session, type SessionKind } from './session.ts'

const path = mkdtempSync(join(tmpdir(), 'millrace-aside-'))
afterAll(() => rmSync(path, { recursive: true }))
const fail = (error: unknown): never => {
  throw error
}
const folder = new ColdFolder(join(path, 'aside'), fail)

const visitorId = new Hash64(7, 8)

function sessionOf(id: number, changes: Partial<Session> = {}): Session {
  const session = new Session({ site: 'shop', visitorId, sessionId: new Hash64(id, id), fromDay: 5, toDay: 5 }, NOON)
  session.start = NOON
  session.end = NOON + MINUTE
  return Object.assign(session, { opened: id, ...changes })
}

/** Everything that a session is, as values. */
const contentsOf = (session: Session) => {
  const { start, end, entryAt, exitAt, exitSignalAt, ...rest } = session
  const left = Array.from(session.leftPages(), (page) => [
    page.toString(),
    page.path,
    session.viewedAt(page),
    page.depth,
  ])
  return { ...rest, start, end, entryAt, exitAt, exitSignalAt, left }
}

/** Ids of the sessions that a hit may fit into. */
function fitting(
  cold: ColdSessions,
  time: number,
  arrival: Session['arrival'] | null = NO_ARRIVAL,
  more: { kind?: SessionKind; within?: number } = {},
): number[] {
  const sought = {
    visitorId,
    kind: 'person' as const,
    time,
    timeoutMs: 30 * MINUTE,
    within: Number.POSITIVE_INFINITY,
    arrival,
  }
  return Array.from(cold.thatMayFit({ ...sought, ...more }), ({ session }) => session.sessionId.low)
}

describe('sessions put aside', () => {
  it('come back as they were', () => {
    const cold = new ColdSessions(folder)
    const plain = sessionOf(1)
    const full = sessionOf(2, {
      ...{ opened: 9, isBot: true, botReason: 'scanner', engaging: true, offset: 2 ** 40, version: 3, day: 5 },
      ...{ pageViews: 7, events: 2, engagedMs: 4_294_967_295, exitDepth: 80, hostname: 'shop.example' },
      ...{ entryPath: '/é"\\\u2028', exitPath: `/${'x'.repeat(3_000)}`, exitTitle: '😀 \ud800', entryAt: NOON },
      ...{ exitAt: NOON + 2, exitSignalAt: NOON + 3 },
      arrival: { ...NO_ARRIVAL, channel: 'Email', utmMedium: 'email' },
      place: { country: 'DE', region: 'BY', regionName: 'Bavaria', city: 'München' },
      screen: { width: 390, height: 844, class: 'md', pixelRatio: Math.fround(2.625), orientation: 'portrait' },
    })
    full.exitPageId.copy(Uuid.of(hitId(77)))
    for (let i = 0; i < 6; i++) full.remember(Uuid.of(hitId(i)), `/page${i}`, NOON + i, i * 10)
    const disordered = sessionOf(3)
    disordered.disorderPages()
    const sessions = [plain, full, disordered]
    expect(cold.add(sessions)).toBe(true)
    for (const session of sessions) {
      const found = cold.named(visitorId, session.sessionId)!
      expect(contentsOf(found.session)).toEqual(contentsOf(session))
    }
    expect(contentsOf(cold.named(visitorId, full.sessionId)!.session).left.map(([, at]) => at)).toEqual([
      '/page2',
      '/page3',
      '/page4',
      '/page5',
    ])
    expect(cold.named(visitorId, new Hash64(2, 3))).toBeNull()
    expect(cold.named(new Hash64(6, 8), plain.sessionId)).toBeNull()
    cold.close()
  })

  it('are found where a hit may fit, the nearest first: by time, kind, source and campaign', () => {
    const cold = new ColdSessions(folder)
    const google = { ...NO_ARRIVAL, source: 'Google' }
    const tagged = { ...NO_ARRIVAL, utmSource: 'news', utmTerm: 'a' }
    cold.add([
      sessionOf(1),
      sessionOf(2, { arrival: google }),
      sessionOf(3, { arrival: tagged }),
      sessionOf(4, { start: NOON + 40 * MINUTE, end: NOON + 41 * MINUTE }),
      sessionOf(5, { isBot: true, botReason: 'scanner' }),
      sessionOf(6, { isBot: true, botReason: 'request_rate' }),
    ])
    // Equally near ones: the one opened last comes first.
    expect(fitting(cold, NOON)).toEqual([3, 2, 1])
    expect(fitting(cold, NOON - 30 * MINUTE)).toEqual([3, 2, 1])
    expect(fitting(cold, NOON - 30 * MINUTE - 1)).toEqual([])
    expect(fitting(cold, NOON + 31 * MINUTE)).toEqual([4, 3, 2, 1])
    expect(fitting(cold, NOON + 31 * MINUTE, NO_ARRIVAL, { within: 9 * MINUTE })).toEqual([4])
    expect(fitting(cold, NOON + 31 * MINUTE + 1)).toEqual([4])
    expect(fitting(cold, NOON, NO_ARRIVAL, { kind: 'bot' })).toEqual([5])
    expect(fitting(cold, NOON, NO_ARRIVAL, { kind: 'flood' })).toEqual([6])
    expect(fitting(cold, NOON, google)).toEqual([2])
    expect(fitting(cold, NOON, { ...NO_ARRIVAL, utmTerm: 'a' })).toEqual([3])
    expect(fitting(cold, NOON, { ...tagged, utmCampaign: 'spring' })).toEqual([])
    expect(fitting(cold, NOON, null)).toEqual([3, 2, 1])
    cold.take(cold.named(visitorId, new Hash64(2, 2))!)
    expect(fitting(cold, NOON)).toEqual([3, 1])
    expect(cold.count).toBe(5)
    cold.close()
  })

  it('are told apart by visitor, more of them than a segment holds, and forgotten with their file', () => {
    const open = (): number => readdirSync('/proc/self/fd').length
    const before = open()
    const cold = new ColdSessions(folder)
    const ids = Array.from({ length: 70_000 }, (_, i) => new Hash64(i % 3, i >>> 1))
    for (let i = 0; i < ids.length; i += 1_000) {
      cold.add(
        ids.slice(i, i + 1_000).map((id) => {
          const session = new Session({ site: 'shop', visitorId: id, sessionId: id, fromDay: 5, toDay: 5 }, NOON + i)
          session.end = NOON + i
          return session
        }),
      )
    }
    expect(open()).toBe(before + 2)
    expect(cold.count).toBe(70_000)
    for (const id of ids.filter((_, i) => i % 997 === 0)) expect(cold.named(id, id)!.session.visitorId).toEqual(id)
    expect(cold.named(new Hash64(3, 1), new Hash64(3, 1))).toBeNull()
    expect(cold.lastEnd).toBe(NOON + 69_000)
    cold.forget(NOON + 69_000)
    expect(open()).toBe(before + 1)
    cold.forget(NOON + 69_001)
    expect([open(), cold.count, cold.lastEnd]).toEqual([before, 0, Number.NEGATIVE_INFINITY])
    expect(readdirSync(join(path, 'aside'))).toEqual([])
  })

  it('stay in memory where the disk does not take them, and count as ever', () => {
    writeFileSync(join(path, 'file'), '')
    let failures = 0
    const nowhere = new ColdFolder(join(path, 'file', 'aside'), () => failures++)
    const [usual, full] = [new Lab(), new Lab(undefined, { folder: nowhere, sessions: 0, entries: 8 })]
    for (let minute = 0; minute < 90; minute++) {
      const time = NOON + minute * MINUTE
      const hit = { ...pageView({ created_at: time }), hit_id: hitId(minute) }
      const line = rawLine([hit as never], { sent_at: time, ip: `203.0.113.${minute % 9}` })
      const raw = [rawRecord(minute, time, rawValue([line]))]
      expect(full.enrich(raw).sessions.equals(usual.enrich(raw).sessions)).toBe(true)
    }
    expect(full.state.asideCount).toBe(0)
    expect(full.state.sessionCount).toBe(usual.state.sessionCount)
    // It is not tried again with every batch.
    expect(failures).toBe(1)
  })
})
