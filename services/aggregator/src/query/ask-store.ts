import type { FastifyReply } from '@millrace/server'
import { MillraceError } from '@millrace/shared'
import { type Store, StoreRefused, StoreUnavailable } from '@millrace/store'
import type { QueryFacts } from './facts.ts'
import { LIMIT_CODES, withinLimits } from './limits.ts'
import type { QueryApi } from './site-context.ts'
import type { Source } from './source.ts'

export interface Asking {
  readonly api: QueryApi
  readonly facts: QueryFacts
}

/**
 * Asks the store for an answer, within the limits of a query and only while somebody waits for it.
 * @throws MillraceError store_unavailable, query_too_large
 */
export async function askStore<Answer extends { readonly source?: Source }>(
  { api, facts }: Asking,
  reply: FastifyReply,
  make: (store: Pick<Store, 'query'>) => Promise<Answer>,
): Promise<{ answered: Answer; completeUntil: string }> {
  const startedMs = performance.now()
  // Asked first: what is complete before the rows are read is complete in them.
  const completeUntil = new Date(await api.completeUntil()).toISOString()
  const gone = new AbortController()
  const onClose = (): void => gone.abort(new MillraceError('request_timeout', 'The client went away.'))
  reply.raw.once('close', onClose)
  try {
    const answered = await make(withinLimits(api.store, gone.signal))
    facts.answered(answered.source ?? 'report', (performance.now() - startedMs) / 1000)
    return { answered, completeUntil }
  } catch (error) {
    throw asProblem(error, facts)
  } finally {
    reply.raw.off('close', onClose)
  }
}

/** An error of the store as what a client can be told. */
export function asProblem(error: unknown, facts: QueryFacts): unknown {
  if (error instanceof StoreRefused && LIMIT_CODES.includes(error.code)) {
    const detail =
      'The query needs more time or memory than one may use: ask for a shorter period, or for less at once.'
    return new MillraceError('query_too_large', detail)
  }
  if (!(error instanceof StoreUnavailable || error instanceof StoreRefused)) return error
  facts.storeFailed(error)
  const detail = 'The store could not answer the query; nothing is wrong with the query itself.'
  return new MillraceError('store_unavailable', detail)
}
