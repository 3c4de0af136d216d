import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog, Following, LogAdmin, LogReader } from '@millrace/log'
import { CONFIG, type SiteSettings } from '@millrace/shared'
import type { Key } from './key.ts'
import { ConfigPages, type SiteGoal } from './pages.ts'
import type { SiteRecord } from './record.ts'

/** Sites, their goals, keys and the installation's secret, in memory, following millrace.config. */
export interface ConfigBook {
  /** Offset up to which millrace.config was read: `config_at` of raw lines; -1 = nothing was there. */
  at(): number
  /** null = there is no such site. The same object until the site changes, so that others may remember things by it. */
  settingsOf(site: string): SiteSettings | null
  /** null = nobody's key, or revoked. */
  keyOf(secret: string): Key | null
  sites(): ReadonlyMap<string, SiteSettings>
  /** What sites were told themselves, and when. */
  siteRecords(): ReadonlyMap<string, SiteRecord>
  /** Conversion goals of a site, in the order of their ids. The same object until one of them changes. */
  goalsOf(site: string): readonly SiteGoal[]
  /** By id. */
  keys(): ReadonlyMap<string, Key>
  /** Where the enricher may go on past a hole of hits.raw that begins at `from`; null = nobody has accepted it. */
  gapAt(partition: number, from: number): number | null
  /** 32 random bytes, the same for every service and for ever; null = not made yet. It is part of the hash of `user` ids. */
  installationSecret(): Buffer | null
  /**
   * Resolves when everything up to `offset` was read, and after a moment for an offset that the topic never had.
   * @throws Error when `signal` or close() ends the waiting
   */
  waitFor(offset: number, signal?: AbortSignal): Promise<void>
  /** `listener` is called after every change. Returns how to end that. */
  onChange(listener: () => void): () => void
  /** Why the book may be out of date; null = it is not. */
  problem(): string | null
  close(): Promise<void>
}

export interface ConfigBookOptions {
  /** Told when the topic can no longer be followed (it is tried again), and null when it can be again. */
  readonly onProblem?: (problem: string | null) => void
}

const NO_GOALS: readonly SiteGoal[] = Object.freeze([])
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5_000
const LOOK_MS = 200
/** A new leader may know of less for a moment than the old one did: an end below the offset counts after this time. */
const PATIENCE_MS = 5_000

/** Reads millrace.config and follows it. @throws Error when the topic cannot be read: try again */
export async function openConfigBook(log: EventLog, options: ConfigBookOptions = {}): Promise<ConfigBook> {
  const book = new FollowedBook(log, options)
  try {
    await book.begin()
    return book
  } catch (error) {
    await book.close()
    throw error
  }
}

class FollowedBook implements ConfigBook {
  readonly #reader: LogReader
  readonly #admin: LogAdmin
  readonly #options: ConfigBookOptions
  readonly #listeners = new Set<() => void>()
  readonly #closing = new AbortController()
  #pages = new ConfigPages()
  #following: Following | null = null
  #keepingOn: Promise<void> = Promise.resolve()
  #problem: string | null = null
  /** Nobody has to wait up to here any more: it turned out that there is nothing to wait for. */
  #waitedFor = -1

  constructor(log: EventLog, options: ConfigBookOptions) {
    this.#reader = log.reader()
    this.#admin = log.admin()
    this.#options = options
  }

  async begin(): Promise<void> {
    await this.#read()
    this.#keepingOn = this.#keepOn()
  }

  at(): number {
    return this.#pages.at
  }

  settingsOf(site: string): SiteSettings | null {
    return this.#pages.sites.get(site) ?? null
  }

  keyOf(secret: string): Key | null {
    return this.#pages.keyOf(secret)
  }

  sites(): ReadonlyMap<string, SiteSettings> {
    return this.#pages.sites
  }

  siteRecords(): ReadonlyMap<string, SiteRecord> {
    return this.#pages.siteRecords
  }

  gapAt(partition: number, from: number): number | null {
    return this.#pages.gaps.get(`${partition}/${from}`) ?? null
  }

  goalsOf(site: string): readonly SiteGoal[] {
    return this.#pages.goals.get(site) ?? NO_GOALS
  }

  keys(): ReadonlyMap<string, Key> {
    return this.#pages.keys
  }

  installationSecret(): Buffer | null {
    return this.#pages.installationSecret
  }

  problem(): string | null {
    return this.#problem
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async waitFor(offset: number, signal?: AbortSignal): Promise<void> {
    const startedAt = performance.now()
    while (Math.max(this.#pages.at, this.#waitedFor) < offset) {
      signal?.throwIfAborted()
      if (this.#closing.signal.aborted) throw new Error('millrace.config is no longer followed')
      await this.#nextChange(LOOK_MS)
      if (this.#pages.at >= offset) return
      // The record may have been compacted away before it came here, or be of a topic that was made anew.
      const end = (await this.#admin.endOffsets(CONFIG.name)).get(0) ?? 0
      if (end > offset ? await this.#isCompacted(offset) : performance.now() - startedAt > PATIENCE_MS) {
        this.#waitedFor = Math.max(offset, this.#waitedFor)
      }
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#following?.stop()
    await this.#keepingOn
    await this.#reader.close()
    await this.#admin.close()
  }

  /** From the oldest record to the end of the topic, into new pages, which become the book's; then it goes on with them. */
  async #read(): Promise<void> {
    const pages = new ConfigPages()
    const end = (await this.#admin.endOffsets(CONFIG.name)).get(0) ?? 0
    this.#following = this.#reader.follow(CONFIG.name, (_, records) => {
      if (pages.read(records) && pages === this.#pages) this.#tell()
    })
    await this.#following.caughtUp
    // The last records may have been deletions that compaction has taken away.
    pages.at = Math.max(pages.at, end - 1)
    pages.adopt(this.#pages)
    this.#pages = pages
    this.#tell()
  }

  /** Begins anew, later and later, whenever following ends by itself. What was read stays in force meanwhile. */
  async #keepOn(): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; !this.#closing.signal.aborted; ) {
      try {
        await this.#following?.done
        if (this.#closing.signal.aborted) return
        await this.#read()
        this.#setProblem(null)
        pauseMs = FIRST_PAUSE_MS
      } catch (error) {
        if (this.#closing.signal.aborted) return
        this.#following = null
        this.#setProblem(`millrace.config is not followed: ${(error as Error).message}`)
        await sleep(pauseMs, undefined, { signal: this.#closing.signal }).catch(() => {})
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
      }
    }
  }

  async #isCompacted(offset: number): Promise<boolean> {
    for await (const records of this.#reader.read(CONFIG.name, 0, this.#pages.at + 1, offset + 1)) {
      if (records.length > 0) return false
    }
    return true
  }

  async #nextChange(longestMs: number): Promise<void> {
    let end = (): void => {}
    const changed = new Promise<void>((resolve) => {
      end = this.onChange(resolve)
    })
    const abort = new AbortController()
    await Promise.race([changed, sleep(longestMs, undefined, { signal: abort.signal }).catch(() => {})])
    abort.abort()
    end()
  }

  #setProblem(problem: string | null): void {
    if (problem === this.#problem) return
    this.#problem = problem
    this.#options.onProblem?.(problem)
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
