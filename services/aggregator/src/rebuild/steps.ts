import { setTimeout as sleep } from 'node:timers/promises'
import { HIT_COLUMNS, SESSION_COLUMNS } from '@millrace/shared'
import { literal, type Store, selectFrom, type Target } from '@millrace/store'
import { forgetHidden } from '../deletion/hidden.ts'
import { showViews } from '../deletion/show-views.ts'
import { insertAlone } from './insert-alone.ts'
import { openSince, type RebuildPlan } from './plan.ts'
import { type RebuildCounts, recordSql, type StoredRebuild } from './progress.ts'
import {
  countKeptSql,
  countSql,
  daysSql,
  deleteSql,
  dueRows,
  fillSql,
  firstOpenSessionSql,
  HITS_TABLE,
  MOVED_TABLES,
  type MovedTable,
  namePart,
  type Part,
  partOf,
  partsOf,
  rowsOf,
  rowsToKeep,
  SESSIONS_TABLE,
  stageSql,
  unhideSql,
  unstageSql,
} from './statements.ts'

/** What the steps need. */
export interface RebuildTools {
  readonly store: Pick<Store, 'query' | 'command' | 'targets' | 'cluster' | 'shared'>
  /** Time of the store's clock after which an insert of this rebuild is refused, epoch ms; null = never. */
  readonly deadline: () => number | null
}

/** A rebuild and how far it has come; null = nothing of it is recorded. */
export type Rebuild = Omit<StoredRebuild, 'state'> & { readonly state: StoredRebuild['state'] | null }

const COLUMNS = { hits: Object.keys(HIT_COLUMNS), sessions: Object.keys(SESSION_COLUMNS) }

/** The plan without days on which sessions began that may still change; null = none is left. */
export async function withoutOpenSessions(
  { store }: Pick<RebuildTools, 'store'>,
  plan: RebuildPlan,
  completeUntilMs: number,
): Promise<RebuildPlan | null> {
  const sql = firstOpenSessionSql(plan, openSince(completeUntilMs))
  const [open] = await store.query<{ first: number; n: string }>(sql, { current: 'sessions' })
  const to = Number(open!.n) > 0 ? Number(open!.first) - 1 : plan.to
  return to < plan.from ? null : { ...plan, to }
}

/** What the plan would change. */
export async function countRebuild({ store }: Pick<RebuildTools, 'store'>, plan: RebuildPlan): Promise<RebuildCounts> {
  const hides = await deletesHidden(store, plan)
  const hits = await count(store, plan, HITS_TABLE, hides)
  const sessions = await count(store, plan, SESSIONS_TABLE, hides)
  return {
    hits_kept: hits.kept,
    hits_moved: hits.moved,
    hits_deleted: hits.deleted,
    sessions_kept: sessions.kept,
    sessions_moved: sessions.moved,
    sessions_deleted: sessions.deleted,
  }
}

/**
 * A rebuild from the state it is in to its end; `state: null` is a new one. Yields the name of each statement before it is
 * sent: who stops there, for good or by a crash, leaves a rebuild that can be continued. Until `staged` is recorded only
 * copies are made; from then on each part of the days is deleted and filled again from them, which may be repeated, as
 * nothing else inserts into closed days.
 */
export async function* rebuildSteps(
  tools: RebuildTools,
  { plan, counts: counted, state }: Rebuild,
): AsyncGenerator<string, void> {
  const rollups = await rollupsOf(tools.store)
  let counts = counted
  if (state === null) yield* record(tools, { plan, counts, state: 'planned' })
  if (state !== 'staged') {
    yield* clearStaging(tools)
    counts = await countRebuild(tools, plan)
    const hides = await deletesHidden(tools.store, plan)
    for (const table of MOVED_TABLES) yield* stage(tools, plan, table, hides)
    await assertStaged(tools.store, counts)
    yield* record(tools, { plan, counts, state: 'staged' })
  }
  await assertStaged(tools.store, counts)
  for (const table of MOVED_TABLES) yield* replace(tools, plan, table)
  for (const rollup of rollups) yield* fill(tools, plan, rollup)
  yield* unhide(tools, plan)
  yield* record(tools, { plan, counts, state: 'done' })
  yield* clearStaging(tools)
}

