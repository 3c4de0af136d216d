import { type FastifyInstance, type FastifyReply, type FastifyRequest, problemOf, sendProblem } from '@millrace/server'
import { MAX_BODY_BYTES, MillraceError } from '@millrace/shared'
import { PREFLIGHT, READABLE_BY_ANY } from './answer-headers.ts'
import { answerHits } from './answer-hits.ts'
import { ACCEPTED_ENCODINGS, readBody } from './read-body.ts'
import { AddressLimited, ask, type Intake, keepHits } from './take-hits.ts'
import { readHits } from './validate-hits.ts'

/** POST /v1/hits, and the preflight that browsers send before it. */
export function addHitsRoute(app: FastifyInstance, intake: Intake): void {
  app.register(async (scope) => {
    takeBytes(scope)
    const handler = (request: FastifyRequest, reply: FastifyReply): Promise<void> => takeHits(intake, request, reply)
    scope.post('/v1/hits', {
      bodyLimit: MAX_BODY_BYTES,
      handler,
      errorHandler: (error, _request, reply) => refuseRequest(intake, error, reply),
    })
    scope.options('/v1/hits', (_request, reply) => {
      reply.code(204).headers(PREFLIGHT).send()
    })
  })
}

/** Bodies stay bytes: they are parsed once, after decompression. A body without a type is a beacon's. */
function takeBytes(scope: FastifyInstance): void {
  const bytes = { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES } as const
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser(['application/json', 'text/plain'], bytes, (_request, body, done) => done(null, body))
  scope.addContentTypeParser('*', bytes, (request, body, done) => {
    if (request.headers['content-type'] === undefined) return done(null, body)
    return done(new MillraceError('media_type_unsupported', 'Supported are application/json and text/plain.'))
  })
}

/** One request: who sends it, what is in it, which of it its sites take, make that durable, answer. */
async function takeHits(intake: Intake, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { headers } = request
  const { httpVersion, socket } = request.raw
  const incoming = { headers, httpVersion, socketAddress: socket.remoteAddress }
  const asked = ask(intake, incoming)
  const text = readBody((request.body as Buffer | undefined) ?? EMPTY, headers['content-encoding'])
  const read = readHits(text, !isJson(headers['content-type']), asked.caller !== null)
  answerHits(intake, await keepHits(intake, read, asked, incoming), asked, reply)
}

const EMPTY = Buffer.alloc(0)
const isJson = (type: string | undefined): boolean => type?.toLowerCase().startsWith('application/json') ?? false

/** What stopped a request as a whole. Its site is not known, so any page may read why. */
function refuseRequest({ facts }: Intake, error: unknown, reply: FastifyReply): void {
  const document = problemOf(error)
  reply.headers(READABLE_BY_ANY)
  if (document.status === 415) reply.header('accept-encoding', ACCEPTED_ENCODINGS)
  if (document.status === 401) reply.header('www-authenticate', 'Bearer')
  if (error instanceof AddressLimited) {
    reply.headers(error.headers)
    facts.addressLimited()
  }
  facts.answered(document.status)
  // The server's own handler logs what nobody foresaw.
  if (document.status === 500) throw error
  sendProblem(reply, document)
}
