import type { CommandOptions, QueryOptions } from './store.ts'

/** An INSERT whose rows come from blocks in Native format. */
export interface InsertStatement {
  /** Table and columns, as SQL. */
  readonly into: string
  /** Names and types of the columns that the blocks may have, as SQL. */
  readonly structure: string
  /** The SELECT that yields the rows, given the SQL of the place they come from; null = insert them as they are. */
  readonly select: ((from: string) => string) | null
  /** Columns of `into`, as SQL. */
  readonly columns: string
  readonly settings: Readonly<Record<string, string | number>>
}

/** What differs between ClickHouse in this process and a server. Errors are StoreUnavailable and StoreRefused. */
export interface Engine {
  /** Other processes may use the same database. */
  readonly shared: boolean
  query<Row>(sql: string, options: QueryOptions): Promise<Row[]>
  command(sql: string, options: CommandOptions): Promise<void>
  /** Like query() without options, not waiting behind other statements: for the clock, KILL and the schema. */
  inspect<Row>(sql: string): Promise<Row[]>
  /** An aborted signal keeps it from starting; whether it ends one that runs is the engine's choice. */
  insert(statement: InsertStatement, blocks: readonly Buffer[], signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
