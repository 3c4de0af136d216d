import { readFileSync } from 'node:fs'

/** What kind of place a source is. `other` = known by name, and a referral like any other. */
export const SOURCE_KINDS = [
  'search',
  'social',
  'video',
  'shopping',
  'ai',
  'mail',
  'chat',
  'news',
  'audio',
  'push',
  'sms',
  'other',
] as const
export type SourceKind = (typeof SOURCE_KINDS)[number]

/** One place that sends visitors, whatever hosts, apps and tags it has. */
export interface Source {
  readonly name: string
  readonly kind: SourceKind
}

/** A row of data/sources.tsv. */
export interface SourceRow extends Source {
  readonly hosts: readonly string[]
  /** Package names of Android apps. */
  readonly apps: readonly string[]
  /** Values of utm_source, in lower case, besides the name and the hosts. */
  readonly tags: readonly string[]
  /** Where the row is from. */
  readonly source: string
}

/** `.*` at the end of a host: one label, or a second level such as `co.` or `com.` and a country. */
const ANY_TOP_LEVEL = /\.(?:[a-z]{2,3}|(?:com?|net|org)\.[a-z]{2})$/
const MAX_LABELS = 10

const words = (cell: string): string[] => cell.split(' ').filter((word) => word !== '')

/** The rows of a table with the columns name, kind, hosts, apps, tags, source. */
function parseSources(table: string): SourceRow[] {
  return table
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [name, kind, hosts, apps, tags, source] = line.split('\t') as [string, SourceKind, ...string[]]
      return { name, kind, hosts: words(hosts!), apps: words(apps!), tags: words(tags!), source: source! }
    })
}

/** Sources by what tells them. */
export class SourceTable {
  readonly #hosts = new Map<string, Source>()
  readonly #apps = new Map<string, Source>()
  readonly #tags = new Map<string, Source>()

  constructor(rows: readonly SourceRow[]) {
    for (const { name, kind, hosts, apps, tags } of rows) {
      const source: Source = { name, kind }
      for (const host of hosts) this.#hosts.set(host, source)
      for (const app of apps) this.#apps.set(app.toLowerCase(), source)
      for (const tag of [name.toLowerCase(), ...tags]) if (!this.#tags.has(tag)) this.#tags.set(tag, source)
    }
  }

  /** The source whose host is `host` (lower case) or the nearest domain above it; null = unknown. */
  ofHost(host: string): Source | null {
    const wild = host.replace(ANY_TOP_LEVEL, '.*')
    for (let from = 0, label = 0; label < MAX_LABELS; label++) {
      const found = this.#hosts.get(host.slice(from)) ?? this.#hosts.get(wild.slice(from))
      if (found) return found
      from = host.indexOf('.', from) + 1
      if (from === 0 || from >= wild.length) return null
    }
    return null
  }

  /** The source of an Android app, by its package name; null = unknown. */
  ofApp(packageName: string): Source | null {
    return this.#apps.get(packageName.toLowerCase()) ?? null
  }

  /** The source that a value of utm_source means, in any case: a tag, a name or a host; null = unknown. */
  ofTag(value: string): Source | null {
    const tag = value.trim().toLowerCase()
    const found = this.#tags.get(tag)
    if (found) return found
    return tag.includes('.') ? this.ofHost(tag) : null
  }
}

/** The rows of our own table, in its order. */
export const SOURCE_ROWS: readonly SourceRow[] = parseSources(
  readFileSync(new URL('../../data/sources.tsv', import.meta.url), 'utf8'),
)

/** Our own table of sources: data/sources.tsv, described in docs/reference/sources.md. */
export const SOURCES = new SourceTable(SOURCE_ROWS)
