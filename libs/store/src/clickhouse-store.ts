import { randomUUID } from 'node:crypto'
import { CLUSTER_INSERT_SETTINGS } from './cluster.ts'
import type { Engine, InsertStatement } from './engine.ts'
import { INSERT_SETTINGS, REQUIRED } from './insert-settings.ts'
import { identifier, literal } from './sql-text.ts'
import {
  type BlockInsert,
  type CommandOptions,
  type QueryOptions,
  type Slice,
  type Store,
  StoreRefused,
  StoreUnavailable,
  type Target,
} from './store.ts'
import { type Column, columnList, selectOver, sourceOf, structureOf } from './view-source.ts'

/** Of every query: 64-bit integers as strings, so that none loses bits in JavaScript. */
const QUERY_SETTINGS = { output_format_json_quote_64bit_integers: 1 } as const
const QUERY_WAS_CANCELLED = 394
const KILL_POLL_MS = 20
const KILL_AGAIN_MS = 200

/** The Store over either engine: everything that is SQL, and nothing that depends on how ClickHouse is reached. */
export class ClickHouseStore implements Store {
  readonly cluster: string
  readonly #engine: Engine
  readonly #inserts = new Set<RunningInsert>()
  readonly #columns = new Map<string, Promise<readonly Column[]>>()
  #insertSettings: Promise<Readonly<Record<string, string | number>>> | undefined
  #closed = false

  constructor(engine: Engine, cluster = '') {
    this.#engine = engine
    this.cluster = cluster
  }

  get shared(): boolean {
    return this.#engine.shared
  }

  async query<Row>(sql: string, options: QueryOptions = {}): Promise<Row[]> {
    this.#assertOpen()
    if (this.cluster && options.current) await this.#catchUp(options.current)
    const all = { ...options, settings: { ...QUERY_SETTINGS, ...options.settings } }
    if (!options.signal) return this.#engine.query<Row>(sql, all)
    return this.#abortable(options.signal, all, (tagged) => this.#engine.query<Row>(sql, tagged))
  }

  async command(sql: string, options: CommandOptions = {}): Promise<void> {
    this.#assertOpen()
    await this.#engine.command(sql, options)
  }

