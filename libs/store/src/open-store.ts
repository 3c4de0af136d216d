import { ClickHouseStore } from './clickhouse-store.ts'
import { openEmbeddedEngine } from './embedded-engine.ts'
import { openServerEngine } from './server-engine.ts'
import type { Store } from './store.ts'

export interface StoreOptions {
  /** `http://user:password@host:8123/millrace`; empty or missing = ClickHouse in this process. */
  readonly url?: string
  /** Folder of the embedded ClickHouse; used only without a url. */
  readonly dataDir: string
  /** Cluster of the server's replicas, of one shard; empty or missing = a server of its own. */
  readonly cluster?: string
  /** What a thread needs of the embedded one: `write` = inserts and one query at a time, `read` = queries, `all` (default) = both. */
  readonly role?: 'write' | 'read' | 'all'
  /** Embedded: queries that run side by side, default 2. */
  readonly queryConnections?: number
  /** Server: a statement without an answer for so long counts as unanswered, default 120,000. */
  readonly requestTimeoutMs?: number
  /** Embedded: told what it does by itself, in words for a log. */
  readonly onNotice?: (text: string) => void
}

/** Opens the store that the settings name. @throws StoreUnavailable when the embedded one cannot be opened */
export async function openStore(options: StoreOptions): Promise<Store> {
  const {
    url,
    cluster = '',
    dataDir,
    role = 'all',
    queryConnections = 2,
    requestTimeoutMs = 120_000,
    onNotice,
  } = options
  if (url) return new ClickHouseStore(openServerEngine({ url, requestTimeoutMs }), cluster)
  if (cluster) throw new Error('a cluster needs a ClickHouse server: the embedded engine has no replicas')
  return new ClickHouseStore(await openEmbeddedEngine({ dataDir, role, queryConnections, onNotice }))
}
