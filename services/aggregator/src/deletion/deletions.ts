/** The register of deletions: table millrace.deletions. */
import { literal, type Store } from '@millrace/store'

/** `asked`: recorded, not yet hidden. `hidden`: shown nowhere; deleted bit by bit as days close. */
type DeletionState = 'asked' | 'hidden' | 'revoked'

/** A deletion as it was asked. */
export interface Deletion {
  readonly id: string
  readonly site: string
  /** IANA zone of days and hours in the filter. */
  readonly zone: string
  /** Half-open, epoch ms. */
  readonly fromMs: number
  readonly toMs: number
  /** As a query takes it. */
  readonly filter: unknown
}

/** How much it took: page views and events, their visitors, and sessions that lost some of them. */
export interface DeletionCounts {
  readonly hits: number
  readonly visitors: number
  readonly sessions: number
}

export interface StoredDeletion {
  readonly deletion: Deletion
  readonly state: DeletionState
  readonly counts: DeletionCounts
  /** Since when it is in its state, epoch ms. */
  readonly atMs: number
  /** Rows that are still on disk, signals and duplicates included. */
  readonly waiting: number
}

interface Row {
  readonly id: string
  readonly state: DeletionState
  readonly site: string
  readonly zone: string
  readonly from_ms: string
  readonly to_ms: string
  readonly filter: string
  readonly hits: string
  readonly visitors: string
  readonly sessions: string
  readonly at_ms: string
  readonly waiting: string
}

type Reading = Pick<Store, 'query'>

const LAST_STATES = `SELECT deletions.*, ifNull(rows.n, 0) AS waiting
  FROM (SELECT * FROM millrace.deletions ORDER BY state DESC, at DESC LIMIT 1 BY id) AS deletions
  LEFT JOIN (SELECT deletion, count() AS n FROM millrace.hidden_hits GROUP BY deletion) AS rows ON rows.deletion = deletions.id`

/** Those of a site, the latest first. */
export const readDeletions = (store: Reading, site: string): Promise<StoredDeletion[]> =>
  read(store, `state != 'asked' AND site = ${literal(site)}`)

/** Those that were recorded, and not hidden because the process ended. */
export const readAsked = (store: Reading): Promise<StoredDeletion[]> => read(store, `state = 'asked'`)

async function read(store: Reading, where: string): Promise<StoredDeletion[]> {
  const rows = await store.query<Row>(
    `SELECT *, toUnixTimestamp64Milli(from_time) AS from_ms, toUnixTimestamp64Milli(to_time) AS to_ms,
    toUnixTimestamp64Milli(at) AS at_ms FROM (${LAST_STATES}) WHERE ${where} ORDER BY at DESC, id`,
    {
      current: 'deletions',
    },
  )
  return rows.map(fromRow)
}

/** The statement that records a state. */
export function recordDeletionSql(
  { id, site, zone, fromMs, toMs, filter }: Deletion,
  state: DeletionState,
  { hits, visitors, sessions }: DeletionCounts,
): string {
  const time = (ms: number): string => `fromUnixTimestamp64Milli(toInt64(${Math.floor(ms)}), 'UTC')`
  const texts = [id, state, site, zone].map(literal)
  const values = [...texts, time(fromMs), time(toMs), literal(JSON.stringify(filter)), hits, visitors, sessions]
  return `INSERT INTO millrace.deletions (id, state, site, zone, from_time, to_time, filter, hits, visitors, sessions)
    VALUES (${values.join(', ')})`
}

const fromRow = (row: Row): StoredDeletion => ({
  deletion: {
    id: row.id,
    site: row.site,
    zone: row.zone,
    fromMs: Number(row.from_ms),
    toMs: Number(row.to_ms),
    filter: JSON.parse(row.filter),
  },
  state: row.state,
  counts: { hits: Number(row.hits), visitors: Number(row.visitors), sessions: Number(row.sessions) },
  atMs: Number(row.at_ms),
  waiting: Number(row.waiting),
})
