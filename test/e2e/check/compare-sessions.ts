import type { ExpectedSession } from '@millrace/recount'
import type { Store } from '@millrace/store'
import type { Findings } from './findings.ts'
import type { Renaming } from './renaming.ts'

const FIELDS = `toString(site) AS site, leftPad(lower(hex(visitor_id)), 16, '0') AS visitor, is_bot, toUInt32(day) AS day,
  toUnixTimestamp64Milli(start) AS start, toUnixTimestamp64Milli(end) AS end, page_views, events, is_bounce, engaged_ms,
  entry_path, exit_path, duration_ms, leftPad(lower(hex(session_id)), 16, '0') AS session`
const PIECES = 16

interface StoredSession {
  site: string
  visitor: string
  is_bot: boolean
  day: number
  start: string
  end: string
  page_views: number
  events: number
  is_bounce: number
  engaged_ms: number
  entry_path: string
  exit_path: string
  duration_ms: number
  session: string
  /** Sum of signs: 1 for the state that counts, anything else is a fault. */
  signs: string
}

/** Compares the stored sessions (signed rows, summed) with the expected ones, as multisets: ids are up to renaming. */
export async function compareSessions(
  store: Store,
  expected: readonly ExpectedSession[],
  visitors: Renaming,
  findings: Findings,
): Promise<number> {
  const invariant = 'I5 sessions equal the independent recount'
  const left = new Map<string, number>()
  for (const session of expected) {
    const key = keyOfExpected(session, visitors)
    left.set(key, (left.get(key) ?? 0) + 1)
  }
  let stored = 0
  const ids = new Set<string>()
  for (let piece = 0; piece < PIECES; piece++) {
    const rows = await store.query<StoredSession>(
      `SELECT ${FIELDS}, sum(sign) AS signs FROM millrace.sessions
       WHERE site != '' AND session_id % {pieces:UInt64} = {piece:UInt64} GROUP BY ALL HAVING signs != 0`,
      { params: { pieces: PIECES, piece } },
    )
    for (const row of rows) {
      stored += 1
      const key = keyOfStored(row)
      if (row.signs !== '1') findings.wrong(invariant, `session ${row.session}: signs add up to ${row.signs}: ${key}`)
      if (ids.has(row.session)) findings.wrong(invariant, `session ${row.session} has two states: ${key}`)
      ids.add(row.session)
      const count = left.get(key) ?? 0
      if (count === 0) findings.wrong(invariant, `stored, not expected: session ${row.session} ${key}`)
      else if (count === 1) left.delete(key)
      else left.set(key, count - 1)
    }
  }
  findings.compared(invariant, Math.max(stored, expected.length))
  for (const [key, count] of left) findings.wrong(invariant, `expected, not stored (${count}): ${key}`)
  return stored
}

const key = (fields: Record<string, unknown>): string =>
  Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')

function keyOfExpected(session: ExpectedSession, visitors: Renaming): string {
  return key({
    site: session.site,
    visitor: session.visitor.startsWith('#') ? visitors.storedName(session.visitor) : session.visitor,
    is_bot: session.isBot,
    day: session.day,
    start: session.start,
    end: session.end,
    page_views: session.pageViews,
    events: session.events,
    is_bounce: session.isBounce ? 1 : 0,
    engaged_ms: session.engagedMs,
    entry_path: session.entryPath,
    exit_path: session.exitPath,
    duration_ms: session.end - session.start,
  })
}

function keyOfStored({ session: _id, signs: _signs, ...fields }: StoredSession): string {
  return key({ ...fields })
}
