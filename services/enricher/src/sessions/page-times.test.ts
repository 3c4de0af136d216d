/** How long and how far pages were seen, added up from what rows say, against what the hits of each session say. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HitRow, SESSION_COLUMNS, type SessionRow } from '@millrace/shared'
import { engagement, event, hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { ColdFolder } from '../cold/cold-folder.ts'
import { collapse, Lab, MINUTE, NOON, rawRecord } from '../testing/lab.ts'

const RUNS = Number(process.env.PROPERTY_RUNS ?? 300)
const NEVER_VIEWED = 500
const folderPath = mkdtempSync(join(tmpdir(), 'millrace-aside-'))
afterAll(() => rmSync(folderPath, { recursive: true }))
const folder = new ColdFolder(folderPath, (error) => {
  throw error
})

/** One request of one visitor: how long after the one before, how late, and what; signals are of the page view `back` before the last. */
const request = fc.record({
  after: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 3 * MINUTE }) },
    { weight: 1, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.integer({ min: 10 * MINUTE, max: 29 * MINUTE }) },
    { weight: 1, arbitrary: fc.integer({ min: 30 * MINUTE, max: 35 * MINUTE }) },
  ),
  delay: fc.oneof(
    { weight: 19, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 14 * MINUTE }) },
  ),
  kind: fc.constantFrom('view', 'view', 'event', 'seen', 'seen'),
  path: fc.constantFrom('/a', '/a', '/b', '/c'),
  back: fc.oneof(
    { weight: 39, arbitrary: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 7, 8) },
    { weight: 1, arbitrary: fc.constant(NEVER_VIEWED) },
  ),
  engaged: fc.integer({ min: 0, max: 20_000 }),
  depth: fc.integer({ min: 0, max: 100 }),
  utm: fc.oneof({ weight: 12, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constant('?utm_source=x') }),
})
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never

function rawOf(requests: readonly Request[]) {
  let time = NOON
  const views: number[] = []
  return requests.map((r, i) => {
    time += r.after
    if (r.kind === 'view') views.push(i)
    const at = { url: `https://example.com${r.path}${r.utm}`, created_at: time - r.delay }
    const page = hitId(r.back === NEVER_VIEWED ? NEVER_VIEWED : (views.at(-1 - r.back) ?? views[0] ?? NEVER_VIEWED))
    const sent =
      r.kind === 'view'
        ? pageView(at)
        : r.kind === 'event'
          ? event(at)
          : engagement({ page_id: page, engaged_ms: r.engaged, scroll_percent: r.depth, created_at: at.created_at })
    const line = rawLine([{ ...sent, hit_id: hitId(i) } as never], { sent_at: time, ip: '203.0.113.1' })
    return rawRecord(i, time, rawValue([line]))
  })
}

interface Seen {
  ms: number
  timed: number
  depth: number
  measured: number
}
type Pages = Record<string, Seen>

function add(pages: Pages, path: string, ms: number | null, depth: number): void {
  pages[path] ??= { ms: 0, timed: 0, depth: 0, measured: 0 }
  pages[path].ms += ms ?? 0
  pages[path].timed += ms === null ? 0 : 1
  pages[path].depth += depth
  pages[path].measured += depth > 0 ? 1 : 0
}

/** As docs/numbers.md says it: to the next page view, else to the last signal of the page, else not at all. */
function seenByHits(hits: readonly HitRow[]): Pages {
  const pages: Pages = {}
  const views = hits.filter(({ type }) => type === 'page_view').toSorted((a, b) => a.time - b.time || a.ko - b.ko)
  for (const [i, view] of views.entries()) {
    const signals = hits.filter(({ type, page_id }) => type === 'engagement' && page_id === view.hit_id)
    const last = Math.max(...signals.map(({ time }) => time))
    const next = views[i + 1]?.time
    const ms = next !== undefined ? next - view.time : signals.length > 0 ? Math.max(0, last - view.time) : null
    add(pages, view.path, ms, Math.max(0, ...signals.map(({ scroll_percent }) => scroll_percent)))
  }
  return pages
}

