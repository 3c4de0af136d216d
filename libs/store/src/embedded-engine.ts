import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { open, rm, statfs } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type EmbeddedConnection, EmbeddedLane } from './embedded-lane.ts'
import type { Engine, InsertStatement } from './engine.ts'
import { FailedWrites } from './failed-writes.ts'
import { lowerMerges } from './lower-merges.ts'
import { literal } from './sql-text.ts'
import { type CommandOptions, type QueryOptions, StoreUnavailable } from './store.ts'
import { toStoreError } from './store-error.ts'

export interface EmbeddedOptions {
  readonly dataDir: string
  /** `write`: inserts, and one connection for queries. `read`: queries only. `all`: both. At most one store of a folder writes. */
  readonly role: 'write' | 'read' | 'all'
  /** Connections that run queries side by side. */
  readonly queryConnections: number
  /** Told what happens by itself. */
  readonly onNotice?: (text: string) => void
}

/** What a statement finds free at least. A file of the schema or of a deletion that is cut off keeps the engine from starting again. */
const ROOM_BYTES = 16 * 1024 ** 2

/**
 * Opens ClickHouse in this process on `<dataDir>/clickhouse`. A process can have one data folder, a folder one process;
 * any number of stores and threads of the process may open it. The main thread has to open a store (or import chdb) before
 * other threads do, and a thread that used it has to live until the process exits: else the engine hangs or crashes.
 * @throws StoreUnavailable when another process has the folder
 */
export async function openEmbeddedEngine(options: EmbeddedOptions): Promise<Engine> {
  const { dataDir, role, queryConnections, onNotice = () => undefined } = options
  // Not imported where a server is used: it loads the engine, some 500 MB.
  const { createChdbConnection } = await import('chdb/connection')
  const path = resolve(dataDir, 'clickhouse')
  const spool = resolve(dataDir, 'inserts')
  mkdirSync(path, { recursive: true })
  // chdb is typed against another copy of the client's types
  const openLane = () => new EmbeddedLane(createChdbConnection({ path }) as unknown as EmbeddedConnection)
  try {
    const queries = Array.from({ length: role === 'write' ? 1 : queryConnections }, openLane)
    const admin = openLane()
    const inserts = role === 'read' ? null : openLane()
    if (inserts) emptySpool(spool)
    lowerMerges()
    const writing = inserts && { lane: inserts, failed: new FailedWrites(admin, onNotice) }
    return new EmbeddedEngine({ queries, admin, writing, spool })
  } catch (error) {
    throw new StoreUnavailable(
      `The embedded ClickHouse cannot open ${path} (does another process use it?): ${(error as Error).message}`,
    )
  }
}

/** Removes the files of inserts that were under way when the process last died. */
function emptySpool(spool: string): void {
  mkdirSync(spool, { recursive: true })
  for (const name of readdirSync(spool)) rmSync(join(spool, name), { force: true })
}

interface Lanes {
  readonly queries: readonly EmbeddedLane[]
  /** For what must not wait behind queries and inserts: the clock, KILL, statements about the schema. */
  readonly admin: EmbeddedLane
  /** Where inserts run, and what looks after all writes; null where nothing is inserted. */
  readonly writing: { readonly lane: EmbeddedLane; readonly failed: FailedWrites } | null
  readonly spool: string
}

class EmbeddedEngine implements Engine {
  readonly shared = false
  readonly #lanes: Lanes
  constructor(lanes: Lanes) {
    this.#lanes = lanes
  }

  async query<Row>(sql: string, options: QueryOptions): Promise<Row[]> {
    this.#lanes.writing?.failed.assertLoaded()
    return typed(this.#leastBusy().rows<Row>(sql, options))
  }

  async command(sql: string, options: CommandOptions): Promise<void> {
    const { writing, spool } = this.#lanes
    const run = () => this.#leastBusy().run(sql, options)
    if (!writing) return typed(run())
    await typed(assertRoom(spool))
    await typed(writing.failed.during(run))
  }

  inspect<Row>(sql: string): Promise<Row[]> {
    return typed(this.#lanes.admin.rows<Row>(sql, {}))
  }

  async insert(statement: InsertStatement, blocks: readonly Buffer[], signal: AbortSignal): Promise<void> {
    const { writing, spool } = this.#lanes
    if (!writing) throw new StoreUnavailable('This store was opened for reading only')
    const path = join(spool, `${randomUUID()}.native`)
    try {
      await typed(writeBlocks(path, blocks))
      const from = `file(${literal(path)}, 'Native', ${literal(statement.structure)})`
      const select = statement.select ? statement.select(from) : `SELECT ${statement.columns} FROM ${from}`
      const run = () =>
        writing.lane.run(`INSERT INTO ${statement.into} ${select}`, { settings: statement.settings, signal })
      await typed(writing.failed.during(run))
    } finally {
      await rm(path, { force: true }).catch(() => undefined)
    }
  }

  async close(): Promise<void> {
    const { queries, admin, writing } = this.#lanes
    await writing?.failed.close()
    await Promise.all([...queries, ...(writing ? [writing.lane] : []), admin].map((lane) => lane.close()))
  }

  #leastBusy(): EmbeddedLane {
    return this.#lanes.queries.reduce((best, lane) => (lane.pending < best.pending ? lane : best))
  }
}

const typed = <T>(result: Promise<T>): Promise<T> =>
  result.catch((error: unknown) => {
    throw toStoreError(error)
  })

/** Not synced: the file only carries bytes into the engine, which syncs its own parts. */
async function writeBlocks(path: string, blocks: readonly Buffer[]): Promise<void> {
  const file = await open(path, 'wx')
  try {
    for (const block of blocks) await file.writeFile(block)
  } finally {
    await file.close()
  }
}

/** @throws StoreUnavailable when the disk is nearly full */
async function assertRoom(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < ROOM_BYTES) throw new StoreUnavailable(`Less than 16 MB are free in ${folder}`)
}
