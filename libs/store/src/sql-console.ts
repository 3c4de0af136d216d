import type { Readable } from 'node:stream'
import { openEmbeddedConsole } from './sql-console-embedded.ts'
import { openServerConsole } from './sql-console-server.ts'

/** What a person's statement runs with. */
export interface SqlScope {
  /** Values of `{name:Type}`, as ClickHouse's HTTP interface takes them (escaped like a TSV field). */
  readonly params: ReadonlyMap<string, string>
  /** Settings that nothing in the session can change afterwards. */
  readonly settings: Readonly<Record<string, string | number>>
}

/**
 * An answer that is complete in the engine: no error comes after it. The embedded engine gives it whole, a server as it is
 * taken; its size is bounded by the limits of the session.
 */
export interface SqlAnswer {
  readonly body: Uint8Array | Readable
  readonly resultBytes: number
  readonly readRows: number
  readonly readBytes: number
  readonly elapsedNs: number
}

/** One request's own session, with `readonly = 1`, in database `analytics`. */
export interface SqlSession {
  /** The statement as the engine parses it, in the engine's own words; nothing of it is run. @throws StoreRefused SYNTAX_ERROR */
  canonical(text: string): Promise<string>
  /** What the engine parsed a SELECT to; nothing of it is evaluated. Give it canonical text only: more than one statement would run. */
  tree(canonical: string): Promise<string>
  /** Runs one statement. A signal ends it in the engine too; the call then rejects with the signal's reason. */
  run(sql: string, format: string, signal: AbortSignal): Promise<SqlAnswer>
  close(): void
}

/** ClickHouse for statements of people: they are not trusted. Errors are StoreRefused and StoreUnavailable. */
export interface SqlConsole {
  readonly version: string
  readonly timezone: string
  /** Statements that may run side by side without taking from others what they run on. */
  readonly sideBySide: number
  open(scope: SqlScope): Promise<SqlSession>
  /** Rows of a statement of ours about the engine itself. */
  inspect<Row>(sql: string): Promise<Row[]>
  close(): Promise<void>
}

export interface SqlConsoleOptions {
  /** `http://user:password@host:8123/millrace`; empty or missing = ClickHouse in this process. */
  readonly url?: string
  /** Folder of the embedded ClickHouse. A store of this process has to have it open. */
  readonly dataDir: string
}

/** Opens a way in for statements of people, beside the store of the same settings. @throws StoreUnavailable */
export function openSqlConsole({ url, dataDir }: SqlConsoleOptions): Promise<SqlConsole> {
  return url ? openServerConsole(url) : openEmbeddedConsole(dataDir)
}
