import {
  type ColumnType,
  HIT_COLUMNS,
  type HitRow,
  LocalDays,
  NO_ID,
  NO_UUID,
  SESSION_BLOCK_COLUMNS,
  type SessionRow,
} from '@millrace/shared'

/** Zone of the column `day` in the tests. */
export const SITE_ZONE = 'Europe/Vienna'
/** 2026-10-20 to 2026-11-04: clocks go back in Vienna on October 25 and in New York on November 1. */
export const FIRST_MS = Date.UTC(2026, 9, 20)
export const LAST_MS = Date.UTC(2026, 10, 4)

/** Hits of a site and its sessions as they ended; `signed` also has what was taken back on the way. */
export interface RandomSite {
  readonly hits: HitRow[]
  readonly sessions: SessionRow[]
  readonly signed: SessionRow[]
}

const MINUTE = 60_000
const PATHS = ['/', '/pricing', '/docs', '/docs/a b', '/äöü', "/o'clock\\n", '/admin']
const BROWSERS = ['Firefox', 'Chrome', 'Safari', '']
const COUNTRIES = ['DE', 'AT', 'US']

/** Numbers from 0 to 1 that a seed fixes (mulberry32). */
export function seeded(seed: number): () => number {
  let a = seed
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

function emptyValueOf(type: ColumnType): unknown {
  if (type.startsWith('Map')) return {}
  if (type === 'UUID') return NO_UUID
  if (type === 'Bool') return false
  if (type.startsWith("Enum8('page_view'")) return 'page_view'
  if (type.startsWith("Enum8('keep'")) return 'keep'
  return type.endsWith('String)') || type === 'String' ? '' : 0
}

function emptyRow<Row>(columns: Readonly<Record<string, ColumnType>>): Row {
  const row = Object.fromEntries(Object.entries(columns).map(([name, type]) => [name, emptyValueOf(type)]))
  for (const id of ['visitor_id', 'session_id']) row[id] = NO_ID
  return row as Row
}
const EMPTY_HIT = emptyRow<HitRow>(HIT_COLUMNS)
const EMPTY_SESSION = emptyRow<SessionRow>(SESSION_BLOCK_COLUMNS)

/** A site of about `count` sessions with bots, duplicates, late hits, visits over midnight, and sessions that were corrected. */
export function randomSite(site: string, count: number, seed: number): RandomSite {
  const random = seeded(seed)
  const made: RandomSite = { hits: [], sessions: [], signed: [] }
  for (let n = 1; n <= count; n++) addSession(made, site, n, random)
  for (let n = 1; n <= count / 10; n++) addStray(made, site, n, random)
  return { ...made, hits: made.hits.map((hit, ko) => ({ ...hit, ko })) }
}

const DAYS = new LocalDays(SITE_ZONE)
const pick = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)]!
const hex = (n: number): string => n.toString(16).padStart(16, '0')
const uuid = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
const someTime = (random: () => number): number => Math.floor(FIRST_MS + random() * (LAST_MS - FIRST_MS))

function addSession(made: RandomSite, site: string, n: number, random: () => number): void {
  const shared = {
    site,
    visitor_id: hex(1 + Math.floor(random() * 200)),
    session_id: hex(1_000_000 + n),
    browser: pick(BROWSERS, random),
    country: pick(COUNTRIES, random),
    hostname: pick(['example.com', 'www.example.com'], random),
    session_referrer: pick(['', 'https://news.example/'], random),
    is_bot: random() < 0.1,
  }
  const hits: HitRow[] = []
  let time = someTime(random)
  const length = 1 + Math.floor(random() * 6)
  for (let i = 0; i < length; i++) {
    const seen = hits.filter(({ type }) => type === 'page_view')
    const page_id = seen.length > 0 ? pick(seen.slice(-2), random).hit_id : NO_UUID
    hits.push(makeHit({ ...shared, time, page_id, hit_id: uuid(made.hits.length + i) }, random))
    time += Math.floor(random() * 29 * MINUTE)
  }
  const pages = readPages(hits, n % 5 === 0)
  made.hits.push(...pages.hits)
  if (random() < 0.2) made.hits.push({ ...hits[0]!, verdict: 'duplicate' })
  addSigned(made, { ...sessionOf(hits, shared), ...pages.exit }, random)
}

/**
 * What hits and session say of the pages, as the sessionizer does it. It is wrong where the session is said to be out of
 * order, as `isDisordered` says it: then nobody may believe it.
 */
