import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from '@millrace/server'
import { csvLines } from './csv.ts'
import type { Report } from './report.ts'

/** Up to so many rows an answer is one text; a larger one is written while it is sent. */
const STREAM_ABOVE_ROWS = 1_000
const CHUNK_ROWS = 500

/** Sends a report as JSON, or as CSV to who likes that better. */
export function answerReport(report: Report, completeUntil: string, request: FastifyRequest, reply: FastifyReply) {
  reply.header('cache-control', 'no-store').header('vary', 'accept')
  if (wantsCsv(request.headers.accept)) {
    reply.header('content-type', 'text/csv; charset=utf-8; header=present')
    return reply.send(textOf(csvLines(report), report.rows.length))
  }
  reply.header('content-type', 'application/json; charset=utf-8')
  return reply.send(textOf(jsonPieces(report, completeUntil), report.rows.length))
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

/** The report as JSON, in the order of its fields. */
function* jsonPieces({ rows, totals, row_count, ...head }: Report, completeUntil: string): Generator<string> {
  yield `${JSON.stringify(head).slice(0, -1)},"rows":[`
  for (const [i, row] of rows.entries()) yield i === 0 ? JSON.stringify(row) : `,${JSON.stringify(row)}`
  yield `],${JSON.stringify({ totals, row_count, complete_until: completeUntil }).slice(1)}`
}

/** Whether a client likes CSV better than JSON. */
export function wantsCsv(accept = ''): boolean {
  const liking = (type: string): number => {
    const range = accept.split(',').find((part) => part.trim().toLowerCase().split(';')[0]!.trim() === type)
    return range ? Number(/;\s*q=([\d.]+)/i.exec(range)?.[1] ?? 1) : 0
  }
  return liking('text/csv') > liking('application/json')
}
