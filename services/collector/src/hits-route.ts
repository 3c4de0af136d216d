import { problemAnswer, problemOf, type Reply, type Server, type WholeRequest } from '@millrace/server'
import { MAX_BODY_BYTES, MillraceError } from '@millrace/shared'
import { PREFLIGHT, READABLE_BY_ANY } from './answer-headers.ts'
import { answerTo } from './answer-hits.ts'
import { ACCEPTED_ENCODINGS, readBody } from './read-body.ts'
import { AddressLimited, ask, type Intake, keepHits } from './take-hits.ts'
import { readHits } from './validate-hits.ts'

/** POST /v1/hits, and the preflight that browsers send before it. */
export function addHitsRoute({ app, direct }: Pick<Server, 'app' | 'direct'>, intake: Intake): void {
  direct.add('POST', '/v1/hits', {
    maxBodyBytes: MAX_BODY_BYTES,
    take(request, reply) {
      const refuse = (error: unknown): void => refuseRequest(intake, error, reply)
      try {
        takeHits(intake, request, reply, refuse)
      } catch (error) {
        refuse(error)
      }
    },
    refuse: (error, reply) => refuseRequest(intake, error, reply),
  })
  app.options('/v1/hits', (_request, reply) => {
    reply.code(204).headers(PREFLIGHT).send()
  })
}

/** One request: who sends it, what is in it, which of it its sites take, make that durable, answer. */
function takeHits(intake: Intake, request: WholeRequest, reply: Reply, refuse: (error: unknown) => void): void {
  const { headers, httpVersion, remoteAddress, body } = request
  const type = headers['content-type'] as string | undefined
  const isJson = isOfType(type, 'application/json')
  // A body without a type is a beacon's.
  if (!(isJson || type === undefined || isOfType(type, 'text/plain'))) throw unsupported()
  const incoming = { headers, httpVersion, socketAddress: remoteAddress }
  const asked = ask(intake, incoming)
  const text = readBody(body, headers['content-encoding'] as string | undefined)
  const read = readHits(text, !isJson, asked.caller !== null)
  const { admitted, durable } = keepHits(intake, read, asked, incoming)
  // Made before the wait, so that nothing holds on to the hits meanwhile.
  const answer = answerTo(intake, admitted, asked)
  const accepted = admitted.hits.length
  const send = (): void => {
    intake.facts.hitsAccepted(accepted)
    intake.facts.answered(answer.status)
    reply(answer)
  }
  const sendInTime = (): void => {
    const waitMs = intake.holdBackMs()
    if (waitMs > 0) setTimeout(send, waitMs)
    else send()
  }
  if (durable === null) send()
  else durable.then(sendInTime, refuse)
}

/** Bodies are bytes to the server: they are parsed once, after decompression. */
const isOfType = (type: string | undefined, wanted: string): boolean =>
  type === wanted || (type !== undefined && type.split(';', 1)[0]!.trim().toLowerCase() === wanted)

const unsupported = (): MillraceError =>
  new MillraceError('media_type_unsupported', 'Supported are application/json and text/plain.')

/** What stopped a request as a whole. Its site is not known, so any page may read why. */
function refuseRequest({ facts }: Intake, error: unknown, reply: Reply): void {
  const document = problemOf(error)
  facts.answered(document.status)
  if (document.status === 500) facts.requestFailed(error)
  if (error instanceof AddressLimited) facts.addressLimited()
  const headers = {
    ...READABLE_BY_ANY,
    ...(document.status === 415 && { 'accept-encoding': ACCEPTED_ENCODINGS }),
    ...(document.status === 401 && { 'www-authenticate': 'Bearer' }),
    ...(error instanceof AddressLimited && error.headers),
  }
  reply(problemAnswer(document, headers))
}
