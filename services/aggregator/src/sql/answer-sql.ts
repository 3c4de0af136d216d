import { pipeline, Readable, type Transform } from 'node:stream'
import { constants, createBrotliCompress, createDeflate, createGzip } from 'node:zlib'
import { type FastifyReply, problemOf, sendProblem } from '@millrace/server'
import { MillraceError } from '@millrace/shared'
import { StoreRefused } from '@millrace/store'
import type { SqlOutcome } from './facts.ts'
import { FORMATS } from './formats.ts'
import { SQL_LIMIT_CODES } from './limits.ts'
import { Busy, busyRefusal } from './queue.ts'
import type { SqlRequest } from './read-sql-request.ts'
import { refusal } from './refusal.ts'
import type { Answered } from './run-sql.ts'

/** How errors are told: as ClickHouse does, or as the rest of our API does. */
export type Dialect = 'clickhouse' | 'v1'

const COMPRESS: Readonly<Record<'gzip' | 'deflate' | 'br', () => Transform>> = {
  gzip: () => createGzip({ level: 1 }),
  deflate: () => createDeflate({ level: 1 }),
  br: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
}

/** Sends an answer with the headers that ClickHouse's clients read; what comes as a stream is not held here. */
export async function sendAnswer(answered: Answered, { encoding }: SqlRequest, reply: FastifyReply): Promise<unknown> {
  const { body, format, readRows, readBytes, resultBytes, elapsedNs } = answered
  const counts = { read_rows: readRows, read_bytes: readBytes, result_bytes: resultBytes, elapsed_ns: elapsedNs }
  reply
    .header('x-clickhouse-format', format)
    .header('x-clickhouse-summary', textNumbers(counts))
    .header('content-type', FORMATS.get(format)!)
    .header('x-content-type-options', 'nosniff')
  const sent = body instanceof Readable ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  if (encoding === null) return reply.send(sent)
  reply.header('content-encoding', encoding).header('vary', 'accept-encoding')
  const compressed = COMPRESS[encoding]()
  // Who reads it is told of an error by the end of the stream; there is nobody else to tell.
  pipeline(Readable.from(sent instanceof Readable ? sent : [sent]), compressed, () => undefined)
  return reply.send(compressed)
}

/** ClickHouse writes these numbers as texts. */
const textNumbers = (counts: Readonly<Record<string, number>>): string =>
  JSON.stringify(Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, String(n)])))

/** ClickHouse's own table (exceptionCodeToHTTPStatus.cpp), and 403 for what is refused here. All others are 500. */
const STATUSES: Readonly<Record<number, readonly string[]>> = {
  400: [
    ...['BAD_ARGUMENTS', 'CANNOT_COMPILE_REGEXP', 'CANNOT_PARSE_TEXT', 'CANNOT_PARSE_DATE', 'CANNOT_PARSE_DATETIME'],
    ...[
      'CANNOT_PARSE_NUMBER',
      'CANNOT_PARSE_UUID',
      'ILLEGAL_COLUMN',
      'THERE_IS_NO_COLUMN',
      'TOO_DEEP_AST',
      'TOO_BIG_AST',
    ],
    ...['SYNTAX_ERROR', 'INCORRECT_DATA', 'TYPE_MISMATCH', 'DUPLICATE_COLUMN', 'ILLEGAL_TYPE_OF_ARGUMENT'],
    ...['NUMBER_OF_ARGUMENTS_DOESNT_MATCH', 'CANNOT_DECOMPRESS', 'UNKNOWN_QUERY_PARAMETER', 'BAD_QUERY_PARAMETER'],
  ],
  401: ['AUTHENTICATION_FAILED'],
  403: ['ACCESS_DENIED', 'READONLY'],
  404: [
    ...[
      'UNKNOWN_TABLE',
      'UNKNOWN_FUNCTION',
      'UNKNOWN_IDENTIFIER',
      'UNKNOWN_TYPE',
      'UNKNOWN_DATABASE',
      'UNKNOWN_SETTING',
    ],
    ...['UNKNOWN_AGGREGATE_FUNCTION', 'UNKNOWN_FORMAT'],
  ],
  408: ['TIMEOUT_EXCEEDED'],
  413: ['QUERY_IS_TOO_LARGE'],
  501: ['NOT_IMPLEMENTED'],
}
const STATUS_OF = new Map(Object.entries(STATUSES).flatMap(([status, types]) => types.map((t) => [t, Number(status)])))

/** What became of a statement that was not answered. */
export function outcomeOf(error: unknown): SqlOutcome {
  if (error instanceof Busy) return 'busy'
  if (!(error instanceof StoreRefused)) return 'unavailable'
  if (SQL_LIMIT_CODES.includes(error.code)) return 'limited'
  return STATUS_OF.get(error.type) === 403 ? 'refused' : 'failed'
}

/** Sends an error, in ClickHouse's words or as a problem document; both name ClickHouse's code. */
export function sendError(error: unknown, dialect: Dialect, version: string, reply: FastifyReply): void {
  const refused = refusalFor(error)
  if (refused) reply.header('x-clickhouse-exception-code', refused.code)
  const problem = problemFor(error)
  if (dialect === 'v1' || !refused) {
    sendProblem(reply, problemOf(problem))
    return
  }
  const status = error instanceof Busy || error instanceof MillraceError ? problemOf(problem).status : statusOf(refused)
  if (error instanceof Busy) reply.header('retry-after', '2')
  if (status === 401) reply.header('www-authenticate', 'Basic realm="Millrace", charset="UTF-8"')
  const text = `Code: ${refused.code}. DB::Exception: ${refused.detail} (${refused.type}) (version ${version})\n`
  reply.code(status).header('content-type', 'text/plain; charset=UTF-8').header('cache-control', 'no-store').send(text)
}

const statusOf = ({ type }: StoreRefused): number => STATUS_OF.get(type) ?? 500

/** An error in ClickHouse's words; null = it has none. */
function refusalFor(error: unknown): StoreRefused | null {
  if (error instanceof StoreRefused) return error
  if (error instanceof Busy) return busyRefusal(error)
  if (!(error instanceof MillraceError)) return null
  if (error.code === 'unauthorized') return refusal('AUTHENTICATION_FAILED', error.message)
  if (error.code === 'forbidden') return refusal('ACCESS_DENIED', error.message)
  return error.code === 'body_too_large' ? refusal('QUERY_IS_TOO_LARGE', error.message) : null
}

/** An error as the rest of our API tells it. */
function problemFor(error: unknown): unknown {
  if (error instanceof Busy)
    return new MillraceError(error.status === 429 ? 'rate_limited' : 'overloaded', error.message)
  if (error instanceof StoreRefused) {
    const detail = `${error.type} (${error.code}): ${error.detail}`
    if (SQL_LIMIT_CODES.includes(error.code)) return new MillraceError('query_too_large', detail)
    return new MillraceError(statusOf(error) === 403 ? 'sql_not_allowed' : 'sql_invalid', detail)
  }
  return error
}
