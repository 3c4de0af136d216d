/** The stored sessions against the hits that are stored with their id. */
import type { Store } from '@millrace/store'
import type { Bounds } from './bounds.ts'
import type { Findings } from './findings.ts'
import { piecesOf } from './pieces.ts'
import type { Rebuilt } from './rebuilt.ts'

const CHECK = 'I5 sessions equal a recount of their hits'
const MAX_ROWS = 50

export interface SessionParts {
  readonly store: Pick<Store, 'query'>
  readonly findings: Findings
  readonly rebuilt: Rebuilt
  readonly bounds: Bounds
  readonly progress: (text: string) => void
}

/** What is compared of a session: its value by its hits, and as it is stored. */
const FIELDS: Readonly<Record<string, readonly [byHits: string, stored: string]>> = {
  site: ['any(h.site)', 'any(s.site)'],
  visitor: ['any(h.visitor_id)', 'any(s.visitor_id)'],
  is_bot: ['any(h.is_bot)', 'any(s.is_bot)'],
  start: [`toUnixTimestamp64Milli(minIf(h.time, h.type != 'engagement'))`, 'any(toUnixTimestamp64Milli(s.start))'],
  end: ['toUnixTimestamp64Milli(max(h.time))', 'any(toUnixTimestamp64Milli(s.end))'],
  duration_ms: [
    `toUnixTimestamp64Milli(max(h.time)) - toUnixTimestamp64Milli(minIf(h.time, h.type != 'engagement'))`,
    'any(toInt64(s.duration_ms))',
  ],
  page_views: [`toUInt64(countIf(h.type = 'page_view'))`, 'any(toUInt64(s.page_views))'],
  events: [`toUInt64(countIf(h.type = 'event'))`, 'any(toUInt64(s.events))'],
  entry_path: [`argMinIf(h.path, (h.time, h.ko, h.ki), h.type = 'page_view')`, 'any(s.entry_path)'],
  exit_path: [`argMaxIf(h.path, (h.time, h.ko, h.ki), h.type = 'page_view')`, 'any(s.exit_path)'],
}

/**
 * Compares every session that is settled: none of its rows is from behind what the plan says is inserted. Whether a session
 * is a bounce, and for how long it was engaged, is compared by the recount of the log alone.
 */
export async function compareSessions(parts: SessionParts): Promise<void> {
  const { store, findings, progress } = parts
  const pieces = await piecesOf(store, 'session_id != 0')
  for (let piece = 0; piece < pieces; piece++) {
    if (pieces > 1) progress(`sessions and their hits, part ${piece + 1} of ${pieces}`)
    const sql = joined(parts, pieces, piece)
    const [count] = await store.query<{ n: string }>(`SELECT count() AS n FROM (${sql})`)
    findings.compared(CHECK, Number(count!.n))
    const differing = `SELECT * FROM (${sql}) WHERE ${DIFFERS}`
    const [wrong] = await store.query<{ n: string }>(`SELECT count() AS n FROM (${differing})`)
    if (Number(wrong!.n) === 0) continue
    const rows = await store.query<Record<string, string | number | boolean>>(
      `SELECT *, lower(hex(id)) AS hex FROM (${differing}) ORDER BY id LIMIT ${MAX_ROWS}`,
    )
    for (const row of rows) findings.wrong(CHECK, describe(row))
    for (let more = rows.length; more < Number(wrong!.n); more++) findings.wrong(CHECK, '')
  }
}

const NAMES = Object.keys(FIELDS)
const DIFFERS = `hits = 0 OR states != 1 OR lasting != 1 OR ${NAMES.map((name) => `want_${name} != have_${name}`).join(' OR ')}`

/** One row a session: its hits and its stored state beside each other. */
function joined({ bounds, rebuilt }: SessionParts, pieces: number, piece: number): string {
  const mine = (id: string): string => `${id} % ${pieces} = ${piece}`
  const want = NAMES.map((name) => `${FIELDS[name]![0]} AS want_${name}`)
  const have = NAMES.map((name) => `${FIELDS[name]![1]} AS have_${name}`)
  return `
    SELECT * FROM (
      SELECT h.session_id AS id, count() AS hits, ${want.join(', ')},
        max(NOT ${bounds.settled}) AS later, max(${rebuilt.nearDeleted}) AS near
      FROM millrace.hits AS h WHERE ${rebuilt.atRest} AND verdict = 'keep' AND h.session_id != 0 AND ${mine('h.session_id')} GROUP BY id
    ) AS by_hits FULL OUTER JOIN (
      SELECT id, toUInt64(count()) AS states, sum(signs) AS lasting, ${NAMES.map((name) => `any(have_${name}) AS have_${name}`).join(', ')},
        max(later) AS later, max(near) AS near
      FROM (
        SELECT s.session_id AS id, version, sum(sign) AS signs, ${have.join(', ')},
          max(NOT ${bounds.settled}) AS later, max(${rebuilt.nearDeleted}) AS near
        FROM millrace.sessions AS s WHERE site != '' AND ${rebuilt.atRest} AND ${mine('s.session_id')} GROUP BY id, version HAVING signs != 0 OR later
      ) GROUP BY id
    ) AS by_state USING id
    WHERE NOT by_hits.later AND NOT by_state.later AND NOT by_hits.near AND NOT by_state.near`
}

function describe(row: Record<string, string | number | boolean>): string {
  const where = `session ${row.hex}, site ${row.want_site || row.have_site}`
  if (Number(row.hits) === 0) return `${where}: stored, but no hit is of it`
  if (Number(row.states) === 0) return `${where}: ${row.hits} hits are of it, and it is not stored`
  if (Number(row.states) !== 1 || Number(row.lasting) !== 1)
    return `${where}: ${row.states} states are stored whose signs add up to ${row.lasting}`
  const differing = NAMES.filter((name) => String(row[`want_${name}`]) !== String(row[`have_${name}`]))
  return `${where}: ${differing.map((name) => `${name} expected ${row[`want_${name}`]}, stored ${row[`have_${name}`]}`).join('; ')}`
}
