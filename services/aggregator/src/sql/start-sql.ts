import { createServer, type KeyGuard, requireKey, type Server } from '@millrace/server'
import { openSqlConsole } from '@millrace/store'
import { acceptClickHouseCredentials } from './clickhouse-credentials.ts'
import { registerSqlApi } from './register.ts'

export interface SqlOptions {
  /** Guarded, and not listening yet: it gets /v1/sql and /clickhouse. */
  readonly server: Server
  readonly settings: {
    readonly MILLRACE_HOST: string
    readonly MILLRACE_SQL_PORT: number
    readonly MILLRACE_CLICKHOUSE_URL: string
    readonly MILLRACE_DATA_DIR: string
  }
  readonly keys: Pick<KeyGuard, 'adminKey' | 'keyOf'>
}

/** SQL that runs. */
export interface Sql {
  /** Closes the port of its own first, then the way into the store. */
  close(): Promise<void>
}

/** Opens SQL for people: at the server's addresses, and at the root of MILLRACE_SQL_PORT if it is set. */
export async function startSql({ server, settings, keys }: SqlOptions): Promise<Sql> {
  const url = settings.MILLRACE_CLICKHOUSE_URL
  const console = await openSqlConsole({ url, dataDir: settings.MILLRACE_DATA_DIR })
  const addDialect = registerSqlApi({ server, console })
  const { MILLRACE_HOST: host, MILLRACE_SQL_PORT: port } = settings
  if (port === 0) return { close: () => console.close() }

  const own = createServer({ host, port, name: 'sql', logger: server.logger })
  acceptClickHouseCredentials(own.app, '')
  requireKey(own.app, { ...keys, needs: { '/': 'sql' } })
  addDialect(own.app, '')
  await own.listen()
  return {
    async close() {
      await own.close()
      await console.close()
    },
  }
}
