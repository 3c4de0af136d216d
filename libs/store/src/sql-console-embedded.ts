import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import type { ChdbResult, Session } from 'chdb'
import type { SqlAnswer, SqlConsole, SqlScope, SqlSession } from './sql-console.ts'
import { toConsoleError } from './sql-console-error.ts'
import { literal, plainName, settingValue } from './sql-text.ts'
import { StoreUnavailable } from './store.ts'

/** Where the embedded engine's defaults are those of a tool for its owner, or differ from a server. */
const OWN_SETTINGS = { implicit_select: 0, allow_introspection_functions: 0, allow_ddl: 0 } as const

/**
 * Each statement holds a thread of Node's pool, which has four: two are for reports, and one has to be left for inserts.
 */
const SIDE_BY_SIDE = 1

/** KILL finds nothing before the query has begun: it is repeated. */
const KILL_AGAIN_MS = 100

/** @throws StoreUnavailable when another process has the folder */
export async function openEmbeddedConsole(dataDir: string): Promise<SqlConsole> {
  const { Session } = await import('chdb')
  const path = resolve(dataDir, 'clickhouse')
  const open = (): Session => {
    try {
      return new Session(path)
    } catch (error) {
      throw new StoreUnavailable(`The embedded ClickHouse cannot open ${path}: ${(error as Error).message}`)
    }
  }
  const admin = open()
  const inspect = async <Row>(sql: string): Promise<Row[]> => {
    const lines = (await run(admin, sql, 'JSONEachRow')).text().split('\n').filter(Boolean)
    return lines.map((line) => JSON.parse(line) as Row)
  }
  const [about] = await inspect<{ version: string; timezone: string }>(
    'SELECT version() AS version, timezone() AS timezone',
  )
  return {
    version: about!.version,
    timezone: about!.timezone,
    sideBySide: SIDE_BY_SIDE,
    inspect,
    async open(scope) {
      const session = open()
      try {
        return await EmbeddedSession.enter(session, admin, scope)
      } catch (error) {
        session.close()
        throw error
      }
    },
    async close() {
      admin.close()
    },
  }
}

async function run(session: Session, sql: string, format: string): Promise<ChdbResult> {
  try {
    return await session.queryAsync(sql, { format })
  } catch (error) {
    throw toConsoleError(error)
  }
}

/**
 * A connection of its own for each request (0.3 ms): the engine keeps settings and parameters for the connection, and what
 * a failed statement had written so far comes out with the connection's next answer.
 */
class EmbeddedSession implements SqlSession {
  readonly #session: Session
  readonly #admin: Session
  readonly #tag: string

  private constructor(session: Session, admin: Session, tag: string) {
    this.#session = session
    this.#admin = admin
    this.#tag = tag
  }

  static async enter(session: Session, admin: Session, { params, settings }: SqlScope): Promise<EmbeddedSession> {
    const tag = `sql=${randomUUID()}`
    const assignments = Object.entries({ ...OWN_SETTINGS, ...settings, log_comment: tag }).map(
      ([name, value]) => `${plainName(name)} = ${settingValue(value)}`,
    )
    for (const [name, value] of params) assignments.push(`param_${plainName(name)} = ${literal(value)}`)
    await run(session, 'USE analytics', 'Null')
    await run(session, `SET ${assignments.join(', ')}`, 'Null')
    // Last, as nothing can be set after it.
    await run(session, 'SET readonly = 1', 'Null')
    return new EmbeddedSession(session, admin, tag)
  }

  canonical(text: string): Promise<string> {
    return this.#text(`SELECT formatQuery(${literal(text)})`)
  }

  tree(canonical: string): Promise<string> {
    return this.#text(`EXPLAIN QUERY TREE run_passes = 0 ${canonical}`)
  }

  async run(sql: string, format: string, signal: AbortSignal): Promise<SqlAnswer> {
    signal.throwIfAborted()
    const stop = endOnAbort(signal, () => this.#kill())
    try {
      const result = await run(this.#session, sql, format)
      const { rowsRead, bytesRead, elapsed } = result
      const body = result.bytes()
      return {
        body,
        resultBytes: body.length,
        readRows: rowsRead,
        readBytes: bytesRead,
        elapsedNs: Math.round(elapsed * 1e9),
      }
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    } finally {
      stop()
    }
  }

  close(): void {
    this.#session.close()
  }

  /** Lines without the format's own escapes. */
  async #text(sql: string): Promise<string> {
    const text = (await run(this.#session, sql, 'TSVRaw')).text()
    return text.endsWith('\n') ? text.slice(0, -1) : text
  }

  #kill(): void {
    const sql = `KILL QUERY WHERE Settings['log_comment'] = ${literal(this.#tag)} ASYNC`
    this.#admin.queryAsync(sql, { format: 'Null' }).catch(() => undefined)
  }
}

/** Calls `kill` from the signal's abort on until the returned function is called. */
function endOnAbort(signal: AbortSignal, kill: () => void): () => void {
  let repeated: NodeJS.Timeout | undefined
  const onAbort = (): void => {
    kill()
    repeated = setInterval(kill, KILL_AGAIN_MS)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  return () => {
    signal.removeEventListener('abort', onAbort)
    clearInterval(repeated)
  }
}
