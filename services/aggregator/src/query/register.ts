import type { FastifyReply, FastifyRequest, Server } from '@millrace/server'
import { MillraceError } from '@millrace/shared'
import { type Store, StoreRefused, StoreUnavailable } from '@millrace/store'
import { toCsv } from './csv.ts'
import { type QueryFacts, queryFacts } from './facts.ts'
import { parseQuery } from './parse-query.ts'
import { MAX_QUERY_BYTES, readBody, readParameters } from './read-request.ts'
import { makeReport, type Report } from './report.ts'

export interface QueryApi {
  readonly server: Pick<Server, 'app' | 'registry' | 'logger'>
  readonly store: Store
  readonly settings: { readonly MILLRACE_TIMEZONE: string }
  /** Every hit of the log that came before this time (epoch ms) is counted. */
  readonly completeUntil: () => Promise<number>
  readonly clock?: () => number
}

/** Adds POST /v1/query and GET /v1/query. Call before the server listens. */
export function registerQueryApi(api: QueryApi): void {
  const facts = queryFacts(api.server)
  api.server.app.register(async (app) => {
    // Bytes, whatever parsers the other routes of this server use: a wrong body must be answered in our own words.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer', bodyLimit: MAX_QUERY_BYTES },
      async (_: unknown, body: Buffer) => body,
    )
    app.post('/v1/query', (request, reply) => answer(() => readBody(request.body), api, facts, request, reply))
    app.get('/v1/query', (request, reply) => {
      const at = request.url.indexOf('?')
      return answer(() => readParameters(at === -1 ? '' : request.url.slice(at + 1)), api, facts, request, reply)
    })
  })
}

async function answer(
  read: () => unknown,
  api: QueryApi,
  facts: QueryFacts,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const startedMs = performance.now()
  const nowMs = (api.clock ?? Date.now)()
  const query = parseQuery(read(), { nowMs, siteZone: api.settings.MILLRACE_TIMEZONE })
  // Asked first: what is complete before the rows are read is complete in them.
  const completeUntil = await api.completeUntil()
  const report = await reportOf(
    () => makeReport(query, { store: api.store, siteZone: api.settings.MILLRACE_TIMEZONE, nowMs }),
    facts,
  )
  facts.answered(report.source, (performance.now() - startedMs) / 1000)
  reply.header('cache-control', 'no-store').header('vary', 'accept')
  if (wantsCsv(request.headers.accept)) {
    return reply.header('content-type', 'text/csv; charset=utf-8; header=present').send(toCsv(report))
  }
  return reply.send({ ...report, complete_until: new Date(completeUntil).toISOString() })
}

async function reportOf(make: () => Promise<Report>, facts: QueryFacts): Promise<Report> {
  try {
    return await make()
  } catch (error) {
    if (!(error instanceof StoreUnavailable || error instanceof StoreRefused)) throw error
    facts.storeFailed(error)
    throw new MillraceError(
      'store_unavailable',
      'The store could not answer the query; nothing is wrong with the query itself.',
    )
  }
}

/** Whether a client likes CSV better than JSON. */
export function wantsCsv(accept = ''): boolean {
  const liking = (type: string): number => {
    const range = accept.split(',').find((part) => part.trim().toLowerCase().split(';')[0]!.trim() === type)
    return range ? Number(/;\s*q=([\d.]+)/i.exec(range)?.[1] ?? 1) : 0
  }
  return liking('text/csv') > liking('application/json')
}
