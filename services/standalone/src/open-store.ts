import { migrate, openStore, type Store, type StoreOptions, StoreUnavailable } from '@millrace/store'
import type { Reach } from './reach.ts'
import type { StoreSettings } from './settings.ts'

/** ClickHouse with the schema of this program: as soon as it answers, and migrated if need be. */
export async function openMigratedStore(
  settings: StoreSettings,
  role: NonNullable<StoreOptions['role']>,
  reach: Reach,
): Promise<{ store: Store; applied: readonly number[] }> {
  const options = {
    url: settings.MILLRACE_CLICKHOUSE_URL,
    cluster: settings.MILLRACE_CLICKHOUSE_CLUSTER,
    dataDir: settings.MILLRACE_DATA_DIR,
    role,
  }
  const store = await openStore(options).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new Error('the embedded ClickHouse engine (chdb) is not installed here: set MILLRACE_CLICKHOUSE_URL')
  })
  await reach('store', () => store.nowMs())
  const { applied } = await reach(
    'schema',
    () => migrate(store),
    (error) => error instanceof StoreUnavailable,
  )
  return { store, applied }
}