  insert(insert: BlockInsert): Promise<void> {
    return this.#tracked(insert.logComment, async (signal) => {
      const columns = await this.#columnsOf(insert.table)
      const names = columns.map((column) => column.name)
      await this.#insertInto(insert.table, names, insert, columns, null, signal)
    })
  }

  insertMissing(target: Target, insert: BlockInsert, slices: readonly Slice[]): Promise<void> {
    return this.#tracked(insert.logComment, async (signal) => {
      if (insert.table !== target.source) throw new Error(`${target.name} is not filled from ${insert.table}`)
      if (slices.length === 0) return
      const columns = await this.#columnsOf(target.source)
      const select = (from: string): string => selectOver(target, from, slices)
      await this.#insertInto(target.name, target.columns, insert, columns, select, signal)
    })
  }

  async targets(): Promise<readonly Target[]> {
    this.#assertOpen()
    const views = await this.#engine.inspect<{ view: string; name: string; select: string }>(
      `SELECT name AS view, target_table AS name, as_select AS select FROM system.tables
       WHERE database = 'millrace' AND engine = 'MaterializedView' AND target_database = 'millrace' ORDER BY name`,
    )
    const fed = views.filter(({ select }) => /\b(hits_in|sessions_in)\b/.test(select))
    return Promise.all(
      fed.map(async ({ view, name, select }) => {
        const source = sourceOf(select)
        if (!source)
          throw new Error(`the materialized view millrace.${view} must read its table as FROM millrace.<table>`)
        const columns = await this.#engine.inspect<Column>(`DESCRIBE TABLE (${select})`)
        return { name, source, select, columns: columns.map((c) => c.name) }
      }),
    )
  }

  async nowMs(): Promise<number> {
    this.#assertOpen()
    const rows = await this.#engine.inspect<{ now: string | number }>('SELECT toUnixTimestamp64Milli(now64(3)) AS now')
    return Number(rows[0]!.now)
  }

  async killInserts(logCommentPrefix: string): Promise<void> {
    this.#assertOpen()
    const ours = [...this.#inserts].filter((running) => running.logComment.startsWith(logCommentPrefix))
    for (const running of ours) running.controller.abort()
    // Embedded, only this store inserts, and what runs is waited for: the engine (26.7) can hang for good when
    // system.processes is read while a killed insert ends.
    if (this.#engine.shared) await this.#killElsewhere(logCommentPrefix)
    await Promise.all(ours.map((running) => running.done))
  }

  /** Fails when parts cannot be fetched: another replica has them, and what it has counts. */
  #catchUp(table: string): Promise<void> {
    return this.#engine.command(`SYSTEM SYNC REPLICA millrace.${identifier(table)} LIGHTWEIGHT`, {})
  }

  async #killElsewhere(logCommentPrefix: string): Promise<void> {
    const everywhere = this.cluster
      ? {
          on: ` ON CLUSTER ${literal(this.cluster)}`,
          processes: `clusterAllReplicas(${literal(this.cluster)}, system.processes)`,
        }
      : { on: '', processes: 'system.processes' }
    const matching = `startsWith(Settings['log_comment'], ${literal(logCommentPrefix)}) AND query_kind = 'Insert'`
    for (;;) {
      const left = await this.#engine.inspect(`SELECT query_id FROM ${everywhere.processes} WHERE ${matching}`)
      if (left.length === 0) return
      // SYNC would wait inside the server, past our request's time limit
      await this.#engine.inspect(`KILL QUERY${everywhere.on} WHERE ${matching} ASYNC`)
      await new Promise((resolve) => setTimeout(resolve, KILL_POLL_MS))
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#inserts].map((running) => running.done))
    await this.#engine.close()
  }

  /** Known to killInserts from the moment of the call, so that none slips past it. */
  async #tracked(logComment: string, run: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#assertOpen()
    const controller = new AbortController()
    const result = run(controller.signal)
    const running: RunningInsert = { logComment, controller, done: result.then(ignore, ignore) }
    this.#inserts.add(running)
    try {
      await result
    } catch (error) {
      // Perhaps another process has migrated: the next attempt looks at the tables anew.
      this.#columns.clear()
      throw error
    } finally {
      this.#inserts.delete(running)
    }
  }

  /** The one place that inserts rows of blocks. */
  async #insertInto(
    table: string,
    names: readonly string[],
    { blocks, logComment }: BlockInsert,
    columns: readonly Column[],
    select: InsertStatement['select'],
    signal: AbortSignal,
  ): Promise<void> {
    if (blocks.every((block) => block.length === 0)) return
    const settings = { ...(await this.#settingsOfInserts()), log_comment: logComment }
    if (signal.aborted) throw new StoreUnavailable('The insert was ended before it began')
    const statement: InsertStatement = {
      into: `millrace.${identifier(table)} (${columnList(names)})`,
      columns: columnList(names),
      structure: structureOf(columns),
      select,
      settings,
    }
    await this.#engine.insert(statement, blocks, signal)
  }

  /** Settings that this ClickHouse knows. */
  #settingsOfInserts(): Promise<Readonly<Record<string, string | number>>> {
    this.#insertSettings ??= this.#knownSettings().catch((error: unknown) => {
      this.#insertSettings = undefined
      throw error
    })
    return this.#insertSettings
  }

  async #knownSettings(): Promise<Readonly<Record<string, string | number>>> {
    const rows = await this.#engine.inspect<{ name: string }>('SELECT name FROM system.settings')
    const known = new Set(rows.map((row) => row.name))
    const missing = REQUIRED.filter((name) => !known.has(name))
    if (missing.length > 0) throw new Error(`this ClickHouse does not know the settings ${missing.join(', ')}`)
    const settings = Object.fromEntries(Object.entries(INSERT_SETTINGS).filter(([name]) => known.has(name)))
    return this.cluster ? { ...settings, ...CLUSTER_INSERT_SETTINGS } : settings
  }

  #columnsOf(table: string): Promise<readonly Column[]> {
    let columns = this.#columns.get(table)
    if (!columns) {
      columns = this.#describe(table)
      this.#columns.set(table, columns)
      columns.catch(() => this.#columns.delete(table))
    }
    return columns
  }

  async #describe(table: string): Promise<readonly Column[]> {
    this.#assertOpen()
    const columns = await this.#engine.inspect<Column>(
      `SELECT name, type FROM system.columns WHERE database = 'millrace' AND table = ${literal(table)} ORDER BY position`,
    )
    if (columns.length === 0)
      throw new StoreRefused(60, 'UNKNOWN_TABLE', `millrace.${table} does not exist: migrate first`)
    return columns
  }

  /**
   * Runs a query that a signal can end: neither engine stops by itself when its caller goes away. KILL is repeated, as it
   * finds nothing before the query has begun.
   */
  async #abortable<T>(signal: AbortSignal, options: QueryOptions, run: (all: QueryOptions) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const tag = `query=${randomUUID()}`
    const kill = (): void => {
      const sql = `KILL QUERY WHERE Settings['log_comment'] = ${literal(tag)} AND query_kind = 'Select' ASYNC`
      this.#engine.inspect(sql).catch(ignore)
    }
    let repeated: NodeJS.Timeout | undefined
    const onAbort = (): void => {
      kill()
      repeated = setInterval(kill, KILL_AGAIN_MS)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await run({ ...options, settings: { ...options.settings, log_comment: tag } })
    } catch (error) {
      const ended =
        error instanceof StoreUnavailable || (error instanceof StoreRefused && error.code === QUERY_WAS_CANCELLED)
      throw signal.aborted && ended ? signal.reason : error
    } finally {
      signal.removeEventListener('abort', onAbort)
      clearInterval(repeated)
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new StoreUnavailable('The store is closed')
  }
}

interface RunningInsert {
  readonly logComment: string
  readonly controller: AbortController
  readonly done: Promise<void>
}

const ignore = (): void => undefined