async function* record(tools: RebuildTools, rebuild: StoredRebuild): AsyncGenerator<string, void> {
  yield `record ${rebuild.state}`
  await insertAlone(tools, rebuild.plan.id, recordSql(rebuild))
}

async function* clearStaging({ store }: RebuildTools): AsyncGenerator<string, void> {
  for (const { staging } of MOVED_TABLES) {
    yield `empty ${staging}`
    await store.command(`TRUNCATE TABLE millrace.${staging}`)
  }
}

async function* stage(
  tools: RebuildTools,
  plan: RebuildPlan,
  table: MovedTable,
  hides: boolean,
): AsyncGenerator<string, void> {
  const from = rowsToKeep(plan, table, COLUMNS[table.name], hides)
  for (const part of await readParts(tools.store, plan, table.name, from)) {
    yield `copy ${table.name} of ${namePart(part)}`
    await insertAlone(tools, plan.id, stageSql(plan, table, COLUMNS[table.name], from, part))
  }
}

async function* replace(tools: RebuildTools, plan: RebuildPlan, table: MovedTable): AsyncGenerator<string, void> {
  yield* erase(tools, plan, table.name)
  for (const part of await readParts(tools.store, plan, table.staging)) {
    yield `insert ${table.name} of ${namePart(part)}`
    await insertAlone(tools, plan.id, unstageSql(table, COLUMNS[table.name], part))
  }
}

async function* fill(tools: RebuildTools, plan: RebuildPlan, rollup: Target): AsyncGenerator<string, void> {
  const source = rollup.source === 'hits_in' ? HITS_TABLE : SESSIONS_TABLE
  yield* erase(tools, plan, rollup.name)
  for (const part of await readParts(tools.store, plan, source.name)) {
    yield `fill ${rollup.name} of ${namePart(part)}`
    const select = selectFrom(rollup, partOf(plan, source, part))
    await insertAlone(tools, plan.id, fillSql(rollup.name, rollup.columns, select))
  }
}

/**
 * Deletes the rows of the plan, however long that takes: on a server the mutation is sent once and then looked after, as one
 * whose answer came too late would be sent again. @throws Error when rows stay: then they must not be inserted a second time
 */
async function* erase({ store }: RebuildTools, plan: RebuildPlan, table: string): AsyncGenerator<string, void> {
  yield `delete from ${table}`
  let [sent, unseen] = [false, 0]
  for (;;) {
    if (await isMutating(store, table)) unseen = 0
    else {
      const left = await countLeft(store, plan, table)
      if (left === 0) return
      if (sent && ++unseen > (store.shared ? UNSEEN_POLLS : 0))
        throw new Error(`${left} rows of closed days are still in ${table} after they were deleted`)
      if (!sent) await store.command(deleteSql(plan, table), { settings: { mutations_sync: store.shared ? 0 : 2 } })
      sent = true
    }
    if (!store.shared) continue
    await sleep(MUTATION_POLL_MS)
    yield `delete from ${table}, which goes on`
  }
}

const MUTATION_POLL_MS = 200
/** A replica may hear of its mutation a moment later. */
const UNSEEN_POLLS = 150

async function countLeft(store: Pick<Store, 'query'>, plan: RebuildPlan, table: string): Promise<number> {
  const sql = `SELECT count() AS n FROM millrace.${table} WHERE ${rowsOf(plan)}`
  const [left] = await store.query<{ n: string }>(sql, { current: table })
  return Number(left!.n)
}

