/** How long and how far pages were seen, added up from what rows say, against what the hits of each session say. */
import { type HitRow, SESSION_COLUMNS, type SessionRow } from '@millrace/shared'
import { engagement, event, hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { collapse, Lab, MINUTE, NOON, rawRecord } from '../testing/lab.ts'

const RUNS = Number(process.env.PROPERTY_RUNS ?? 300)
const OLDER_IDS = 500

/** One request of one visitor: how long after the one before, how late, and what; signals are of the page `back` views before. */
const request = fc.record({
  after: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 3 * MINUTE }) },
    { weight: 1, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 25 * MINUTE, max: 35 * MINUTE }) },
  ),
  delay: fc.oneof(
    { weight: 9, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 14 * MINUTE }) },
  ),
  kind: fc.constantFrom('view', 'view', 'event', 'seen', 'seen'),
  path: fc.constantFrom('/a', '/a', '/b', '/c'),
  back: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, -1, OLDER_IDS),
  engaged: fc.integer({ min: 0, max: 20_000 }),
  depth: fc.integer({ min: 0, max: 100 }),
  utm: fc.oneof({ weight: 12, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constant('?utm_source=x') }),
})
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never

function rawOf(requests: readonly Request[]) {
  let [time, lastView] = [NOON, 0]
  return requests.map((r, i) => {
    time += r.after
    if (r.kind === 'view') lastView = i
    const at = { url: `https://example.com${r.path}${r.utm}`, created_at: time - r.delay }
    const page = r.back === OLDER_IDS ? hitId(OLDER_IDS) : hitId(Math.max(0, lastView - r.back))
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

/** As reports add it up. */
function seenBySums(session: SessionRow, hits: readonly HitRow[]): Pages {
  const pages: Pages = {}
  for (const { type, previous_path, previous_ms, previous_depth } of hits)
    if (type === 'page_view' && previous_path !== '') add(pages, previous_path, previous_ms, previous_depth)
  const { exit_at, exit_signal_at, exit_path, exit_depth } = session
  if (session.page_views > 0)
    add(pages, exit_path, exit_signal_at === 0 ? null : Math.max(0, exit_signal_at - exit_at), exit_depth)
  return pages
}

/** What the row of a session and those of its page views have in common. */
const ARRIVAL = Object.keys(SESSION_COLUMNS)
  .slice(
    Object.keys(SESSION_COLUMNS).indexOf('session_referrer'),
    Object.keys(SESSION_COLUMNS).indexOf('orientation') + 1,
  )
  .concat('entry_path', 'is_bot', 'visitor_id') as (keyof SessionRow & keyof HitRow)[]

describe('page times', () => {
  it('are sums where a session says so, which begin and end with one arrival', () => {
    let [ordered, others] = [0, 0]
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 1, maxLength: 14 }),
        fc.integer({ min: 1, max: 6 }),
        fc.boolean(),
        (requests, batchSize, restores) => {
          const raw = rawOf(requests)
          const lab = new Lab()
          for (let i = 0; i < raw.length; i += batchSize) {
            lab.enrich(raw.slice(i, i + batchSize))
            if (restores) lab.restore()
          }
          for (const session of collapse(lab.sessionRows())) {
            if (!session.pages_in_order) others++
            if (!session.pages_in_order) continue
            ordered++
            const hits = lab.rows().filter(({ session_id }) => session_id === session.session_id)
            expect(seenBySums(session, hits)).toEqual(seenByHits(hits))
            for (const hit of hits.filter(({ type }) => type === 'page_view'))
              for (const name of ARRIVAL) expect(hit[name], name).toBe(session[name])
          }
        },
      ),
      { numRuns: RUNS },
    )
    expect(Math.min(ordered, others)).toBeGreaterThan(RUNS / 10)
  })

  it.each([
    [
      'a page view behind another',
      [
        ['view', 0],
        ['view', 5],
        ['view', 3],
      ],
      false,
    ],
    [
      'a page view at the time of another',
      [
        ['view', 0],
        ['view', 0],
      ],
      true,
    ],
    [
      'an event before all page views',
      [
        ['view', 5],
        ['event', 1],
      ],
      false,
    ],
    [
      'an event between page views, late',
      [
        ['view', 0],
        ['view', 5],
        ['event', 3],
      ],
      true,
    ],
    [
      'signals of the page that is seen',
      [
        ['view', 0],
        ['seen', 1, 0],
        ['view', 2],
        ['seen', 3, 2],
      ],
      true,
    ],
    [
      'a signal of a page that was left',
      [
        ['view', 0],
        ['view', 1],
        ['seen', 2, 0],
      ],
      false,
    ],
    [
      'a signal before its page',
      [
        ['view', 0],
        ['seen', 1, 2],
        ['view', 2],
      ],
      false,
    ],
    [
      'a signal without a page',
      [
        ['view', 0],
        ['seen', 1, -1],
        ['view', 2],
      ],
      true,
    ],
  ] as const)('of a session with %s: in order %#', (_, script, inOrder) => {
    const lab = new Lab()
    for (const [i, [kind, minute, page]] of script.entries()) {
      const at = { url: `https://example.com/${i}`, created_at: NOON + minute * MINUTE }
      const page_id = page === undefined || page < 0 ? undefined : hitId(page)
      const sent =
        kind === 'view'
          ? pageView(at)
          : kind === 'event'
            ? event(at)
            : { type: 'engagement', engaged_ms: 1, page_id, created_at: at.created_at }
      const line = rawLine([{ ...sent, hit_id: hitId(i) } as never], { sent_at: NOON + 9 * MINUTE })
      lab.enrich([rawRecord(i, NOON + 9 * MINUTE, rawValue([line]))])
    }
    expect(collapse(lab.sessionRows()).map(({ pages_in_order }) => pages_in_order)).toEqual([inOrder])
  })
})
