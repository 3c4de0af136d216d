import { setTimeout as sleep } from 'node:timers/promises'
import type { EmbeddedLane } from './embedded-lane.ts'
import { identifier } from './sql-text.ts'
import { StoreRefused, StoreUnavailable } from './store.ts'
import { toStoreError } from './store-error.ts'

/** How often the engine is asked while nobody inserts, as merges write too. Far below old_parts_lifetime of the tables. */
const ASK_MS = 5_000
/** How long a table that is still read is waited for, before whoever waits is told; and how often it is tried. */
const PATIENCE_MS = 5_000
const READ_MS = 50
const UNKNOWN_TABLE = 60
const TABLE_ALREADY_EXISTS = 57

/**
 * Notices that the embedded engine could not write a file, and undoes what that left. chDB counts such a write (a full
 * disk, a broken one) and goes on as if it had been done: a part of an insert or of a merge is then too short, and nobody
 * is told. A table that is loaded anew puts such parts aside, into its folder `detached`, and takes back those that a merge
 * was made of (docs/decisions/0017).
 */
export class FailedWrites {
  readonly #lane: Pick<EmbeddedLane, 'rows' | 'run'>
  readonly #onNotice: (text: string) => void
  readonly #timer: NodeJS.Timeout
  /** The engine's count when it was last looked at; it begins with the process. */
  #seen = 0
  #loaded = true
  /** Not attached again yet. */
  readonly #detached = new Set<string>()
  #turn: Promise<void> = Promise.resolve()

  constructor(lane: Pick<EmbeddedLane, 'rows' | 'run'>, onNotice: (text: string) => void) {
    this.#lane = lane
    this.#onNotice = onNotice
    // What fails is tried again, and whoever inserts is told.
    this.#timer = setInterval(() => void this.#check().catch(() => undefined), ASK_MS)
    this.#timer.unref()
  }

  /**
   * Runs a statement that writes, and undoes what its failed writes left, also when it fails itself.
   * @throws StoreUnavailable when any write of the engine failed meanwhile: what the statement wrote may be gone
   */
  async during<T>(statement: () => Promise<T>): Promise<T> {
    const before = this.#seen
    const result = await statement().catch(async (error: unknown) => {
      await this.#check()
      throw error
    })
    await this.#check()
    if (this.#seen !== before)
      throw new StoreUnavailable('The embedded ClickHouse could not write a file: is the disk full?')
    return result
  }

  /** @throws StoreUnavailable while a table may still hold what a failed write left: nobody is to take it for stored */
  assertLoaded(): void {
    if (!this.#loaded) throw new StoreUnavailable('The embedded ClickHouse loads its tables anew')
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#turn
  }

  /** One at a time. @throws errors of the engine; the tables are loaded with the next call then */
  #check(): Promise<void> {
    const result = this.#turn.then(() => this.#loadIfFailed())
    const note = (loaded: boolean) => () => {
      this.#loaded = loaded
    }
    this.#turn = result.then(note(true), note(false))
    return result
  }

  async #loadIfFailed(): Promise<void> {
    const failed = await this.#failedWrites()
    if (failed !== this.#seen) {
      this.#loaded = false
      for (const name of await this.#tables()) this.#detached.add(name)
      this.#onNotice(
        `${failed - this.#seen} writes to files of the embedded ClickHouse failed: its tables are loaded anew`,
      )
      this.#seen = failed
    }
    for (const name of this.#detached) {
      await this.#load(name)
      this.#detached.delete(name)
    }
  }

  async #failedWrites(): Promise<number> {
    const rows = await this.#lane.rows<{ value: string | number }>(
      "SELECT value FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'",
      {},
    )
    return Number(rows[0]?.value ?? 0)
  }

  async #tables(): Promise<string[]> {
    const rows = await this.#lane.rows<{ name: string }>(
      "SELECT name FROM system.tables WHERE database = 'millrace' AND engine LIKE '%MergeTree'",
      {},
    )
    return rows.map(({ name }) => name)
  }

  /** Whoever reads the table ends first. Another thread may be doing the same. */
  async #load(name: string): Promise<void> {
    const table = `millrace.${identifier(name)}`
    await this.#lane.run(`DETACH TABLE ${table}`, {}).catch(unless(UNKNOWN_TABLE))
    const until = performance.now() + PATIENCE_MS
    while (!(await this.#attach(table))) {
      if (performance.now() > until) throw new StoreUnavailable(`The table ${name} is still read: it is loaded later`)
      await sleep(READ_MS)
    }
  }

  /** The engine has one error for a table that is there and for one that is still read. */
  async #attach(table: string): Promise<boolean> {
    await this.#lane.run(`ATTACH TABLE ${table}`, {}).catch(unless(TABLE_ALREADY_EXISTS))
    const rows = await this.#lane.rows<{ result: number }>(`EXISTS TABLE ${table}`, {})
    return rows[0]?.result === 1
  }
}

const unless =
  (code: number) =>
  (error: unknown): void => {
    const known = toStoreError(error)
    if (!(known instanceof StoreRefused) || known.code !== code) throw known
  }
