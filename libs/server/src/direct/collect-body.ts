import type { IncomingMessage } from 'node:http'

const EMPTY: Buffer = Buffer.alloc(0)

/**
 * Calls `done` with the body of a request, or `tooLarge` as soon as it is known to be larger than `maxBytes`; neither when
 * the sender goes away before. Node discards what comes after the answer, so the sender can write on until it reads it.
 */
export function collectBody(
  request: IncomingMessage,
  maxBytes: number,
  done: (body: Buffer) => void,
  tooLarge: () => void,
): void {
  if (Number(request.headers['content-length']) > maxBytes) {
    tooLarge()
    return
  }
  let body = EMPTY
  let isOver = false
  request.on('data', (chunk: Buffer) => {
    if (isOver) return
    isOver = body.length + chunk.length > maxBytes
    // As a rule it comes in one piece.
    if (isOver) tooLarge()
    else body = body.length === 0 ? chunk : Buffer.concat([body, chunk])
  })
  request.on('end', () => {
    if (!isOver) done(body)
  })
}
