import type { IncomingMessage, ServerResponse } from 'node:http'
import { problemAnswer, problemOf, type Server, sendAnswer } from '@millrace/server'
import { MAX_BODY_BYTES, MillraceError } from '@millrace/shared'
import { PREFLIGHT, READABLE_BY_ANY } from './answer-headers.ts'
import { answerTo } from './answer-hits.ts'
import { collectBody } from './collect-body.ts'
import { ACCEPTED_ENCODINGS, readBody } from './read-body.ts'
import { AddressLimited, ask, type Intake, keepHits } from './take-hits.ts'
import { readHits } from './validate-hits.ts'

/** POST /v1/hits, and the preflight that browsers send before it. */
export function addHitsRoute({ app, direct }: Pick<Server, 'app' | 'direct'>, intake: Intake): void {
  direct.add('POST', '/v1/hits', (request, response) => {
    const refuse = (error: unknown): void => refuseRequest(intake, error, response)
    const take = (body: Buffer): void => {
      try {
        takeHits(intake, request, body, response, refuse)
      } catch (error) {
        refuse(error)
      }
    }
    collectBody(request, MAX_BODY_BYTES, take, refuse)
  })
  app.options('/v1/hits', (_request, reply) => {
    reply.code(204).headers(PREFLIGHT).send()
  })
}

/** One request: who sends it, what is in it, which of it its sites take, make that durable, answer. */
function takeHits(
  intake: Intake,
  request: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
  refuse: (error: unknown) => void,
): void {
  const { headers, httpVersion, socket } = request
  const type = headers['content-type']
  const isJson = isOfType(type, 'application/json')
  // A body without a type is a beacon's.
  if (!(isJson || type === undefined || isOfType(type, 'text/plain'))) throw unsupported()
  const incoming = { headers, httpVersion, socketAddress: socket.remoteAddress }
  const asked = ask(intake, incoming)
  const read = readHits(readBody(body, headers['content-encoding']), !isJson, asked.caller !== null)
  const { admitted, durable } = keepHits(intake, read, asked, incoming)
  // Made before the wait, so that nothing holds on to the hits meanwhile.
  const answer = answerTo(intake, admitted, asked)
  const accepted = admitted.hits.length
  const send = (): void => {
    intake.facts.hitsAccepted(accepted)
    intake.facts.answered(answer.status)
    sendAnswer(response, answer)
  }
  if (durable === null) send()
  else durable.then(send, refuse)
}

/** Bodies are bytes to the server: they are parsed once, after decompression. */
const isOfType = (type: string | undefined, wanted: string): boolean =>
  type === wanted || (type !== undefined && type.split(';', 1)[0]!.trim().toLowerCase() === wanted)

const unsupported = (): MillraceError =>
  new MillraceError('media_type_unsupported', 'Supported are application/json and text/plain.')

/** What stopped a request as a whole. Its site is not known, so any page may read why. */
function refuseRequest({ facts }: Intake, error: unknown, response: ServerResponse): void {
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
  sendAnswer(response, problemAnswer(document, headers))
}
