/** Counts what a deletion takes, and hides it. */
import { literal, type Store } from '@millrace/store'
import { parseFilter } from '../query/filter.ts'
import { withinLimits } from '../query/limits.ts'
import { rangeOf } from '../query/period.ts'
import type { Question } from '../query/question.ts'
import { createBinder } from '../query/statement.ts'
import { findZone } from '../query/zones.ts'
import { insertAlone } from '../rebuild/insert-alone.ts'
import { chosenRows, countRows, hideRows } from './chosen.ts'
import { type Deletion, type DeletionCounts, recordDeletionSql } from './deletions.ts'
import { forgetHidden, shownSql, withoutHidden } from './hidden.ts'
import { showViews } from './show-views.ts'

type Hiding = Pick<Store, 'query' | 'command' | 'targets' | 'cluster'>

/** What hiding needs. */
export interface HideTools {
  readonly store: Hiding
  /** Time of the store's clock after which an insert is refused, epoch ms; null = never. */
  readonly deadline: () => number | null
}

/** What a deletion takes on one day. */
export interface DayCounts {
  readonly date: string
  readonly rows: number
  readonly page_views: number
  readonly events: number
  readonly visitors: number
  readonly sessions: number
  readonly sessions_deleted: number
}

const NONE = { rows: 0, page_views: 0, events: 0, visitors: 0, sessions: 0, sessions_deleted: 0 }

/** What a deletion would take of what is shown now, by day and in all. @throws as a query of the store does */
export async function previewDeletion(
  store: Hiding,
  deletion: Deletion,
): Promise<{ days: readonly DayCounts[]; totals: Omit<DayCounts, 'date'> }> {
  const binder = createBinder()
  const sql = countRows(chosenRows(questionOf(deletion), binder))
  const found = await withinLimits(withoutHidden(store)).query<DayCounts & { is_total: number }>(sql, {
    params: binder.params,
    current: 'hits',
  })
  const days = found.filter(({ is_total }) => !is_total).map(({ is_total, ...day }) => day)
  const { date, is_total, ...totals } = found.find((row) => row.is_total) ?? { ...NONE, date: '', is_total: 1 }
  return { days, totals }
}

/** Rows that are hidden, of all sites. */
export async function countHidden(store: Pick<Store, 'query'>): Promise<number> {
  const [found] = await store.query<{ n: string }>('SELECT count() AS n FROM millrace.hidden_hits', {
    current: 'hidden_hits',
  })
  return Number(found!.n)
}

/**
 * Records a deletion and hides its rows: when it ends nothing shows them, and no crash makes it forgotten. Yields the name of
 * each statement before it is sent. One that was recorded and came no further is begun again with `isNew` false.
 */
export async function* hideSteps(
  tools: HideTools,
  deletion: Deletion,
  counts: DeletionCounts,
  isNew: boolean,
): AsyncGenerator<string, void> {
  const { store } = tools
  if (isNew) {
    yield 'record asked'
    await insertAlone(tools, deletion.id, recordDeletionSql(deletion, 'asked', counts))
  } else yield* show(tools, deletion)
  yield 'let views look'
  await showViews(store, true)
  yield 'hide'
  const binder = createBinder()
  const sql = hideRows(chosenRows(questionOf(deletion), binder), binder, deletion.id)
  // What is hidden already is not chosen a second time.
  await insertAlone(tools, deletion.id, shownSql(sql, { days: [], targets: [] }), binder.params)
  forgetHidden(store)
  yield 'record hidden'
  await insertAlone(tools, deletion.id, recordDeletionSql(deletion, 'hidden', counts))
}

/** Shows again what of a deletion is not deleted yet. */
export async function* revokeSteps(
  tools: HideTools,
  deletion: Deletion,
  counts: DeletionCounts,
): AsyncGenerator<string, void> {
  yield* show(tools, deletion)
  yield 'record revoked'
  await insertAlone(tools, deletion.id, recordDeletionSql(deletion, 'revoked', counts))
  forgetHidden(tools.store)
}

async function* show({ store }: HideTools, { id }: Deletion): AsyncGenerator<string, void> {
  yield 'show'
  const sql = `ALTER TABLE millrace.hidden_hits DELETE WHERE deletion = ${literal(id)}`
  await store.command(sql, { settings: { mutations_sync: 2 } })
  forgetHidden(store)
}

/** What the page views and events of a deletion are asked by. @throws Error for one that was recorded wrong */
function questionOf({ site, zone: name, fromMs, toMs, filter }: Deletion): Question {
  const zone = findZone(name)
  const parsed = parseFilter(filter, '/filter', [])
  if (!zone || !parsed) throw new Error(`deletion of site ${site}: its zone or filter cannot be read`)
  return {
    site,
    metrics: [],
    dimensions: [],
    range: rangeOf(zone, fromMs, toMs),
    zone,
    byDay: false,
    buckets: [],
    filter: parsed,
    includeBots: true,
    goals: [],
    weekStart: 'monday',
    siteZone: name,
    keptFrom: null,
  }
}
