import { type FastifyInstance, type FastifyReply, type FastifyRequest, problemOf, sendProblem } from '@millrace/server'
import { MAX_BODY_BYTES, MillraceError, problem } from '@millrace/shared'
import { clientAddress, type TrustedProxies } from './client-address.ts'
import type { Facts } from './facts.ts'
import type { HitSink } from './hit-sink.ts'
import { ACCEPTED_ENCODINGS, readBody } from './read-body.ts'
import { readSender, stampLines } from './stamp-lines.ts'
import { type ReadHits, readHits } from './validate-hits.ts'

export interface HitsRoute {
  readonly sink: HitSink
  readonly trustedProxies: TrustedProxies
  /** Number of partitions of hits.raw. */
  readonly partitions: number
  readonly clock: () => number
  readonly facts: Facts
  /** True from the moment on that no hit is taken any more. */
  readonly isClosing: () => boolean
}

const JSON_TYPE = 'application/json; charset=utf-8'
/** Any page may send hits; rules by site come with sites. */
const ANY_ORIGIN = '*'

/** POST /v1/hits, and the preflight that browsers send before it. */
export function addHitsRoute(app: FastifyInstance, route: HitsRoute): void {
  app.register(async (scope) => {
    takeBytes(scope)
    const handler = (request: FastifyRequest, reply: FastifyReply): Promise<void> => takeHits(route, request, reply)
    scope.post('/v1/hits', {
      bodyLimit: MAX_BODY_BYTES,
      handler,
      errorHandler: (error, _request, reply) => refuseRequest(route, error, reply),
    })
    scope.options('/v1/hits', (_request, reply) => {
      reply
        .code(204)
        .header('access-control-allow-origin', ANY_ORIGIN)
        .header('access-control-allow-methods', 'POST')
        .header('access-control-allow-headers', 'content-type, content-encoding')
        .header('access-control-max-age', '86400')
        .send()
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

/** One request: read, judge each hit, stamp, make durable, answer. */
async function takeHits(route: HitsRoute, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { facts } = route
  if (route.isClosing()) throw new MillraceError('shutting_down', 'The collector is shutting down.')
  const { headers } = request
  const text = readBody((request.body as Buffer | undefined) ?? EMPTY, headers['content-encoding'])
  const read = readHits(text, !isJson(headers['content-type']))

  if (read.ignoredFields > 0) facts.fieldsIgnored(read.ignoredFields)
  if (read.refused.length > 0) facts.hitsRefused(read.refused)
  if (read.hits.length === 0) return refuseAll(route, read, reply)

  const { httpVersion, socket } = request.raw
  const ip = clientAddress(socket.remoteAddress, headers['x-forwarded-for'] as string | undefined, route.trustedProxies)
  const sender = readSender(ip, httpVersion, headers)
  await route.sink.put(stampLines(read.hits, read.sentAt, sender, route.clock(), route.partitions))

  facts.hitsAccepted(read.hits.length)
  facts.answered(202)
  reply
    .code(202)
    .header('content-type', JSON_TYPE)
    .header('access-control-allow-origin', ANY_ORIGIN)
    .send(answerTo(read))
}

const EMPTY = Buffer.alloc(0)
const isJson = (type: string | undefined): boolean => type?.toLowerCase().startsWith('application/json') ?? false

function answerTo({ hits, refused }: ReadHits): string {
  if (refused.length > 0) return JSON.stringify({ accepted: hits.length, refused })
  return `{"accepted":${hits.length}}`
}

function refuseAll({ facts }: HitsRoute, { refused }: ReadHits, reply: FastifyReply): void {
  const first = refused[0]!
  const detail = `None of ${refused.length} accepted; first: ${first.pointer || 'the hit'} ${first.detail}.`
  facts.answered(400)
  reply.header('access-control-allow-origin', ANY_ORIGIN)
  sendProblem(reply, problem('hits_refused', detail), { refused })
}

/** What stopped a request as a whole. Beacons of any origin may read why. */
function refuseRequest({ facts }: HitsRoute, error: unknown, reply: FastifyReply): void {
  const document = problemOf(error)
  reply.header('access-control-allow-origin', ANY_ORIGIN)
  if (document.status === 415) reply.header('accept-encoding', ACCEPTED_ENCODINGS)
  facts.answered(document.status)
  // The server's own handler logs what nobody foresaw.
  if (document.status === 500) throw error
  sendProblem(reply, document)
}
