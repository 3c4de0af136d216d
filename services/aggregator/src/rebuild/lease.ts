import { randomUUID } from 'node:crypto'
import { CLUSTER_COMMAND_SETTINGS, literal, type Store, StoreRefused } from '@millrace/store'
import { REBUILD_COMMENT } from './insert-alone.ts'

/** Longer than any statement may take without an answer. */
const LEASE_MS = 5 * 60_000
const TABLE_ALREADY_EXISTS = 57

type Leasing = Pick<Store, 'query' | 'command' | 'nowMs' | 'killInserts' | 'shared' | 'cluster'>

/** The right to rebuild. */
export interface Lease {
  /** Time of the store's clock up to which nobody else rebuilds; null = nobody else can. */
  until(): number | null
  /** Before each statement. @throws Error when somebody else has it by now */
  renew(): Promise<void>
  release(): Promise<void>
}

/** One process has the embedded store. */
const UNSHARED: Lease = { until: () => null, renew: async () => undefined, release: async () => undefined }

/**
 * Takes the right to rebuild, which one process of all that share the store has at a time; null = another has it. It is a
 * table, as of many that create one a single one succeeds. A holder that died loses it after LEASE_MS; its inserts
 * carry the same deadline, so none comes after that.
 */
export async function takeLease(store: Leasing): Promise<Lease | null> {
  if (!store.shared) return UNSHARED
  const owner = randomUUID()
  let until = 0
  const settings = store.cluster === '' ? {} : CLUSTER_COMMAND_SETTINGS
  const on = store.cluster === '' ? '' : ` ON CLUSTER ${literal(store.cluster)}`
  const comment = async (): Promise<string> => {
    until = (await store.nowMs()) + LEASE_MS
    return literal(`${owner} until=${until}`)
  }
  const drop = () => store.command(`DROP TABLE IF EXISTS millrace.rebuild_lease${on}`, { settings })
  const held = await readLease(store)
  if (held?.runs) return null
  if (held) await drop()
  try {
    const sql = `CREATE TABLE millrace.rebuild_lease${on} (nothing UInt8) ENGINE = Null COMMENT ${await comment()}`
    await store.command(sql, { settings })
  } catch (error) {
    if (error instanceof StoreRefused && error.code === TABLE_ALREADY_EXISTS) return null
    throw error
  }
  await store.killInserts(REBUILD_COMMENT)
  const assertOurs = async (): Promise<void> => {
    const now = await readLease(store)
    if (now?.owner !== owner || !now.runs) throw new Error('another process has taken over the rebuild')
  }
  return {
    until: () => until,
    async renew() {
      await assertOurs()
      await store.command(`ALTER TABLE millrace.rebuild_lease${on} MODIFY COMMENT ${await comment()}`, { settings })
    },
    async release() {
      if ((await readLease(store))?.owner === owner) await drop()
    },
  }
}

/** Who has the right, and whether it still holds; null = nobody. */
export async function readLease(
  store: Pick<Store, 'query' | 'nowMs'>,
): Promise<{ owner: string; runs: boolean } | null> {
  const [row] = await store.query<{ comment: string }>(
    `SELECT comment FROM system.tables WHERE database = 'millrace' AND name = 'rebuild_lease'`,
  )
  if (!row) return null
  const [owner = '', rest = ''] = row.comment.split(' until=')
  return { owner, runs: (await store.nowMs()) <= Number(rest) }
}