function readPages(hits: readonly HitRow[], isDisordered: boolean) {
  const exit = { exit_at: 0, exit_signal_at: 0, exit_depth: 0, pages_in_order: !isDisordered }
  const left = new Map<string, { path: string; time: number; depth: number }>()
  let [page, entry_path]: [HitRow | null, string] = [null, '']
  const told = hits.map((hit) => {
    if (hit.type === 'engagement' && hit.page_id !== NO_UUID) {
      const before = left.get(hit.page_id)
      if (before) return { ...hit, entry_path, ...addedDepth(hit, before) }
      exit.exit_signal_at = hit.time
      exit.exit_depth = Math.max(exit.exit_depth, hit.scroll_percent)
    }
    if (hit.type !== 'page_view') return { ...hit, entry_path }
    entry_path ||= hit.path
    const { exit_depth, exit_at } = exit
    const before = page && {
      previous_path: page.path,
      previous_ms: hit.time - exit_at,
      previous_depth: exit_depth,
    }
    if (page) left.set(page.hit_id, { path: page.path, time: page.time, depth: exit_depth })
    Object.assign(exit, { exit_at: hit.time, exit_signal_at: 0, exit_depth: 0 })
    page = hit
    return { ...hit, entry_path, ...before }
  })
  if (exit.pages_in_order) return { hits: told, exit }
  const wrong = { previous_path: '/wrong', previous_ms: 1, previous_depth: 1 }
  return {
    hits: told.map((hit) => (hit.type === 'event' ? hit : { ...hit, ...wrong })),
    exit: { ...exit, exit_signal_at: exit.exit_at + 1, exit_depth: 1 },
  }
}

/** What a signal adds to a page that was left, which knows it from then on. */
function addedDepth({ time, scroll_percent }: HitRow, page: { path: string; time: number; depth: number }) {
  const added = scroll_percent - page.depth
  if (added <= 0) return {}
  page.depth = scroll_percent
  return { previous_path: page.path, previous_ms: time - page.time, previous_depth: added }
}

function makeHit(fields: Partial<HitRow> & { time: number }, random: () => number): HitRow {
  const type = pick(['page_view', 'page_view', 'page_view', 'event', 'engagement'] as const, random)
  const event = type === 'event'
  const signal = type === 'engagement'
  return {
    ...EMPTY_HIT,
    ...fields,
    type,
    day: DAYS.dayOf(fields.time),
    received_at: fields.time,
    path: pick(PATHS, random),
    tags: random() < 0.5 ? { section: pick(['docs', 'shop'], random) } : {},
    event_name: event ? pick(['signup', 'buy'], random) : '',
    props_text: event && random() < 0.5 ? { plan: pick(['pro', 'free'], random) } : {},
    props_number: event && random() < 0.5 ? { seats: Math.floor(random() * 40) } : {},
    http_status: pick([0, 200, 404], random),
    http_method: pick(['', 'GET'], random),
    title: pick(['Home', 'About', ''], random),
    route: pick(['/:page', ''], random),
    event_duration_ms: event && random() < 0.5 ? 1 + Math.floor(random() * 5_000) : 0,
    value: event && random() < 0.5 ? Math.floor(random() * 10_000) / 100 : 0,
    currency: event ? pick(['EUR', 'USD'], random) : '',
    request_ms: random() < 0.4 ? Math.floor(random() * 400) / 4 : 0,
    page_id: signal ? (fields.page_id ?? NO_UUID) : NO_UUID,
    scroll_percent: signal ? Math.floor(random() * 101) : 0,
  }
}

function sessionOf(hits: readonly HitRow[], shared: Partial<SessionRow>): SessionRow {
  const pages = hits.filter(({ type }) => type === 'page_view')
  const start = hits[0]!.time
  const end = hits.at(-1)!.time
  return {
    ...EMPTY_SESSION,
    ...shared,
    day: DAYS.dayOf(start),
    version: 1,
    sign: 1,
    start,
    end,
    duration_ms: end - start,
    page_views: pages.length,
    events: hits.filter(({ type }) => type === 'event').length,
    // With a passive event, maybe of another path.
    is_bounce: pages.length === 1 && hits.length <= 2 ? 1 : 0,
    entry_path: pages[0]?.path ?? '',
    exit_path: pages.at(-1)?.path ?? '',
    exit_title: pages.at(-1)?.title ?? '',
  }
}

/** A third of the sessions were first known otherwise: they began later (maybe on another day) and ended elsewhere. */
function addSigned(made: RandomSite, last: SessionRow, random: () => number): void {
  if (random() < 0.33) {
    const start = last.start + Math.floor(random() * 24 * 60 * MINUTE)
    const first = {
      ...last,
      start,
      day: DAYS.dayOf(start),
      duration_ms: 5,
      page_views: 1,
      is_bounce: 1,
      exit_path: '/gone',
      exit_at: start,
      exit_signal_at: start + 1,
      exit_depth: 99,
      pages_in_order: true,
    }
    made.signed.push(first, { ...first, sign: -1 })
    made.signed.push({ ...last, version: 2 })
  } else {
    made.signed.push(last)
  }
  made.sessions.push(last)
}

/** Hits without a session: too late for one, or dead. */
function addStray(made: RandomSite, site: string, n: number, random: () => number): void {
  const id = { visitor_id: hex(500 + n), hit_id: uuid(1_000_000 + n) }
  const hit = makeHit({ site, time: someTime(random), late: true, ...id }, random)
  made.hits.push(random() < 0.3 ? { ...hit, verdict: 'dead' } : hit)
}
