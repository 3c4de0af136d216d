import type { StoredRecord } from '@millrace/log'
import { DEFAULT_SITE_SETTINGS, type SiteSettings } from '@millrace/shared'
import { hashKeyText, isKeyText, type Key } from './key.ts'
import { decodeEntry, type GapRecord, type GoalRecord, type KeyRecord, type SiteRecord } from './record.ts'

/** A conversion goal of a site. */
export interface SiteGoal extends GoalRecord {
  readonly id: string
}

/** What millrace.config says, as far as its records were read into it. */
export class ConfigPages {
  /** Offset of the last record read; -1 = none. */
  at = -1
  readonly sites = new Map<string, SiteSettings>()
  readonly siteRecords = new Map<string, SiteRecord>()
  readonly keys = new Map<string, Key>()
  /** By site, in the order of their ids; maybe of a site that one writer removed while another added a goal. */
  readonly goals = new Map<string, readonly SiteGoal[]>()
  /** Holes of hits.raw that were accepted, by PARTITION/FROM. */
  readonly gaps = new Map<string, number>()
  /** The first record decides; each has a key of its own in the topic, so compaction leaves them all. */
  installationSecret: Buffer | null = null
  readonly #keysByHash = new Map<string, Key>()
  readonly #hashes = new Map<string, string>()

  /** Takes records in the order of the log; what was read before is left out. True = something was new. */
  read(records: readonly StoredRecord[]): boolean {
    const before = this.at
    for (const record of records) {
      if (record.offset <= this.at) continue
      this.#take(record)
      this.at = record.offset
    }
    return this.at > before
  }

  /** The key of a text; null = unknown, or revoked. */
  keyOf(text: string): Key | null {
    return isKeyText(text) ? (this.#keysByHash.get(hashKeyText(text)) ?? null) : null
  }

  /** Keeps the objects of `older` for sites and their goals that are as they were, because others remember things by them. */
  adopt(older: ConfigPages): void {
    for (const [site, record] of this.siteRecords) {
      const known = older.siteRecords.get(site)
      if (known && JSON.stringify(known) === JSON.stringify(record)) this.sites.set(site, older.sites.get(site)!)
    }
    for (const [site, goals] of this.goals) {
      const known = older.goals.get(site)
      if (known && JSON.stringify(known) === JSON.stringify(goals)) this.goals.set(site, known)
    }
    this.installationSecret = older.installationSecret ?? this.installationSecret
  }

  #take(record: StoredRecord): void {
    const entry = decodeEntry(record)
    if (entry === null) return
    if (entry.kind === 'site') this.#setSite(entry.id, entry.value)
    else if (entry.kind === 'key') this.#setKey(entry.id, entry.value)
    else if (entry.kind === 'goal') this.#setGoal(entry.id, entry.value)
    else if (entry.kind === 'gap') this.#setGap(entry.id, entry.value)
    else this.installationSecret ??= entry.value?.secret ?? null
  }

  #setSite(id: string, record: SiteRecord | null): void {
    this.siteRecords.delete(id)
    this.sites.delete(id)
    if (record === null) return
    this.siteRecords.set(id, record)
    this.sites.set(id, Object.freeze({ ...DEFAULT_SITE_SETTINGS, ...record.settings }))
  }

  #setGoal(path: string, record: GoalRecord | null): void {
    const [site, id] = path.split('/') as [string, string]
    const others = (this.goals.get(site) ?? []).filter((goal) => goal.id !== id)
    const goals = record === null ? others : [...others, { id, ...record }].sort((a, b) => (a.id < b.id ? -1 : 1))
    if (goals.length > 0) this.goals.set(site, Object.freeze(goals))
    else this.goals.delete(site)
  }

  #setGap(id: string, record: GapRecord | null): void {
    if (record === null) this.gaps.delete(id)
    else this.gaps.set(id, record.to)
  }

  #setKey(id: string, record: KeyRecord | null): void {
    this.#keysByHash.delete(this.#hashes.get(id) ?? '')
    this.#hashes.delete(id)
    this.keys.delete(id)
    if (record === null) return
    this.keys.set(id, record.key)
    this.#hashes.set(id, record.hash)
    this.#keysByHash.set(record.hash, record.key)
  }
}
