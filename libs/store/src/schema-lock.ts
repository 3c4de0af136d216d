import { randomUUID } from 'node:crypto'
import { literal } from './sql-text.ts'
import { type Store, StoreRefused } from './store.ts'

const TABLE_ALREADY_EXISTS = 57
const POLL_MS = 100

/**
 * Runs `work` while no other process changes the schema: of many that create one table, one succeeds. `renew` says that
 * the holder lives; one that has not for `leaseMs` of the store's clock counts as dead, and the next takes its place. The
 * lock spares double work, it does not guard data: statements of migrations can be run twice, and at once.
 */
export async function holdSchemaLock<T>(
  store: Store,
  work: (renew: () => Promise<void>) => Promise<T>,
  leaseMs = 30_000,
): Promise<T> {
  const owner = randomUUID()
  const lease = async (): Promise<string> => literal(`${owner} until=${(await store.nowMs()) + leaseMs}`)
  while (!(await take(store, await lease()))) await waitOrBreak(store)
  try {
    return await work(async () => store.command(`ALTER TABLE millrace.schema_lock MODIFY COMMENT ${await lease()}`))
  } finally {
    if ((await holder(store))?.startsWith(owner)) await store.command('DROP TABLE IF EXISTS millrace.schema_lock')
  }
}

async function take(store: Store, comment: string): Promise<boolean> {
  try {
    await store.command(`CREATE TABLE millrace.schema_lock (nothing UInt8) ENGINE = Null COMMENT ${comment}`)
    return true
  } catch (error) {
    if (error instanceof StoreRefused && error.code === TABLE_ALREADY_EXISTS) return false
    throw error
  }
}

async function waitOrBreak(store: Store): Promise<void> {
  const comment = await holder(store)
  if (comment === null) return
  const until = Number(/until=(\d+)/.exec(comment)?.[1] ?? 0)
  if ((await store.nowMs()) > until) await store.command('DROP TABLE IF EXISTS millrace.schema_lock')
  else await new Promise((resolve) => setTimeout(resolve, POLL_MS))
}

async function holder(store: Store): Promise<string | null> {
  const rows = await store.query<{ comment: string }>(
    `SELECT comment FROM system.tables WHERE database = 'millrace' AND name = 'schema_lock'`,
  )
  return rows[0]?.comment ?? null
}
