import { HIT_COLUMNS, SESSION_COLUMNS } from '@millrace/shared'
import { CLUSTER_INSERT_SETTINGS, type Store, selectFrom, type Target } from '@millrace/store'
import { openSince, type RebuildPlan } from './plan.ts'
import { type RebuildCounts, recordSql, type StoredRebuild } from './progress.ts'
import {
  countSql,
  deleteSql,
  fillSql,
  firstOpenSessionSql,
  HITS_TABLE,
  MOVED_TABLES,
  type MovedTable,
  monthOf,
  monthsSql,
  rowsOf,
  SESSIONS_TABLE,
  stageSql,
  unstageSql,
} from './statements.ts'

/** What statements of rebuilds begin their log_comment with, so that leftovers of a dead process can be ended. */
export const REBUILD_COMMENT = 'rebuild='

/** What the steps need. */
export interface RebuildTools {
  readonly store: Pick<Store, 'query' | 'command' | 'targets' | 'cluster'>
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
  const hits = await count(store, plan, HITS_TABLE)
  const sessions = await count(store, plan, SESSIONS_TABLE)
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
    for (const table of MOVED_TABLES) yield* stage(tools, plan, table)
    await assertStaged(tools.store, counts)
    yield* record(tools, { plan, counts, state: 'staged' })
  }
  await assertStaged(tools.store, counts)
  for (const table of MOVED_TABLES) yield* replace(tools, plan, table)
  for (const rollup of rollups) yield* fill(tools, plan, rollup)
  yield* record(tools, { plan, counts, state: 'done' })
  yield* clearStaging(tools)
}

async function* record(tools: RebuildTools, rebuild: StoredRebuild): AsyncGenerator<string, void> {
  yield `record ${rebuild.state}`
  await insert(tools, rebuild.plan, recordSql(rebuild))
}

async function* clearStaging({ store }: RebuildTools): AsyncGenerator<string, void> {
  for (const { staging } of MOVED_TABLES) {
    yield `empty ${staging}`
    await store.command(`TRUNCATE TABLE millrace.${staging}`)
  }
}

async function* stage(tools: RebuildTools, plan: RebuildPlan, table: MovedTable): AsyncGenerator<string, void> {
  for (const month of await monthsOf(tools.store, plan, table.name)) {
    yield `copy ${table.name} of ${month}`
    await insert(tools, plan, stageSql(plan, table, COLUMNS[table.name], month))
  }
}

async function* replace(tools: RebuildTools, plan: RebuildPlan, table: MovedTable): AsyncGenerator<string, void> {
  yield* erase(tools, plan, table.name)
  for (const month of await monthsOf(tools.store, plan, table.staging)) {
    yield `insert ${table.name} of ${month}`
    await insert(tools, plan, unstageSql(table, COLUMNS[table.name], month))
  }
}

async function* fill(tools: RebuildTools, plan: RebuildPlan, rollup: Target): AsyncGenerator<string, void> {
  const source = rollup.source === 'hits_in' ? HITS_TABLE : SESSIONS_TABLE
  yield* erase(tools, plan, rollup.name)
  for (const month of await monthsOf(tools.store, plan, source.name)) {
    yield `fill ${rollup.name} of ${month}`
    const select = selectFrom(rollup, monthOf(plan, source, month))
    await insert(tools, plan, fillSql(rollup.name, rollup.columns, select))
  }
}

/** @throws Error when rows are still there: then they must not be inserted a second time */
async function* erase({ store }: RebuildTools, plan: RebuildPlan, table: string): AsyncGenerator<string, void> {
  yield `delete from ${table}`
  await store.command(deleteSql(plan, table), { settings: { mutations_sync: 2 } })
  const sql = `SELECT count() AS n FROM millrace.${table} WHERE ${rowsOf(plan)}`
  const [left] = await store.query<{ n: string }>(sql, { current: table })
  if (left!.n !== '0') throw new Error(`${left!.n} rows of closed days are still in ${table} after they were deleted`)
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
): Promise<{ kept: number; moved: number; deleted: number }> {
  type Counts = Record<'kept' | 'moved' | 'deleted', string>
  const [counts] = await store.query<Counts>(countSql(plan, table), { current: table.name })
  return { kept: Number(counts!.kept), moved: Number(counts!.moved), deleted: Number(counts!.deleted) }
}

async function monthsOf(store: Pick<Store, 'query'>, plan: RebuildPlan, table: string): Promise<number[]> {
  const rows = await store.query<{ month: number }>(monthsSql(plan, table), { current: table })
  return rows.map(({ month }) => Number(month))
}

/** Nothing is deduplicated: two rows that are the same are two hits. */
async function insert({ store, deadline }: RebuildTools, plan: RebuildPlan, sql: string): Promise<void> {
  const until = deadline()
  await store.command(sql, {
    settings: {
      insert_deduplicate: 0,
      insert_deduplication_token: '',
      async_insert: 0,
      log_comment: `${REBUILD_COMMENT}${plan.id}${until === null ? '' : ` deadline=${until}`}`,
      ...(store.cluster !== '' && CLUSTER_INSERT_SETTINGS),
    },
  })
}
