/** Rows for one of the two tables that feed all others. `blocks` are blocks in ClickHouse's Native format, as they are. */
export interface BlockInsert {
  readonly table: 'hits_in' | 'sessions_in'
  readonly blocks: readonly Buffer[]
  /** `flush=<id> attempt=<n> table=<t> deadline=<epoch ms of the store's clock>`; without a deadline nothing is refused for being late. */
  readonly logComment: string
}

/** What one log partition (`kp`) brought into one month (`yyyymm` of `day`): the unit that is present or missing as a whole. */
export interface Slice {
  readonly kp: number
  readonly month: number
}

/** A table of database `millrace` that a materialized view fills. */
export interface Target {
  readonly name: string
  readonly source: 'hits_in' | 'sessions_in'
  /** SELECT of the view, as the store keeps it. */
  readonly select: string
  /** Columns that the SELECT yields, in its order. */
  readonly columns: readonly string[]
}

export interface CommandOptions {
  /** Values of `{name:Type}` in the SQL: bound by the store, never part of the text. */
  readonly params?: Readonly<Record<string, unknown>>
  /** Settings of this statement alone. */
  readonly settings?: Readonly<Record<string, string | number>>
}

export interface QueryOptions extends CommandOptions {
  /** Ends the query in the store too; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /**
   * A table of database `millrace` that the query reads. On a cluster it waits until the replica that answers has every part
   * that any replica has taken, and fails while it cannot get one; elsewhere it changes nothing.
   */
  readonly current?: string
}

/**
 * ClickHouse, in this process or a server: one port, one contract suite. Tables are named with their database.
 * Every method throws StoreUnavailable when it is not known what the store did, or that it did nothing, and StoreRefused
 * when the store answered with an error.
 */
export interface Store {
  /** Other processes may use the same database: true for a server, false for the embedded one. */
  readonly shared: boolean
  /** Cluster of replicas that hold the tables; '' = none. */
  readonly cluster: string
  /** Rows of a SELECT. Integers of 64 bits are strings; NaN and infinity are null. */
  query<Row>(sql: string, options?: QueryOptions): Promise<Row[]>
  /** One statement that yields no rows. */
  command(sql: string, options?: CommandOptions): Promise<void>
  /**
   * Inserts through `millrace.<table>` and all its views: one block, so one part per target and month, on disk (fsync)
   * when it resolves. After an error any of the parts may exist or not: see insertMissing.
   */
  insert(insert: BlockInsert): Promise<void>
  /** What the views fill. The views themselves are the only source. */
  targets(): Promise<readonly Target[]>
  /** Runs the view's SELECT over those rows of the blocks that are in `slices`, straight into its target. One part per month. */
  insertMissing(target: Target, insert: BlockInsert, slices: readonly Slice[]): Promise<void>
  /** The store's clock, epoch milliseconds: deadlines are by it. */
  nowMs(): Promise<number>
  /** Ends inserts whose log_comment starts with the prefix. When it resolves none of them runs, nor starts from here. */
  killInserts(logCommentPrefix: string): Promise<void>
  /** Waits for what runs, then ends. Later calls throw StoreUnavailable. */
  close(): Promise<void>
}

/** The store did not answer, or not in time, or is closed: whether the statement was carried out is not known. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}

/**
 * The store answered with an error. The message has the code and its name only; ClickHouse's own text may quote rows,
 * so it is in `detail`, which loggers do not see.
 */
export class StoreRefused extends Error {
  override readonly name = 'StoreRefused'
  /** ClickHouse's error code, such as 469. */
  readonly code: number
  /** Its name, such as VIOLATED_CONSTRAINT. */
  readonly type: string
  readonly #detail: string
  constructor(code: number, type: string, detail: string) {
    super(`ClickHouse refused a statement: ${type} (${code})`)
    this.code = code
    this.type = type
    this.#detail = detail
  }
  /** What ClickHouse said. May contain data: for a person at a console, not for logs. */
  get detail(): string {
    return this.#detail
  }
}

/** ClickHouse's code for a row that a CHECK refuses: here, an insert that came after its deadline. */
export const VIOLATED_CONSTRAINT = 469
