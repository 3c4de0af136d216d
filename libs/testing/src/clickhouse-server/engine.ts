import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Session } from 'chdb'
import { toServerError } from './server-error.ts'

export interface Answer {
  readonly bytes: Uint8Array
  readonly readRows: number
  readonly readBytes: number
  readonly elapsedNs: number
}

/** What a request wants of a connection before its statement runs. */
export interface Scope {
  readonly database: string | null
  readonly settings: ReadonlyMap<string, string>
  readonly params: ReadonlyMap<string, string>
}

/** Not a setting that anybody uses: it carries the query_id, which the engine does not take, into system.processes. */
export const QUERY_ID_SETTING = 'promql_table'
/** Where the embedded engine differs from a server. */
const OWN_SETTINGS = { implicit_select: '0', allow_introspection_functions: '0' } as const

/** Views of system.processes as a server shows it: inserts show without the file that they read. */
export const PROCESSES = 'system.served_processes'
/** The same with `engine_id`, the engine's own query_id: the one that it can kill. */
export const PROCESSES_AND_IDS = 'system.served_processes_and_ids'

const VIEWS = `CREATE OR REPLACE VIEW ${PROCESSES_AND_IDS} AS
SELECT query_id AS engine_id, * REPLACE (
  if(Settings['${QUERY_ID_SETTING}'] = '', query_id, Settings['${QUERY_ID_SETTING}']) AS query_id,
  replaceAll(replaceRegexpOne(query, 'FROM INFILE \\'[^\\']*\\' COMPRESSION \\'[a-z0-9]+\\' ', ''), '${PROCESSES}', 'system.processes') AS query,
  mapFilter((name, _) -> name NOT IN ('${QUERY_ID_SETTING}', 'implicit_select', 'allow_introspection_functions',
    'serialize_query_plan', 'storage_file_read_method', 'output_format_arrow_use_native_writer'), Settings) AS Settings
) FROM system.processes;
CREATE OR REPLACE VIEW ${PROCESSES} AS SELECT * EXCEPT (engine_id) FROM ${PROCESSES_AND_IDS}`

const literal = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

/** Statements that run at once, each on a thread of Node's pool (UV_THREADPOOL_SIZE, 32); further ones wait. */
const SIDE_BY_SIDE = 24

function openSession(path: string): Session {
  try {
    return new Session(path)
  } catch {
    throw new Error(`cannot open ${path}: does another process use it?`)
  }
}

/**
 * chDB on a folder. Every request has a connection of its own (0.3 ms), because the engine keeps settings and parameters
 * for the connection and runs the statements of one connection one after another.
 */
export class Engine {
  readonly spool: string
  readonly version: string
  readonly timezone: string
  readonly #path: string
  /** Never closed: with the last connection the engine would end. */
  readonly #keeper: Session
  #free = SIDE_BY_SIDE
  readonly #waiting: (() => void)[] = []

  constructor(dir: string) {
    this.#path = resolve(dir, 'clickhouse')
    this.spool = resolve(dir, 'spool')
    mkdirSync(this.#path, { recursive: true })
    mkdirSync(this.spool, { recursive: true })
    for (const name of readdirSync(this.spool)) rmSync(join(this.spool, name), { force: true })
    this.#keeper = openSession(this.#path)
    this.#keeper.query(VIEWS)
    const [version, timezone] = this.#keeper.query('SELECT version(), timezone()', 'TSV').trim().split('\t')
    this.version = version!
    this.timezone = timezone!
  }

  connect(): Connection {
    return new Connection(new Session(this.#path))
  }

  /** Runs `work` when fewer than SIDE_BY_SIDE others run. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }

  close(): void {
    this.#keeper.close()
  }
}

/** One connection: one statement at a time. */
export class Connection {
  readonly #session: Session
  constructor(session: Session) {
    this.#session = session
    this.#session.query(`SET ${assignments(Object.entries(OWN_SETTINGS))}`)
  }

  /** The bytes of the answer, in `format` unless the statement has its own. @throws ServerError */
  async run(sql: string, format = 'TabSeparated'): Promise<Answer> {
    try {
      const result = await this.#session.queryAsync(sql, { format })
      const { rowsRead, bytesRead, elapsed } = result
      return { bytes: result.bytes(), readRows: rowsRead, readBytes: bytesRead, elapsedNs: Math.round(elapsed * 1e9) }
    } catch (error) {
      throw toServerError(error)
    }
  }

  /** Makes database, settings and parameters those of a request. @throws ServerError for one that does not exist */
  async enter({ database, settings, params }: Scope): Promise<void> {
    if (database) await this.run(`USE \`${database.replaceAll('`', '\\`')}\``)
    const plain = [...settings].filter(([name]) => name !== 'readonly')
    if (plain.length > 0) await this.run(`SET ${assignments(plain)}`)
    if (params.size > 0) {
      await this.run(`SET ${assignments([...params].map(([name, value]) => [`param_${name}`, value]))}`)
    }
    // Last, as nothing can be set after it.
    const readonly = settings.get('readonly')
    if (readonly !== undefined) await this.run(`SET readonly = ${Number(readonly)}`)
  }

  /** A statement that gives the settings of `names` back the values that they have now. */
  async remember(names: readonly string[]): Promise<string | null> {
    if (names.length === 0) return null
    const { bytes } = await this.run(
      `SELECT name, value, changed FROM system.settings WHERE name IN (${names.map(literal).join(', ')})`,
      'JSONCompactEachRow',
    )
    const rows = Buffer.from(bytes).toString().split('\n').filter(Boolean)
    const back = rows.map((row) => JSON.parse(row) as [string, string, number])
    if (back.length === 0) return null
    return `SET ${back.map(([name, value, changed]) => `${name} = ${changed ? literal(value) : 'DEFAULT'}`).join(', ')}`
  }

  close(): void {
    this.#session.close()
  }
}

function assignments(entries: Iterable<readonly [string, string]>): string {
  return [...entries].map(([name, value]) => `${name} = ${literal(value)}`).join(', ')
}
