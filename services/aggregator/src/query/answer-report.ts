import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from '@millrace/server'
import { csvLines } from './csv.ts'
import type { LargeReport } from './report.ts'
import type { Sized } from './rows.ts'

/** Up to so many rows an answer is one text; a larger one is written while it is sent. */
const STREAM_ABOVE_ROWS = 1_000
const CHUNK_ROWS = 500

/** Sends a report as JSON, or as CSV to who likes that better. */
export function answerReport(report: LargeReport, completeUntil: string, request: FastifyRequest, reply: FastifyReply) {
  reply.header('cache-control', 'no-store').header('vary', 'accept')
  if (wantsCsv(request.headers.accept)) {
    reply.header('content-type', 'text/csv; charset=utf-8; header=present')
    return reply.send(textOf(csvLines(report), report.rows.length))
  }
  const { rows, totals, row_count, ...head } = report
  return answerJson({ ...head, rows, totals, row_count, complete_until: completeUntil }, reply)
}

/** Sends an object as JSON, its lists in chunks if there are many rows. */
export function answerJson(body: object, reply: FastifyReply) {
  const rows = Object.values(body).reduce<number>((sum, value) => sum + (isList(value) ? value.length : 0), 0)
  reply.header('content-type', 'application/json; charset=utf-8')
  return reply.send(textOf(jsonPieces(body), rows))
}

/** The text at once, or in chunks of some rows as the client takes them. */
function textOf(pieces: Iterable<string>, rows: number): string | Readable {
  return rows <= STREAM_ABOVE_ROWS ? [...pieces].join('') : Readable.from(inChunks(pieces), { objectMode: false })
}

function* inChunks(pieces: Iterable<string>): Generator<string> {
  let chunk: string[] = []
  for (const piece of pieces) {
    if (chunk.push(piece) < CHUNK_ROWS) continue
    yield chunk.join('')
    chunk = []
  }
  yield chunk.join('')
}

/** The object as JSON.stringify writes it, each row of its lists by itself. */
function* jsonPieces(body: object): Generator<string> {
  let before = '{'
  for (const [name, value] of Object.entries(body)) {
    if (value === undefined) continue
    const start = `${before}${JSON.stringify(name)}:`
    before = ','
    if (!isList(value)) {
      yield `${start}${JSON.stringify(value)}`
      continue
    }
    yield `${start}[`
    let comma = ''
    for (const row of value) {
      yield `${comma}${JSON.stringify(row)}`
      comma = ','
    }
    yield ']'
  }
  yield before === '{' ? '{}' : '}'
}

const isList = (value: unknown): value is Sized<unknown> =>
  typeof value === 'object' && value !== null && Symbol.iterator in value

/** Whether a client likes CSV better than JSON. */
export function wantsCsv(accept = ''): boolean {
  const liking = (type: string): number => {
    const range = accept.split(',').find((part) => part.trim().toLowerCase().split(';')[0]!.trim() === type)
    return range ? Number(/;\s*q=([\d.]+)/i.exec(range)?.[1] ?? 1) : 0
  }
  return liking('text/csv') > liking('application/json')
}
