/** What requests about the stored rows of one site have in common. */
import { accessOf, type FastifyRequest, isForSite } from '@millrace/server'
import { MillraceError } from '@millrace/shared'
import { StoreRefused, StoreUnavailable } from '@millrace/store'

export interface OfSite {
  Params: { id: string }
}

/** @throws MillraceError forbidden */
export function allowedSite(request: FastifyRequest<OfSite>): string {
  const { id } = request.params
  if (isForSite(accessOf(request), id)) return id
  throw new MillraceError('forbidden', 'The key is not for this site.')
}

/** Errors of the store are answered as such. */
export async function asking<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof StoreUnavailable || error instanceof StoreRefused)
      throw new MillraceError('store_unavailable', 'The store did not answer. What was begun is continued by itself.')
    throw error
  }
}

/** A body of JSON; none is an empty object. @throws MillraceError json_invalid */
export async function readJson(_request: unknown, body: Buffer): Promise<unknown> {
  if (body.length === 0) return {}
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new MillraceError('json_invalid', 'The body must be one JSON object in UTF-8.')
  }
}

/** The fields of a body. @throws MillraceError field_invalid when it is no object */
export function fieldsOf(body: unknown): Record<string, unknown> {
  if (typeof (body ?? {}) !== 'object' || Array.isArray(body)) throw wrong('', 'The body must be a JSON object.')
  return (body ?? {}) as Record<string, unknown>
}

/** A mistake in one field. */
export function wrong(name: string, detail: string): MillraceError {
  if (name === '') return new MillraceError('field_invalid', detail)
  return new MillraceError('field_invalid', `/${name} ${detail}.`, [
    { code: 'field_invalid', pointer: `/${name}`, detail },
  ])
}
