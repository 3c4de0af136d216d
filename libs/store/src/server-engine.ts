import { Readable } from 'node:stream'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import type { Engine, InsertStatement } from './engine.ts'
import { literal } from './sql-text.ts'
import { type CommandOptions, type QueryOptions, StoreUnavailable } from './store.ts'
import { toStoreError } from './store-error.ts'

export interface ServerOptions {
  /** `http://user:password@host:8123/millrace`, or https. */
  readonly url: string
  /** A statement without an answer for this long counts as unanswered. */
  readonly requestTimeoutMs: number
}

/** The clock, KILL and the schema are answered at once, or the server does not answer: no insert waits longer for them. */
const INSPECT_TIMEOUT_MS = 30_000

/** The answer's status is final: an error in mid-query must not look like a success with text in it. */
const HTTP_SETTINGS = { wait_end_of_query: 1 } as const

/** A ClickHouse server over HTTP. Opens no connection yet. @throws RangeError for a URL that names another database */
export function openServerEngine({ url, requestTimeoutMs }: ServerOptions): Engine {
  const client = createClient({
    url: withoutDatabase(url),
    request_timeout: requestTimeoutMs,
    max_open_connections: 16,
    // Values too long for a URL go as a form.
    use_multipart_params_auto: true,
    application: 'millrace',
    // The client logs statements with their parameters: ours are errors, told once, by whoever called.
    log: { level: ClickHouseLogLevel.OFF },
  })
  return new ServerEngine(client)
}

/** Every table is named with its database, and before the first migration `millrace` does not exist yet. */
function withoutDatabase(url: string): URL {
  const parsed = new URL(url)
  const database = decodeURIComponent(parsed.pathname.slice(1))
  if (database !== '' && database !== 'millrace')
    throw new RangeError('the database of a ClickHouse URL must be millrace')
  parsed.pathname = ''
  return parsed
}

class ServerEngine implements Engine {
  readonly shared = true
  readonly #client: ClickHouseClient
  constructor(client: ClickHouseClient) {
    this.#client = client
  }

  query<Row>(sql: string, options: QueryOptions): Promise<Row[]> {
    return typed(async () => {
      const result = await this.#client.query({ query: sql, format: 'JSONEachRow', ...requestOptions(options) })
      return (await result.json()) as Row[]
    })
  }

  inspect<Row>(sql: string): Promise<Row[]> {
    return this.query<Row>(sql, { signal: AbortSignal.timeout(INSPECT_TIMEOUT_MS) })
  }

  command(sql: string, options: CommandOptions): Promise<void> {
    return typed(async () => {
      await this.#client.command({ query: sql, ...requestOptions(options) })
    })
  }

  insert(statement: InsertStatement, blocks: readonly Buffer[], signal: AbortSignal): Promise<void> {
    const select = statement.select ? `${statement.select(`input(${literal(statement.structure)})`)} ` : ''
    return typed(async () => {
      const answer = await this.#client.exec({
        query: `INSERT INTO ${statement.into} ${select}FORMAT Native`,
        values: Readable.from(blocks, { objectMode: false }),
        ...requestOptions({ settings: statement.settings, signal }),
      })
      let unexpected = 0
      for await (const chunk of answer.stream) unexpected += (chunk as Buffer).length
      if (unexpected > 0) throw new StoreUnavailable('ClickHouse answered an insert with text instead of nothing')
    })
  }

  close(): Promise<void> {
    return this.#client.close()
  }
}

const requestOptions = ({ params, settings, signal }: QueryOptions) => ({
  clickhouse_settings: { ...settings, ...HTTP_SETTINGS },
  ...(params && { query_params: { ...params } }),
  ...(signal && { abort_signal: signal }),
})

async function typed<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw toStoreError(error)
  }
}
