import type { ServerResponse } from 'node:http'

/** A whole answer, ready to be written. */
export interface Answer {
  readonly status: number
  /** With Content-Length. */
  readonly headers: Readonly<Record<string, string | number>>
  readonly body: string
}

/** An answer with the length of its body. */
export const answerOf = (status: number, headers: Answer['headers'], body: string): Answer => ({
  status,
  headers: { ...headers, 'content-length': Buffer.byteLength(body) },
  body,
})

export function sendAnswer(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers)
  response.end(body)
}
