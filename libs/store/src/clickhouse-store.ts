import { randomUUID } from 'node:crypto'
import type { Engine, InsertStatement } from './engine.ts'
import { INSERT_SETTINGS, REQUIRED } from './insert-settings.ts'
import { identifier, literal } from './sql-text.ts'
import {
  type BlockInsert,
  type QueryOptions,
  type Slice,
  type Store,
  StoreRefused,
  StoreUnavailable,
  type Target,
} from './store.ts'
import { type Column, columnList, selectOver, structureOf } from './view-source.ts'

/** Of every query: 64-bit integers as strings, so that none loses bits in JavaScript. */
const QUERY_SETTINGS = { output_format_json_quote_64bit_integers: 1 } as const
const QUERY_WAS_CANCELLED = 394
const KILL_POLL_MS = 20

/** The Store over either engine: everything that is SQL, and nothing that depends on how ClickHouse is reached. */
export class ClickHouseStore implements Store {
  readonly #engine: Engine
  readonly #inserts = new Set<RunningInsert>()
  readonly #columns = new Map<string, Promise<readonly Column[]>>()
  #insertSettings: Promise<Readonly<Record<string, string | number>>> | undefined
  #closed = false

  constructor(engine: Engine) {
    this.#engine = engine
  }

  get shared(): boolean {
    return this.#engine.shared
  }

  query<Row>(sql: string, options: QueryOptions = {}): Promise<Row[]> {
    return this.#abortable(options, (all) => this.#engine.query<Row>(sql, all))
  }

  command(sql: string, options: QueryOptions = {}): Promise<void> {
    return this.#abortable(options, (all) => this.#engine.command(sql, all))
  }

  async insert(insert: BlockInsert): Promise<void> {
    const columns = await this.#columnsOf(insert.table)
    await this.#insertInto(
      insert.table,
      columns.map((c) => c.name),
      insert,
      columns,
      null,
    )
  }

  async insertMissing(target: Target, insert: BlockInsert, slices: readonly Slice[]): Promise<void> {
    if (insert.table !== target.source) throw new Error(`${target.name} is not filled from ${insert.table}`)
    if (slices.length === 0) return
    const columns = await this.#columnsOf(target.source)
    await this.#insertInto(target.name, target.columns, insert, columns, (from) => selectOver(target, from, slices))
  }

  async targets(): Promise<readonly Target[]> {
    const views = await this.query<{ view: string; name: string; select: string }>(
      `SELECT name AS view, target_table AS name, as_select AS select FROM system.tables
       WHERE database = 'millrace' AND engine = 'MaterializedView' AND target_database = 'millrace' ORDER BY name`,
    )
    return Promise.all(
      views.map(async ({ view, name, select }) => {
        const source = /\bFROM millrace\.(hits_in|sessions_in)\b/.exec(select)?.[1] as Target['source'] | undefined
        if (!source) throw new Error(`the materialized view millrace.${view} reads neither hits_in nor sessions_in`)
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
    const matching = `startsWith(Settings['log_comment'], ${literal(logCommentPrefix)}) AND query_kind = 'Insert'`
    for (;;) {
      const left = await this.#engine.inspect(`SELECT query_id FROM system.processes WHERE ${matching}`)
      console.log('left',left.length)
      if (left.length === 0) break
      await this.#engine.inspect(`KILL QUERY WHERE ${matching} ASYNC`).then(x=>console.log('kill',x.length))
      await new Promise((resolve) => setTimeout(resolve, KILL_POLL_MS))
    }
    await Promise.all(ours.map((running) => running.done))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#inserts].map((running) => running.done))
    await this.#engine.close()
  }

  /** The one place that inserts rows of blocks. */
  async #insertInto(
    table: string,
    names: readonly string[],
    { blocks, logComment }: BlockInsert,
    columns: readonly Column[],
    select: InsertStatement['select'],
  ): Promise<void> {
    this.#assertOpen()
    if (blocks.length === 0) return
    const settings = { ...(await this.#settingsOfInserts()), log_comment: logComment }
    const statement: InsertStatement = {
      into: `millrace.${identifier(table)} (${columnList(names)})`,
      columns: columnList(names),
      structure: structureOf(columns),
      select,
      settings,
    }
    const controller = new AbortController()
    const result = this.#engine.insert(statement, blocks, controller.signal)
    const running: RunningInsert = { logComment, controller, done: result.then(ignore, ignore) }
    this.#inserts.add(running)
    try {
      await result
    } finally {
      this.#inserts.delete(running)
    }
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
    return Object.fromEntries(Object.entries(INSERT_SETTINGS).filter(([name]) => known.has(name)))
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

  /** Runs a statement that a signal can end: neither engine stops by itself when its caller goes away. */
  async #abortable<T>(options: QueryOptions, run: (options: QueryOptions) => Promise<T>): Promise<T> {
    this.#assertOpen()
    const { signal, params, settings } = options
    if (!signal) return run({ ...(params && { params }), settings: { ...QUERY_SETTINGS, ...settings } })
    signal.throwIfAborted()
    const tag = `query=${randomUUID()}`
    const kill = (): void => {
      this.#engine.inspect(`KILL QUERY WHERE Settings['log_comment'] = ${literal(tag)} ASYNC`).catch(ignore)
    }
    signal.addEventListener('abort', kill, { once: true })
    try {
      return await run({ ...(params && { params }), settings: { ...QUERY_SETTINGS, ...settings, log_comment: tag } })
    } catch (error) {
      if (signal.aborted && error instanceof StoreRefused && error.code === QUERY_WAS_CANCELLED) throw signal.reason
      throw error
    } finally {
      signal.removeEventListener('abort', kill)
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
