import { hash, randomBytes } from 'node:crypto'

/** What a key may do. `admin` may do everything, on every site that the key names. */
export const KEY_SCOPES = ['ingest', 'read', 'sql', 'admin'] as const
export type KeyScope = (typeof KEY_SCOPES)[number]

/** A key as everybody knows it: without its secret, which is nowhere but with its owner. */
export interface Key {
  readonly id: string
  /** For people. */
  readonly name: string
  readonly scopes: readonly KeyScope[]
  /** Sites that it is for; empty = all. */
  readonly sites: readonly string[]
  /** RFC 3339, UTC. */
  readonly created_at: string
}

const ID_BYTES = 6
const SECRET_BYTES = 32
const KEY_TEXT = /^mr_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/

/** A new key's id, and its text `mr_<id>_<secret>`: shown once, kept by nobody but its owner. */
export function makeKeyText(): { id: string; text: string } {
  const id = randomBytes(ID_BYTES).toString('hex')
  return { id, text: `mr_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}` }
}

/** Whether a text has the form of a key. */
export const isKeyText = (text: string): boolean => KEY_TEXT.test(text)

/**
 * What is kept of a key's text: its SHA-256 in hex. No salt and no slow function: the secret is 256 random bits, which
 * nobody finds by trying, whereas every request with a key has to be hashed.
 */
export const hashKeyText = (text: string): string => hash('sha256', text, 'hex')
