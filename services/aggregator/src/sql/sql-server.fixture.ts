import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger, createServer, requireKey } from '@millrace/server'
import { migrate, openSqlConsole, openStore, type SqlConsole, type Store } from '@millrace/store'
import { insertRows } from '../query/filled-store.fixture.ts'
import { type RandomSite, randomSite } from '../query/random-site.fixture.ts'
import { acceptClickHouseCredentials } from './clickhouse-credentials.ts'
import type { QueueLimits } from './queue.ts'
import { registerSqlApi } from './register.ts'

/** Stands where nothing of SQL may reach: in a file, and in a table outside of `analytics`. */
export const CANARY = 'c4n4ry-7f3a'

export interface SqlServer {
  readonly url: string
  readonly dataDir: string
  readonly canaryFile: string
  readonly store: Store
  readonly console: SqlConsole
  readonly site: RandomSite
  close(): Promise<void>
}

export interface SqlServerOptions {
  readonly adminKey?: string
  readonly keys?: Readonly<Record<string, { scopes: string[]; sites: string[] }>>
  readonly queue?: QueueLimits
  /** A ClickHouse server instead of the embedded engine. */
  readonly clickhouse?: string
}

/** The SQL routes on an embedded engine with a site in it. */
export async function startSqlServer({
  adminKey = '',
  keys = {},
  queue,
  clickhouse = '',
}: SqlServerOptions = {}): Promise<SqlServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-sql-'))
  const store = await openStore({ url: clickhouse, dataDir })
  await migrate(store)
  const site = randomSite('blog', 60, 7)
  await insertRows(store, 'hits_in', site.hits)
  await insertRows(store, 'sessions_in', site.signed)
  const canaryFile = join(dataDir, 'canary.csv')
  await writeFile(canaryFile, `${CANARY},1\n`)
  await store.command('CREATE TABLE millrace.secrets (text String, n UInt8) ENGINE = MergeTree ORDER BY text')
  await store.command(`INSERT INTO millrace.secrets SELECT '${CANARY}', 1`)

  const console = await openSqlConsole({ url: clickhouse, dataDir })
  const server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('fatal', 'test') })
  acceptClickHouseCredentials(server.app, '/clickhouse')
  const needs = { '/v1/sql': 'sql', '/clickhouse': 'sql' }
  requireKey(server.app, { adminKey, keyOf: (text) => keys[text] ?? null, needs })
  registerSqlApi({ server, console, ...(queue && { queue }) })
  const url = await server.listen()
  return {
    ...{ url, dataDir, canaryFile, store, console, site },
    async close() {
      await server.close()
      await console.close()
      await store.close()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