/** Whether rows of a table are being deleted, on any replica. @throws Error when that fails */
async function isMutating(store: RebuildTools['store'], table: string): Promise<boolean> {
  if (!store.shared) return false
  const all =
    store.cluster === '' ? 'system.mutations' : `clusterAllReplicas(${literal(store.cluster)}, system.mutations)`
  const [found] = await store.query<{ fails: number }>(
    `SELECT latest_fail_reason != '' AS fails FROM ${all}
     WHERE database = 'millrace' AND table = ${literal(table)} AND NOT is_done ORDER BY fails DESC LIMIT 1`,
  )
  if (found?.fails) throw new Error(`rows cannot be deleted from ${table}: system.mutations says why`)
  return found !== undefined
}

/** What was hidden and is deleted now is forgotten. */
async function* unhide({ store }: RebuildTools, plan: RebuildPlan): AsyncGenerator<string, void> {
  if (!(await deletesHidden(store, plan))) return
  yield 'forget what was hidden'
  await store.command(unhideSql(plan), { settings: { mutations_sync: 2 } })
  forgetHidden(store)
  const [left] = await store.query<{ n: string }>('SELECT count() AS n FROM millrace.hidden_hits', {
    current: 'hidden_hits',
  })
  yield 'let views look'
  await showViews(store, left!.n !== '0')
}

/** Whether hidden rows are due. */
async function deletesHidden(store: Pick<Store, 'query'>, plan: RebuildPlan): Promise<boolean> {
  const sql = `SELECT count() AS n FROM millrace.hidden_hits WHERE ${dueRows(plan)}`
  const [due] = await store.query<{ n: string }>(sql, { current: 'hidden_hits' })
  return due!.n !== '0'
}

/** Targets that are sums of rows in hits or sessions. @throws Error for one whose view cannot be run over them */
async function rollupsOf(store: RebuildTools['store']): Promise<Target[]> {
  const rollups = (await store.targets()).filter(({ name }) => name !== 'hits' && name !== 'sessions')
  for (const rollup of rollups) {
    const from = rollup.source === 'hits_in' ? 'millrace.hits' : 'millrace.sessions'
    await store.query(`DESCRIBE TABLE (${selectFrom(rollup, from)})`)
  }
  return rollups
}

/** @throws Error when the copies are not what is to be put back: then nothing may be deleted */
async function assertStaged(store: RebuildTools['store'], counts: RebuildCounts): Promise<void> {
  const expected = { hits: counts.hits_kept, sessions: counts.sessions_kept }
  for (const { name, staging, weight } of MOVED_TABLES) {
    const sql = `SELECT sum(${weight}) AS n FROM millrace.${staging}`
    const [staged] = await store.query<{ n: string }>(sql, { current: staging })
    if (Number(staged!.n) === expected[name]) continue
    throw new Error(`${staging} holds ${staged!.n} rows of ${name} instead of ${expected[name]}: nothing is deleted`)
  }
}

async function count(
  store: Pick<Store, 'query'>,
  plan: RebuildPlan,
  table: MovedTable,
  hides: boolean,
): Promise<{ kept: number; moved: number; deleted: number }> {
  const from = rowsToKeep(plan, table, COLUMNS[table.name], hides)
  const [all] = await store.query<{ n: string }>(countSql(plan, table), { current: table.name })
  const [found] = await store.query<Record<'kept' | 'moved', string>>(countKeptSql(plan, table, from))
  const kept = Number(found!.kept)
  return { kept, moved: Number(found!.moved), deleted: Number(all!.n) - kept }
}

async function readParts(
  store: Pick<Store, 'query'>,
  plan: RebuildPlan,
  table: string,
  from = `millrace.${table}`,
): Promise<Part[]> {
  const rows = await store.query<{ number: number; n: number }>(daysSql(plan, from), { current: table })
  return partsOf(rows.map(({ number, n }) => ({ day: Number(number), n: Number(n) })))
}
