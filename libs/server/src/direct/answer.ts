import { type ServerResponse, STATUS_CODES } from 'node:http'

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

/** By answer: the usual ones are given again and again. */
const heads = new WeakMap<Answer, string>()

/** Status line and headers as they are written, but for those of the connection and the blank line. */
export function headOf(answer: Answer): string {
  let head = heads.get(answer)
  if (head === undefined) {
    head = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\n`
    for (const [name, value] of Object.entries(answer.headers)) head += `${name}: ${value}\r\n`
    heads.set(answer, head)
  }
  return `${head}date: ${dateNow()}\r\n`
}

let date = ''
let dateSecond = 0

/** For the Date header, which a server with a clock sends (RFC 9110, 6.6.1). */
function dateNow(): string {
  const second = Math.floor(Date.now() / 1_000)
  if (second !== dateSecond) [date, dateSecond] = [new Date(second * 1_000).toUTCString(), second]
  return date
}
