/** The sessionizer against an independent recount, and a restored state against a living one. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { recount } from '@millrace/recount'
import { dateOfDay, NO_ID } from '@millrace/shared'
import { engagement, event, hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { ColdFolder } from '../cold/cold-folder.ts'
import { readAgent } from '../steps/agent.ts'
import { collapse, Lab, MINUTE, NOON, rawRecord, saltOf } from '../testing/lab.ts'

const RUNS = Number(process.env.PROPERTY_RUNS ?? 200)
const AGENTS = ['Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0', 'curl/8.5.0']

/** One request: how long after the one before, from whom, how late, and what. */
const request = fc.record({
  after: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 4 * MINUTE }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 40 * MINUTE }) },
  ),
  visitor: fc.integer({ min: 0, max: 2 }),
  agent: fc.integer({ min: 0, max: 9 }).map((n) => (n === 9 ? 1 : 0)),
  delay: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 14 * MINUTE }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 90 * MINUTE }) },
  ),
  spooled: fc.oneof(
    { weight: 9, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 30 * MINUTE }) },
  ),
  kind: fc.constantFrom('view', 'view', 'view', 'event', 'passive', 'seen'),
  path: fc.constantFrom('/a', '/a', '/b', '/c'),
  query: fc.oneof(
    { weight: 9, arbitrary: fc.constant('') },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '?utm_source=x',
        '?utm_source=y&utm_term=z',
        '?ref=x',
        '?source=&ref=y',
        '?fbclid=a',
        '?utm_content=jane@mail.example',
      ),
    },
  ),
  referrer: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom('', 'https://example.com/a') },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        'https://g.example/1',
        'https://www.g.example/2',
        'https://h.example/',
        'https://www.example.com/',
        'https://l.facebook.com/',
        'https://m.facebook.com/',
        'https://www.google.co.uk/',
        'https://www.google.de/',
        'https://mail.google.com/',
        'android-app://com.google.android.gm/',
        'chrome-extension://abc/',
      ),
    },
  ),
  engaged: fc.integer({ min: 0, max: 20_000 }),
  page: fc.integer({ min: 0, max: 7 }),
  depth: fc.integer({ min: 0, max: 100 }),
  again: fc.integer({ min: 0, max: 11 }),
})
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never

/** Streams begin shortly before midnight, so that days change under them. */
const START = NOON + 11 * 60 * MINUTE

function rawOf(requests: readonly Request[]) {
  let time = START
  return requests.map((r, i) => {
    time += r.after
    // One hit in twelve repeats an earlier hit_id.
    const id = hitId(r.again === 0 && i > 3 ? i - 3 : i)
    const common = { url: `https://example.com${r.path}${r.query}`, referrer: r.referrer, created_at: time - r.delay }
    const hit =
      r.kind === 'view'
        ? { ...pageView(common), hit_id: id }
        : r.kind === 'seen'
          ? {
              ...engagement({
                // Of a page that nobody viewed, or of one of the hits before.
                page_id: hitId(r.page < 5 ? 900 + r.page * 3 + r.visitor : Math.max(0, i - r.page + 4)),
                engaged_ms: r.engaged,
                scroll_percent: r.depth,
                created_at: time - r.delay,
              }),
              hit_id: id,
            }
          : { ...event({ ...common, interactive: r.kind === 'event' }), hit_id: id }
    const line = rawLine([hit as never], {
      sent_at: time,
      collected_at: time - r.spooled,
      ip: `203.0.113.${r.visitor}`,
      user_agent: AGENTS[r.agent]!,
      ...(r.spooled > 0 && { spooled: true as const }),
    })
    return rawRecord(i, time, rawValue([line]))
  })
}

async function* oneBatch<T>(value: T): AsyncIterable<T> {
  yield value
}

const salts = new Map(Array.from({ length: 40 }, (_, i) => 20_760 + i).map((day) => [dateOfDay(day), saltOf(day)]))
const SETTINGS = {
  zone: 'UTC',
  sessionTimeoutMs: 30 * MINUTE,
  epoch: 1,
  salts,
  botReason: (header: string) => readAgent(header).rules[0]?.reason ?? '',
}

/** None, and one that these streams are beyond now and then: three hits in less than six minutes. */
const LIMITS = [
  ['', undefined],
  [', also where visitors are too fast', { hits: 3, perSecond: 1 / 120 }],
] as const

const folderPath = mkdtempSync(join(tmpdir(), 'millrace-aside-'))
afterAll(() => rmSync(folderPath, { recursive: true }))
const folder = new ColdFolder(
  folderPath,
  (error) => {
    throw error
  },
  true,
)

