import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { ERROR_CODES, type ErrorCode, type FieldError, MillraceError, type Problem, problem } from '@millrace/shared'
import type { FastifyError, FastifyReply } from 'fastify'
import { type Answer, answerOf } from './direct/answer.ts'

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/** What fastify calls its own errors, and what they are to a client. */
const OF_FASTIFY: Record<string, ErrorCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'media_type_unsupported',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'body_invalid',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'json_invalid',
  FST_ERR_CTP_INVALID_JSON_BODY: 'json_invalid',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
  FST_ERR_NOT_FOUND: 'not_found',
}

const OF_STATUS: Record<number, ErrorCode> = {
  400: 'request_invalid',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'request_timeout',
  413: 'body_too_large',
  415: 'media_type_unsupported',
  429: 'rate_limited',
  431: 'headers_too_large',
  503: 'overloaded',
}

/** Seconds after which a client may try again (Retry-After), where that helps. */
const RETRY_AFTER_S: Partial<Record<ErrorCode, number>> = {
  rate_limited: 10,
  overloaded: 1,
  log_unavailable: 5,
  store_unavailable: 5,
  not_ready: 5,
  shutting_down: 5,
}

/** The problem document of anything thrown. What we did not foresee is `internal`, and its text stays here. */
export function problemOf(error: unknown): Problem {
  if (error instanceof MillraceError) return error.problem
  const { code = '', statusCode = 500, message, validation } = error as Partial<FastifyError>
  if (validation) {
    const errors = validation.map(fieldError)
    return problem(errors[0]?.code ?? 'field_invalid', message ?? 'A field is not valid', errors)
  }
  const ours = OF_FASTIFY[code] ?? OF_STATUS[statusCode]
  // The texts of fastify are not passed on: some repeat the address, query string included.
  if (ours) return problem(ours, `${ERROR_CODES[ours][1]}.`)
  return problem('internal', 'The request could not be answered; the reason is in the log of the service.')
}

/** Of one complaint of fastify's schema validator. */
function fieldError(found: NonNullable<FastifyError['validation']>[number]): FieldError {
  const { keyword, instancePath, params, message } = found
  const name = params.additionalProperty ?? params.missingProperty
  const code =
    keyword === 'additionalProperties' ? 'field_unknown' : keyword === 'required' ? 'field_missing' : 'field_invalid'
  return { code, pointer: name === undefined ? instancePath : `${instancePath}/${name}`, detail: message ?? code }
}

/** Answers with a problem document, with Retry-After where trying again helps. */
export function sendProblem(reply: FastifyReply, document: Problem): void {
  const retryAfter = reply.getHeader('retry-after') as string | undefined
  const { status, headers, body } = problemAnswer(
    document,
    retryAfter === undefined ? {} : { 'retry-after': retryAfter },
  )
  // Fastify closes the connection under a sender whose body it refuses, who may then lose the answer. Left open, node
  // discards the rest as it comes, until the timeout of requests.
  reply.removeHeader('connection')
  reply.code(status).headers(headers).send(body)
}

/**
 * A problem document as an answer, with Retry-After where trying again helps. `headers` count before its own, `more` are
 * members beside the usual ones.
 */
export function problemAnswer(
  document: Problem,
  headers: Answer['headers'] = {},
  more: Readonly<Record<string, unknown>> = {},
): Answer {
  const retryAfter = RETRY_AFTER_S[document.code]
  const own = {
    ...(retryAfter !== undefined && { 'retry-after': retryAfter }),
    'content-type': PROBLEM_TYPE,
    'cache-control': 'no-store',
  }
  return answerOf(document.status, { ...own, ...headers }, JSON.stringify({ ...document, ...more }))
}

/** Answers what never became a request: bytes that are not HTTP, headers too large, a request that takes too long. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const code: ErrorCode =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'headers_too_large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'request_timeout'
        : 'request_invalid'
  const [status, title] = ERROR_CODES[code]
  const body = JSON.stringify(problem(code, `${title}.`))
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${PROBLEM_TYPE}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
  socket.destroySoon()
}
