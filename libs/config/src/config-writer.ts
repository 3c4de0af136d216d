import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppendInDoubt, type EventLog, type LogProducer } from '@millrace/log'
import { CONFIG, MillraceError, type SiteSettings } from '@millrace/shared'
import type { ConfigBook } from './config-book.ts'
import { hashKeyText, type Key, makeKeyText } from './key.ts'
import { noteChanges } from './note-changes.ts'
import type { SiteGoal } from './pages.ts'
import { type ConfigEntry, encodeEntry, type SiteRecord } from './record.ts'
import { checkSiteId, type FilterCheck, readGoal, readKeyInput, readSettings, splitNulls } from './validate.ts'

/** A site as it is after a change, and what the change does not do by itself. */
export interface SiteChange {
  readonly id: string
  readonly record: SiteRecord
  /** Sentences for the person who made the change. */
  readonly notes: readonly string[]
}

/** A new key. Its text is nowhere else, and cannot be had again. */
export interface NewKey {
  readonly key: Key
  readonly text: string
}

/**
 * Writes millrace.config. What it has written is in the book, and in force here, when a call resolves; everywhere else a
 * moment later. Of two writers that change one site at once, the later one's settings stay.
 */
export interface ConfigWriter {
  /** @throws MillraceError site_exists, site_invalid, or what is wrong with the settings */
  addSite(id: unknown, settings: unknown): Promise<SiteChange>
  /** The site is told exactly this; it is made if it does not exist. @throws MillraceError site_invalid, or what is wrong */
  putSite(id: unknown, settings: unknown): Promise<SiteChange>
  /** The site is told this too; null = the default again. @throws MillraceError site_unknown, or what is wrong */
  changeSite(id: string, settings: unknown): Promise<SiteChange>
  /** Its goals go with it. Its hits stay until they are deleted; new ones are refused. @throws MillraceError site_unknown */
  removeSite(id: string): Promise<void>
  /** @throws MillraceError site_unknown, goal_exists, config_invalid for one too many, or what is wrong with the goal */
  addGoal(site: string, id: unknown, goal: unknown, checkFilter: FilterCheck): Promise<SiteGoal>
  /** The goal is exactly this; it is made if it does not exist. @throws MillraceError as addGoal */
  putGoal(site: string, id: string, goal: unknown, checkFilter: FilterCheck): Promise<SiteGoal>
  /** @throws MillraceError site_unknown, goal_unknown */
  removeGoal(site: string, id: string): Promise<void>
  /** @throws MillraceError with what is wrong with the input */
  addKey(input: unknown): Promise<NewKey>
  /** @throws MillraceError key_unknown */
  revokeKey(id: string): Promise<void>
  /** From now on the enricher goes on at raw offset `to`, although the records from `from` on are missing. @throws MillraceError log_unavailable */
  acceptGap(partition: number, from: number, to: number): Promise<void>
  /**
   * Makes the installation's secret if there is none, and with it, so at the very first start only, `firstSites`. Of
   * several that do this at once the first in the log counts, for ever.
   */
  ensureInstallation(firstSites?: readonly string[]): Promise<void>
  close(): Promise<void>
}

const SECRET_BYTES = 32
/** Every query for conversions counts all of them. */
const MAX_GOALS = 100
const RETRIES = 5
const RETRY_MS = 200

/** A writer beside the book that reads the same topic. `clock` is epoch milliseconds. */
export function openConfigWriter(log: EventLog, book: ConfigBook, clock: () => number = Date.now): ConfigWriter {
  return new Writer(log, book, clock)
}