/** As reports add it up. A signal that says as much as it was sent is the first that measures its page. */
function seenBySums(session: SessionRow, hits: readonly HitRow[]): Pages {
  const pages: Pages = {}
  for (const { type, previous_path, previous_ms, previous_depth, scroll_percent } of hits) {
    if (previous_path === '') continue
    if (type === 'page_view') add(pages, previous_path, previous_ms, previous_depth)
    else {
      pages[previous_path]!.depth += previous_depth
      pages[previous_path]!.measured += previous_depth === scroll_percent ? 1 : 0
    }
  }
  const { exit_at, exit_signal_at, exit_path, exit_depth } = session
  if (session.page_views > 0)
    add(pages, exit_path, exit_signal_at === 0 ? null : Math.max(0, exit_signal_at - exit_at), exit_depth)
  return pages
}

/** A later signal says which page view it speaks of, to the millisecond. */
function expectDated(hits: readonly HitRow[]): number {
  const told = hits.filter(({ type, previous_path }) => type === 'engagement' && previous_path !== '')
  for (const { page_id, previous_path, previous_ms, time } of told) {
    const view = hits.find(({ hit_id }) => hit_id === page_id)!
    expect([previous_path, time - previous_ms]).toEqual([view.path, view.time])
  }
  return told.length
}

/** What the row of a session and those of its page views have in common. */
const ARRIVAL = Object.keys(SESSION_COLUMNS)
  .slice(
    Object.keys(SESSION_COLUMNS).indexOf('session_referrer'),
    Object.keys(SESSION_COLUMNS).indexOf('orientation') + 1,
  )
  .concat('entry_path', 'is_bot', 'visitor_id') as (keyof SessionRow & keyof HitRow)[]

describe('page times', () => {
  it('are sums where a session says so, which begin and end with one arrival, also after restores', () => {
    let [ordered, others, told] = [0, 0, 0]
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 1, maxLength: 24, size: 'max' }),
        fc.integer({ min: 1, max: 6 }),
        (requests, batchSize) => {
          const raw = rawOf(requests)
          const [lab, restored] = [new Lab(), new Lab(undefined, { folder, sessions: 0, entries: 8 })]
          for (let i = 0; i < raw.length; i += batchSize) {
            const batch = raw.slice(i, i + batchSize)
            const [expected, actual] = [lab.enrich(batch), restored.enrich(batch)]
            expect(actual.hits.equals(expected.hits) && actual.sessions.equals(expected.sessions)).toBe(true)
            restored.restore()
          }
          restored.close()
          for (const session of collapse(lab.sessionRows())) {
            if (!session.pages_in_order) others++
            if (!session.pages_in_order) continue
            ordered++
            const hits = lab.rows().filter(({ session_id }) => session_id === session.session_id)
            expect(seenBySums(session, hits)).toEqual(seenByHits(hits))
            told += expectDated(hits)
            for (const hit of hits.filter(({ type }) => type === 'page_view'))
              for (const name of ARRIVAL) expect(hit[name], name).toBe(session[name])
          }
        },
      ),
      { numRuns: RUNS },
    )
    expect(Math.min(ordered, others)).toBeGreaterThan(RUNS / 10)
    expect(told).toBeGreaterThan(RUNS / 30)
  })

  it.each<[title: string, script: readonly Step[], isInOrder: boolean]>([
    ['a page view behind another', [view(0), view(5), view(3)], false],
    ['a page view at the time of another', [view(0), view(0)], true],
    ['an event before all page views', [view(5), anEvent(1)], false],
    ['an event between page views, late', [view(0), view(5), anEvent(3)], true],
    ['signals of the page that is seen', [view(0), seen(1, 0), view(2), seen(3, 2)], true],
    ['a signal of a page that was left', [view(0), view(1), seen(2, 0, 50)], true],
    ['signals of the last four pages that were left', [...views(5), seen(5, 0, 50), seen(5, 3, 50)], true],
    ['a signal of the page before these', [...views(6), seen(6, 0, 50)], false],
    ['a signal before its page', [view(0), seen(1, 2), view(2)], false],
    ['a signal that a wrong clock sets before its page, which was left', [view(3), view(5), seen(1, 0, 50)], false],
    ['a signal of a page that nobody viewed', [view(0), view(1), seen(2, 99)], false],
    ['a signal without a page', [view(0), seen(1, -1), view(2)], true],
    ['a signal of a page viewed as long ago as restores read', [view(0), ...kept(60), seen(75, 0, 50)], true],
    ['a signal of a page viewed before that', [view(0), ...kept(60), seen(75.001, 0, 50)], false],
    ['a signal of a page that was left, of a session out of order', [view(0), view(5), view(3), seen(6, 0, 9)], false],
  ])('of a session with %s: in order %#', (_, script, isInOrder) => {
    for (const restores of [false, true]) {
      const [session, ...others] = collapse(play(script, restores).sessionRows())
      expect(others).toEqual([])
      expect(session!.pages_in_order).toBe(isInOrder)
    }
  })

  it.each<[title: string, script: readonly Step[], rows: string]>([
    [
      'how deep it was seen from then on',
      [view(0), seen(1, 0, 20), view(2), seen(3, 0, 50)],
      '- - /0=120000:20 /0=180000:30',
    ],
    ['all of it, if it was not measured before', [view(0), view(2), seen(3, 0, 50)], '- /0=120000:0 /0=180000:50'],
    [
      'only what each adds',
      [view(0), view(2), seen(3, 0, 50), seen(4, 0, 50), seen(5, 0, 70)],
      '- /0=120000:0 /0=180000:50 - /0=300000:20',
    ],
    ['nothing of less', [view(0), seen(1, 0, 80), view(2), seen(3, 0, 50)], '- - /0=120000:80 -'],
    [
      'of which of two pages',
      [view(0), view(1), view(2), seen(3, 1, 5), seen(4, 0, 6)],
      '- /0=60000:0 /1=60000:0 /1=120000:5 /0=240000:6',
    ],
    ['nothing in a session out of order', [view(0), view(5), view(3), seen(6, 0, 9)], '- /0=300000:0 - -'],
  ])('are told by signals of a page that was left: %s', (_, script, rows) => {
    for (const restores of [false, true]) {
      const told = play(script, restores)
        .rows()
        .map(({ previous_path: path, previous_ms: ms, previous_depth: depth }) =>
          path ? `${path}=${ms}:${depth}` : '-',
        )
      expect(told.join(' ')).toBe(rows)
    }
  })

  it('of a page that was left are no change of the session that is to be stored', () => {
    const lab = play([view(0), seen(1, 0, 20), view(5), seen(5, 0, 50)], false)
    expect(lab.records.map(({ sessions }) => sessions.length > 0)).toEqual([true, true, true, false])
  })
})

