import { dateOfDay, dayOfDate } from '@millrace/shared'
import { literal, type Store } from '@millrace/store'
import type { RebuildPlan } from './plan.ts'

/** `planned`: rows are copied, nothing has changed. `staged`: the copies are complete, the days are being replaced. */
type RebuildState = 'planned' | 'staged' | 'done'

/** Rows that stay (on their day or another), that change their day, and that are deleted; sessions are counted by sign. */
export interface RebuildCounts {
  readonly hits_kept: number
  readonly hits_moved: number
  readonly hits_deleted: number
  readonly sessions_kept: number
  readonly sessions_moved: number
  readonly sessions_deleted: number
}

/** A rebuild as the table millrace.rebuilds has it. */
export interface StoredRebuild {
  readonly plan: RebuildPlan
  readonly counts: RebuildCounts
  readonly state: RebuildState
}

interface Row {
  readonly id: string
  readonly state: RebuildState
  readonly site: string
  readonly zone: string
  readonly first_day: string
  readonly last_day: string
  readonly keep_from: string
  readonly hits_kept: string
  readonly hits_moved: string
  readonly hits_deleted: string
  readonly sessions_kept: string
  readonly sessions_moved: string
  readonly sessions_deleted: string
}

type Reading = Pick<Store, 'query'>

const LAST_STATES = `SELECT * FROM (SELECT * FROM millrace.rebuilds ORDER BY state DESC, at DESC LIMIT 1 BY id)`

/** Those that were begun and not finished, oldest first. */
export const readOpen = async (store: Reading): Promise<StoredRebuild[]> =>
  (await store.query<Row>(`${LAST_STATES} WHERE state != 'done' ORDER BY at`, { current: 'rebuilds' })).map(fromRow)

/** The last one of a site; null = there was none. */
export async function readLast(store: Reading, site: string): Promise<StoredRebuild | null> {
  const sql = `${LAST_STATES} WHERE site = ${literal(site)} ORDER BY at DESC LIMIT 1`
  const [row] = await store.query<Row>(sql, { current: 'rebuilds' })
  return row ? fromRow(row) : null
}

/** The statement that records a state. */
export function recordSql({ plan, counts, state }: StoredRebuild): string {
  const date = (day: number): string => literal(dateOfDay(day))
  const values = [
    ...[literal(plan.id), literal(state), literal(plan.site), literal(plan.zone)],
    ...[date(plan.from), date(plan.to), date(plan.keepFrom)],
    ...[counts.hits_kept, counts.hits_moved, counts.hits_deleted],
    ...[counts.sessions_kept, counts.sessions_moved, counts.sessions_deleted],
  ]
  return `INSERT INTO millrace.rebuilds (id, state, site, zone, first_day, last_day, keep_from,
    hits_kept, hits_moved, hits_deleted, sessions_kept, sessions_moved, sessions_deleted) VALUES (${values.join(', ')})`
}

const fromRow = (row: Row): StoredRebuild => ({
  plan: {
    id: row.id,
    site: row.site,
    zone: row.zone,
    from: dayOfDate(row.first_day),
    to: dayOfDate(row.last_day),
    keepFrom: dayOfDate(row.keep_from),
  },
  counts: {
    hits_kept: Number(row.hits_kept),
    hits_moved: Number(row.hits_moved),
    hits_deleted: Number(row.hits_deleted),
    sessions_kept: Number(row.sessions_kept),
    sessions_moved: Number(row.sessions_moved),
    sessions_deleted: Number(row.sessions_deleted),
  },
  state: row.state,
})