describe.each(LIMITS)('sessions%s', (_limited, floodLimit) => {
  it('equal an independent recount of the raw hits', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 60, size: 'max' }),
        fc.integer({ min: 1, max: 20 }),
        async (requests, batchSize) => {
          const raw = rawOf(requests)
          const lab = new Lab(floodLimit)
          for (let i = 0; i < raw.length; i += batchSize) lab.enrich(raw.slice(i, i + batchSize))
          const hits: unknown[] = []
          const expected = await recount(
            [{ partition: 0, batches: oneBatch(raw) }],
            { ...SETTINGS, floodLimit },
            (hit) => {
              hits.push([
                hit.ko,
                hit.verdict,
                hit.late,
                hit.time,
                hit.receivedAt,
                hit.isBot,
                hit.visitor,
                hit.session > 0,
              ])
            },
          )
          expect(
            lab
              .rows()
              .map((row) => [
                row.ko,
                row.verdict,
                row.late,
                row.time,
                row.received_at,
                row.is_bot,
                row.visitor_id,
                row.session_id !== NO_ID,
              ]),
          ).toEqual(hits)
          const stored = collapse(lab.sessionRows()).map((s) =>
            JSON.stringify([
              s.visitor_id,
              s.is_bot,
              s.day,
              s.start,
              s.end,
              s.page_views,
              s.events,
              s.is_bounce,
              s.engaged_ms,
              s.entry_path,
              s.exit_path,
            ]),
          )
          const counted = expected.sessions.map((s) =>
            JSON.stringify([
              s.visitor,
              s.isBot,
              s.day,
              s.start,
              s.end,
              s.pageViews,
              s.events,
              s.isBounce ? 1 : 0,
              s.engagedMs,
              s.entryPath,
              s.exitPath,
            ]),
          )
          expect(stored.toSorted()).toEqual(counted.toSorted())
        },
      ),
      { numRuns: RUNS },
    )
  })

  /** What may come behind a batch. */
  const then = fc.constantFrom('', 'save', 'restore', 'save and restore', 'save and restore')
  it.each([
    [', with all of it put aside', { sessions: 0, entries: 8 }],
    [', with some of it put aside', { sessions: 2, entries: 30 }],
  ])('are the same after a restore at any point, from a checkpoint or without one%s', (_title, inMemory) => {
    let putAside = 0
    let saved = 0
    fc.assert(
      fc.property(
        fc.array(fc.tuple(request, fc.boolean(), then), { minLength: 2, maxLength: 60, size: 'max' }),
        (steps) => {
          const raw = rawOf(steps.map(([r]) => r))
          const living = new Lab(floodLimit)
          const restored = new Lab(floodLimit, { folder, ...inMemory })
          let batch: typeof raw = []
          for (const [i, [, cut, next]] of steps.entries()) {
            batch.push(raw[i]!)
            if (!cut && i < steps.length - 1) continue
            const expected = living.enrich(batch)
            const actual = restored.enrich(batch)
            expect(actual.hits.equals(expected.hits)).toBe(true)
            expect(actual.sessions.equals(expected.sessions)).toBe(true)
            batch = []
            putAside += restored.state.asideCount
            if (next.includes('save')) restored.save()
            if (next.includes('restore')) restored.restore()
            saved += Number(next.includes('save'))
          }
          restored.close()
        },
      ),
      { numRuns: RUNS },
    )
    expect(putAside).toBeGreaterThan(RUNS)
    expect(saved).toBeGreaterThan(RUNS)
    // What is put aside lives as long as the state, and what checkpoints keep until the next one.
    expect(readdirSync(folderPath)).toEqual(['partition-0'])
  })
})

describe('sessions', () => {
  it('are the same for orders that stay inside of 15 minutes and cross no border', () => {
    const calm = fc.record({
      minute: fc.integer({ min: 0, max: 14 }),
      kind: fc.constantFrom('view', 'event', 'passive'),
      path: fc.constantFrom('/a', '/b'),
    })
    const both = fc
      .uniqueArray(calm, { minLength: 1, maxLength: 12, selector: ({ minute }) => minute })
      .chain((hits) => fc.tuple(fc.constant(hits), fc.shuffledSubarray(hits, { minLength: hits.length })))
    const sessionsOf = (hits: { minute: number; kind: string; path: string }[]) => {
      const lab = new Lab()
      const now = NOON + 15 * MINUTE
      const lines = hits.map(({ minute, kind, path }) => {
        const common = { url: `https://example.com${path}`, created_at: NOON + minute * MINUTE }
        const hit = kind === 'view' ? pageView(common) : event({ ...common, interactive: kind === 'event' })
        return rawLine([{ ...hit, hit_id: hitId(minute) } as never], { sent_at: now })
      })
      lines.forEach((line, i) => void lab.enrich([rawRecord(i, now, rawValue([line]))]))
      return collapse(lab.sessionRows()).map(
        ({ session_id: _, version: __, ko: ___, pages_in_order: ____, ...session }) => session,
      )
    }
    fc.assert(
      fc.property(both, ([hits, shuffled]) => {
        expect(sessionsOf(shuffled)).toEqual(sessionsOf(hits))
      }),
    )
  })
})
