import { PassThrough } from 'node:stream'
import type { FastifyReply } from '@millrace/server'

/** Blank lines keep a connection from being taken for dead while nothing is to be said. */
const HEARTBEAT_MS = 10_000

/** Writes one line; resolves when there is room for the next. */
export type WriteLine = (line: object) => Promise<void>

/**
 * Answers with JSON lines while `work` produces them. What it throws becomes the last line, `{"error": …}`. `signal` ends when
 * the client has gone, or the server stops.
 */
export function sendLines(
  reply: FastifyReply,
  closing: AbortSignal,
  work: (write: WriteLine, signal: AbortSignal) => Promise<void>,
): FastifyReply {
  const out = new PassThrough()
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort(new Error('the client went away')))
  const signal = AbortSignal.any([gone.signal, closing])
  const heartbeat = setInterval(() => out.write('\n'), HEARTBEAT_MS)
  const write: WriteLine = async (line) => {
    signal.throwIfAborted()
    if (!out.write(`${JSON.stringify(line)}\n`)) await drained(out, signal)
  }
  work(write, signal)
    .catch((error: Error) => void out.write(`${JSON.stringify({ error: error.message })}\n`))
    .finally(() => {
      clearInterval(heartbeat)
      out.end()
    })
  return reply.header('content-type', 'application/x-ndjson').header('cache-control', 'no-store').send(out)
}

/** @throws the signal's reason */
function drained(out: PassThrough, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    out.once('drain', () => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
  })
}
