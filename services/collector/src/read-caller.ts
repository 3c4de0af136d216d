import type { ConfigBook, Key } from '@millrace/config'
import { MillraceError } from '@millrace/shared'

/** Whose request it is: the key it came with; null = anybody's. */
export type Caller = Key | null

const BEARER = /^bearer +(\S+) *$/i

/**
 * The key of a request's Authorization. Only a bearer token claims to be a key: a browser adds the password of a protected
 * page to requests by itself, and its hits are anybody's.
 * @throws MillraceError unauthorized: nobody's key; forbidden: one that may not send hits
 */
export function readCaller(config: Pick<ConfigBook, 'keyOf'>, authorization: string | undefined): Caller {
  if (authorization === undefined) return null
  const [, text] = BEARER.exec(authorization) ?? []
  if (text === undefined) return null
  const key = config.keyOf(text)
  if (key === null) throw new MillraceError('unauthorized', 'The key is not known, or was revoked.')
  if (key.scopes.includes('ingest') || key.scopes.includes('admin')) return key
  throw new MillraceError('forbidden', 'The key lacks the scope ingest.')
}
