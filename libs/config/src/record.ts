/** Records of millrace.config: `site/ID`, `key/ID`, `goal/SITE/ID`, `gap/PARTITION/FROM`, `installation/ID`. Values are JSON with `v`; null deletes. */
import type { LogRecord, StoredRecord } from '@millrace/log'
import { DEFAULT_SITE_SETTINGS, type GoalSettings, SITE_PATTERN, type SiteSettings } from '@millrace/shared'
import { isGoal } from './goal-form.ts'
import { KEY_SCOPES, type Key, type KeyScope } from './key.ts'

const VERSION = 1
const SECRET_BYTES = 32
const SITE_ID = new RegExp(SITE_PATTERN)

/** A site as it was written: only what it was told, and when. */
export interface SiteRecord {
  readonly settings: Partial<SiteSettings>
  /** RFC 3339, UTC. */
  readonly created_at: string
  readonly updated_at: string
}

/** A conversion goal as it was written. */
export interface GoalRecord {
  readonly settings: GoalSettings
  /** RFC 3339, UTC. */
  readonly created_at: string
  readonly updated_at: string
}

/** A key as it was written. */
export interface KeyRecord {
  readonly key: Key
  /** SHA-256 of its text, in hex. */
  readonly hash: string
}

/** A hole of hits.raw that the operator has accepted: the enricher goes on at `to`. */
export interface GapRecord {
  readonly to: number
  /** RFC 3339, UTC. */
  readonly accepted_at: string
}

/** What a record says; `value` is null where it deletes. */
export type ConfigEntry =
  | { readonly kind: 'site'; readonly id: string; readonly value: SiteRecord | null }
  | { readonly kind: 'key'; readonly id: string; readonly value: KeyRecord | null }
  /** The id is SITE/ID: neither has a slash. */
  | { readonly kind: 'goal'; readonly id: string; readonly value: GoalRecord | null }
  /** The id is PARTITION/FROM: the first raw offset that is missing. */
  | { readonly kind: 'gap'; readonly id: string; readonly value: GapRecord | null }
  | { readonly kind: 'installation'; readonly id: string; readonly value: { readonly secret: Buffer } | null }

/** The record of an entry. */
export function encodeEntry({ kind, id, value }: ConfigEntry): LogRecord {
  const text =
    value === null ? null : JSON.stringify({ v: VERSION, ...(shown({ kind, value } as ConfigEntry) as object) })
  return { key: Buffer.from(`${kind}/${id}`), value: text === null ? null : Buffer.from(text) }
}

function shown(entry: Pick<ConfigEntry, 'kind' | 'value'>): unknown {
  if (entry.kind === 'key') {
    const { key, hash } = entry.value as KeyRecord
    const { id: _, ...rest } = key
    return { ...rest, hash }
  }
  return entry.kind === 'installation'
    ? { secret: (entry.value as { secret: Buffer }).secret.toString('base64') }
    : entry.value
}

/**
 * What a record says; null = nothing that this program knows: of a newer kind, or damaged. Fields of a site that a newer
 * program wrote are left out.
 */
export function decodeEntry(stored: Pick<StoredRecord, 'key' | 'value'>): ConfigEntry | null {
  const [, kind, id] = /^(site|key|goal|gap|installation)\/(.+)$/s.exec(stored.key?.toString() ?? '') ?? []
  if (kind === undefined || id === undefined) return null
  if (stored.value === null) return { kind: kind as ConfigEntry['kind'], id, value: null }
  const value = parse(stored.value)
  if (value === null || typeof value.v !== 'number') return null
  if (kind === 'site') return decodeSite(id, value)
  if (kind === 'key') return decodeKey(id, value)
  if (kind === 'goal') return decodeGoal(id, value)
  if (kind === 'gap') return decodeGap(id, value)
  const secret = Buffer.from(String(value.secret), 'base64')
  return secret.length === SECRET_BYTES ? { kind: 'installation', id, value: { secret } } : null
}

function decodeSite(id: string, value: Record<string, unknown>): ConfigEntry | null {
  const { settings } = value
  if (!SITE_ID.test(id) || typeof settings !== 'object' || settings === null) return null
  const known = Object.entries(settings).filter(([name]) => Object.hasOwn(DEFAULT_SITE_SETTINGS, name))
  return {
    kind: 'site',
    id,
    value: {
      settings: Object.fromEntries(known) as Partial<SiteSettings>,
      created_at: String(value.created_at),
      updated_at: String(value.updated_at),
    },
  }
}

/** A goal of a newer program is left out as a whole: without a field that it has it would count something else. */
function decodeGoal(id: string, { settings, created_at, updated_at }: Record<string, unknown>): ConfigEntry | null {
  const parts = id.split('/')
  if (parts.length !== 2 || !parts.every((part) => SITE_ID.test(part)) || !isGoal(settings)) return null
  return { kind: 'goal', id, value: { settings, created_at: String(created_at), updated_at: String(updated_at) } }
}

function decodeGap(id: string, { to, accepted_at }: Record<string, unknown>): ConfigEntry | null {
  if (!/^\d+\/\d+$/.test(id) || !Number.isSafeInteger(to)) return null
  return { kind: 'gap', id, value: { to: to as number, accepted_at: String(accepted_at) } }
}

function decodeKey(id: string, value: Record<string, unknown>): ConfigEntry | null {
  const { scopes, sites, hash } = value
  if (!Array.isArray(scopes) || !Array.isArray(sites) || typeof hash !== 'string') return null
  const known = scopes.filter((scope): scope is KeyScope => (KEY_SCOPES as readonly unknown[]).includes(scope))
  const key: Key = {
    id,
    name: String(value.name ?? ''),
    scopes: known,
    sites: sites.map(String),
    created_at: String(value.created_at),
  }
  return { kind: 'key', id, value: { key, hash } }
}

function parse(bytes: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
