import type { FastifyInstance, FastifyReply, FastifyRequest } from '@millrace/server'
import { answerJson, answerReport } from '../answer-report.ts'
import { type Asking, askStore, asProblem } from '../ask-store.ts'
import { withinLimits } from '../limits.ts'
import { parseQuery } from '../parse-query.ts'
import { readBody, readParameters } from '../read-request.ts'
import { makeLargeReport } from '../report.ts'
import { contextOf } from '../site-context.ts'
import { findReport, makeOwn, presetQuery } from './ask-report.ts'
import { EventStreams } from './event-streams.ts'
import { OWN_REPORTS, REPORT_NAMES } from './list-reports.ts'
import type { NamedReport } from './named-report.ts'
import { readOwnParameters, readReport } from './read-report.ts'
import { realtime } from './realtime.ts'

/** Adds GET and POST /v1/reports/NAME, and GET /v1/reports/realtime/stream. */
export function addReportRoutes(app: FastifyInstance, asking: Asking): void {
  const streams = new EventStreams()
  app.addHook('preClose', async () => streams.close())
  app.get('/v1/reports', (_, reply) => reply.send({ reports: REPORT_NAMES }))
  app.post<{ Params: { name: string } }>('/v1/reports/:name', (request, reply) =>
    answer(request.params.name, () => readBody(request.body), asking, request, reply),
  )
  app.get<{ Params: { name: string } }>('/v1/reports/:name', (request, reply) =>
    answer(request.params.name, () => readUrl(request, OWN_REPORTS[request.params.name]), asking, request, reply),
  )
  app.get('/v1/reports/realtime/stream', (request, reply) => stream(asking, streams, request, reply))
}

function readUrl(request: FastifyRequest, report: NamedReport | undefined): Record<string, unknown> {
  const at = request.url.indexOf('?')
  const parameters = readParameters(at === -1 ? '' : request.url.slice(at + 1))
  return report ? readOwnParameters(report, parameters) : parameters
}

async function answer(
  name: string,
  read: () => unknown,
  asking: Asking,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const nowMs = (asking.api.clock ?? Date.now)()
  const body = read()
  const preset = presetQuery(name, body)
  if (preset) {
    const context = contextOf(preset, asking.api, request, nowMs)
    const query = parseQuery(preset, context)
    const { answered, completeUntil } = await askStore(asking, reply, (store) =>
      makeLargeReport(query, { store, siteZone: context.siteZone, nowMs }),
    )
    return answerReport(answered, completeUntil, request, reply)
  }
  const report = findReport(name)
  const context = contextOf(body, asking.api, request, nowMs)
  const asked = readReport(report, body, context)
  const { answered, completeUntil } = await askStore(asking, reply, (store) => makeOwn(report, asked, context, store))
  reply.header('cache-control', 'no-store')
  return answerJson({ ...answered, complete_until: completeUntil }, reply)
}

const STREAM_SECONDS = 5

/** Realtime as server-sent events: one at once, then every few seconds, or at least a comment that keeps the line open. */
function stream(asking: Asking, streams: EventStreams, request: FastifyRequest, reply: FastifyReply): unknown {
  const { api, facts } = asking
  const clock = api.clock ?? Date.now
  const body = readUrl(request, realtime)
  // Every mistake is answered before the stream begins.
  const asked = readReport(realtime, body, contextOf(body, api, request, clock()))
  const store = withinLimits(api.store)
  const key = JSON.stringify([asked.query.site, body])
  return streams.open(reply, key, STREAM_SECONDS * 1_000, async () => {
    const context = contextOf(body, api, request, clock())
    try {
      return await makeOwn(realtime, readReport(realtime, body, context), context, store)
    } catch (error) {
      throw asProblem(error, facts)
    }
  })
}