class Writer implements ConfigWriter {
  readonly #producer: LogProducer
  readonly #book: ConfigBook
  readonly #clock: () => number
  /** One change after the other: each is made of what the one before has left. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(log: EventLog, book: ConfigBook, clock: () => number) {
    this.#producer = log.producer()
    this.#book = book
    this.#clock = clock
  }

  addSite(id: unknown, settings: unknown): Promise<SiteChange> {
    return this.#inTurn(() => {
      checkSiteId(id)
      if (this.#book.settingsOf(id)) throw new MillraceError('site_exists', `There is a site ${id} already.`)
      return this.#writeSite(id, readSettings(settings))
    })
  }

  putSite(id: unknown, settings: unknown): Promise<SiteChange> {
    return this.#inTurn(() => {
      checkSiteId(id)
      return this.#writeSite(id, readSettings(settings))
    })
  }

  changeSite(id: string, settings: unknown): Promise<SiteChange> {
    return this.#inTurn(() => {
      const { set, unset } = splitNulls(settings)
      const merged: Record<string, unknown> = { ...this.#siteOf(id).settings, ...readSettings(set) }
      for (const name of unset) delete merged[name]
      return this.#writeSite(id, merged as Partial<SiteSettings>)
    })
  }

  removeSite(id: string): Promise<void> {
    return this.#inTurn(() => {
      this.#siteOf(id)
      return this.#write([{ kind: 'site', id, value: null }, ...this.#withoutGoals(id)])
    })
  }

  addGoal(site: string, id: unknown, goal: unknown, checkFilter: FilterCheck): Promise<SiteGoal> {
    return this.#inTurn(() => this.#writeGoal(site, id, goal, { checkFilter, isNew: true }))
  }

  putGoal(site: string, id: string, goal: unknown, checkFilter: FilterCheck): Promise<SiteGoal> {
    return this.#inTurn(() => this.#writeGoal(site, id, goal, { checkFilter, isNew: false }))
  }

  removeGoal(site: string, id: string): Promise<void> {
    return this.#inTurn(() => {
      this.#siteOf(site)
      if (!this.#goalOf(site, id)) throw new MillraceError('goal_unknown', 'The site has no goal with this id.')
      return this.#write([{ kind: 'goal', id: `${site}/${id}`, value: null }])
    })
  }

  addKey(input: unknown): Promise<NewKey> {
    return this.#inTurn(async () => {
      const { name = '', scopes, sites = [] } = readKeyInput(input, (site) => this.#book.settingsOf(site) !== null)
      const { id, text } = makeKeyText()
      const key: Key = { id, name, scopes: [...scopes], sites: [...sites], created_at: this.#now() }
      await this.#write([{ kind: 'key', id, value: { key, hash: hashKeyText(text) } }])
      return { key, text }
    })
  }

  revokeKey(id: string): Promise<void> {
    return this.#inTurn(() => {
      if (!this.#book.keys().has(id)) throw new MillraceError('key_unknown', 'There is no key with this id.')
      return this.#write([{ kind: 'key', id, value: null }])
    })
  }

  acceptGap(partition: number, from: number, to: number): Promise<void> {
    return this.#inTurn(() =>
      this.#write([{ kind: 'gap', id: `${partition}/${from}`, value: { to, accepted_at: this.#now() } }]),
    )
  }

  ensureInstallation(firstSites: readonly string[] = []): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#book.installationSecret() !== null) return
      const now = this.#now()
      const site = { settings: {}, created_at: now, updated_at: now }
      await this.#write([
        ...firstSites.map((id) => ({ kind: 'site', id, value: site }) as const),
        { kind: 'installation', id: randomUUID(), value: { secret: randomBytes(SECRET_BYTES) } },
      ])
    })
  }

  async close(): Promise<void> {
    await this.#last.catch(() => {})
    await this.#producer.close()
  }

  #siteOf(id: string): SiteRecord {
    const record = this.#book.siteRecords().get(id)
    if (!record) throw new MillraceError('site_unknown', 'There is no site with this id.')
    return record
  }

  async #writeSite(id: string, settings: Partial<SiteSettings>): Promise<SiteChange> {
    const before = this.#book.siteRecords().get(id) ?? null
    const now = this.#now()
    const record: SiteRecord = { settings, created_at: before?.created_at ?? now, updated_at: now }
    // Goals that another writer added while the site of that name was removed are none of the new one's.
    await this.#write([{ kind: 'site', id, value: record }, ...(before ? [] : this.#withoutGoals(id))])
    return { id, record, notes: before ? noteChanges(id, before.settings, settings) : [] }
  }

  async #writeGoal(
    site: string,
    givenId: unknown,
    goal: unknown,
    { checkFilter, isNew }: { readonly checkFilter: FilterCheck; readonly isNew: boolean },
  ): Promise<SiteGoal> {
    this.#siteOf(site)
    const { id, settings } = readGoal(givenId, goal, checkFilter)
    const before = this.#goalOf(site, id)
    if (before && isNew) throw new MillraceError('goal_exists', `The site has a goal ${id} already.`)
    if (!before && this.#book.goalsOf(site).length >= MAX_GOALS) {
      throw new MillraceError('config_invalid', `A site has at most ${MAX_GOALS} goals.`)
    }
    const now = this.#now()
    const record = { settings, created_at: before?.created_at ?? now, updated_at: now }
    await this.#write([{ kind: 'goal', id: `${site}/${id}`, value: record }])
    return { id, ...record }
  }

  #goalOf(site: string, id: string): SiteGoal | undefined {
    return this.#book.goalsOf(site).find((goal) => goal.id === id)
  }

  #withoutGoals(site: string): ConfigEntry[] {
    return this.#book.goalsOf(site).map(({ id }) => ({ kind: 'goal', id: `${site}/${id}`, value: null }))
  }

  /** In one append, so that all of it is there or nothing. In doubt it is written again: the same twice is the same. */
  async #write(entries: readonly ConfigEntry[]): Promise<void> {
    const records = entries.map(encodeEntry)
    for (let attempt = 1; ; attempt++) {
      try {
        const bases = await this.#producer.append(CONFIG.name, new Map([[0, records]]))
        await this.#book.waitFor(bases.get(0)! + records.length - 1)
        return
      } catch (error) {
        if (!(error instanceof AppendInDoubt)) throw error
        if (attempt === RETRIES) {
          throw new MillraceError('log_unavailable', 'The log did not take the change; it may come into force later.')
        }
        await sleep(RETRY_MS * attempt)
      }
    }
  }

  #now(): string {
    return new Date(this.#clock()).toISOString()
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(change, change)
    this.#last = turn
    turn.catch(() => {})
    return turn
  }
}
