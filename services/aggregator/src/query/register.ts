import { describeRoutes, type FastifyReply, type FastifyRequest } from '@millrace/server'
import { withoutHidden } from '../deletion/hidden.ts'
import { answerReport } from './answer-report.ts'
import { type Asking, askStore } from './ask-store.ts'
import { queryFacts } from './facts.ts'
import { QUERY_OPERATIONS } from './operations.ts'
import { parseQuery } from './parse-query.ts'
import { MAX_QUERY_BYTES, readBody, readParameters } from './read-request.ts'
import { makeLargeReport } from './report.ts'
import { REPORT_OPERATIONS } from './reports/operations.ts'
import { addReportRoutes } from './reports/register-reports.ts'
import { contextOf, type QueryApi } from './site-context.ts'

/** Adds /v1/query and /v1/reports, each by GET and POST. Call before the server listens. */
export function registerQueryApi(api: QueryApi): void {
  const facts = queryFacts(api.server)
  describeRoutes(api.server.app, { ...QUERY_OPERATIONS, ...REPORT_OPERATIONS })
  api.server.app.register(async (app) => {
    // Bytes, whatever parsers the other routes of this server use: a wrong body must be answered in our own words.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer', bodyLimit: MAX_QUERY_BYTES },
      async (_: unknown, body: Buffer) => body,
    )
    const asking: Asking = { api: { ...api, store: withoutHidden(api.store) }, facts }
    app.post('/v1/query', (request, reply) => answer(readBody(request.body), asking, request, reply))
    app.get('/v1/query', (request, reply) => answer(readParameters(searchOf(request)), asking, request, reply))
    addReportRoutes(app, asking)
  })
}

/** The parameters of a URL as text, without the question mark. */
function searchOf(request: FastifyRequest): string {
  const at = request.url.indexOf('?')
  return at === -1 ? '' : request.url.slice(at + 1)
}

async function answer(body: unknown, asking: Asking, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const nowMs = (asking.api.clock ?? Date.now)()
  const context = contextOf(body, asking.api, request, nowMs)
  const query = parseQuery(body, context)
  const { answered, completeUntil } = await askStore(asking, reply, (store) =>
    makeLargeReport(query, { store, siteZone: context.siteZone, nowMs }),
  )
  return answerReport(answered, completeUntil, request, reply)
}