/** One hit: its page or, of a signal, the number of the hit that it names; -1 = none. Hits are received in their order, on time or late. */
interface Step {
  readonly kind: 'view' | 'event' | 'seen'
  readonly minute: number
  readonly page?: number
  readonly depth?: number
}
function view(minute: number): Step {
  return { kind: 'view', minute }
}
function anEvent(minute: number): Step {
  return { kind: 'event', minute }
}
function seen(minute: number, page: number, depth = 0): Step {
  return { kind: 'seen', minute, page, depth }
}
function views(count: number): Step[] {
  return Array.from({ length: count }, (_, minute) => view(minute))
}
/** Page views that keep a session alive until then. */
function kept(until: number): Step[] {
  return Array.from({ length: until / 20 }, (_, i) => view(20 * (i + 1)))
}

/** The path of a page is the number of its hit. */
function play(script: readonly Step[], restores: boolean): Lab {
  const lab = new Lab()
  let now = 0
  for (const [i, { kind, minute, page = -1, depth }] of script.entries()) {
    now = Math.max(now, NOON + minute * MINUTE)
    const at = { url: `https://example.com/${i}`, created_at: NOON + minute * MINUTE }
    const signal = { type: 'engagement', engaged_ms: 1, scroll_percent: depth, created_at: at.created_at }
    const sent =
      kind === 'view'
        ? pageView(at)
        : kind === 'event'
          ? event(at)
          : { ...signal, ...(page >= 0 && { page_id: hitId(page) }) }
    const line = rawLine([{ ...sent, hit_id: hitId(i) } as never], { sent_at: now })
    lab.enrich([rawRecord(i, now, rawValue([line]))])
    if (restores) lab.restore()
  }
  return lab
}
