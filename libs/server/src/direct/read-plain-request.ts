/** The head of a plain request, and where its body is. */
export interface PlainRequest {
  readonly method: string
  readonly path: string
  /** By their names in lower case. */
  readonly headers: Record<string, string>
  /** Index of the first byte of the body. */
  readonly bodyAt: number
  /** Index behind its last byte, which may not have arrived yet. */
  readonly end: number
}

/** Larger heads are rare, and left to node, which has a limit of its own. */
const MAX_HEAD_BYTES = 8_192
/** The request line: nothing but a path of plain characters. */
const REQUEST_LINE = /^([A-Z]+) (\/[!-~]*) HTTP\/1\.1\r\n/
/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** What no header may hold (RFC 9110, 5.5), and line ends that are not CR LF. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for them
const UNFIT = /[\0-\x08\v\f\x0e-\x1f\x7f]|\r[^\n]|[^\r]\n/
const LENGTH = /^\d{1,8}$/
/** These ask for more than to read a head and a body and to keep the connection. */
const NOT_PLAIN = ['transfer-encoding', 'expect', 'upgrade', 'trailer', 'proxy-connection'] as const
/** Names in lower case by how they were sent; null = no name. Senders know few. */
const names = new Map<string, string | null>()
const MAX_NAMES = 512

/**
 * Reads a request that is as plain as nearly all are: HTTP/1.1 with one Host and one Content-Length, every header once,
 * nothing to negotiate. null = it is not, or its head is not whole: node:http is to read it, which knows all of RFC 9112
 * and refuses what is not in it. What is read here means the same to both.
 */
export function readPlainRequest(bytes: Buffer): PlainRequest | null {
  const text = bytes.toString('latin1', 0, MAX_HEAD_BYTES)
  const line = REQUEST_LINE.exec(text)
  const last = text.indexOf('\r\n\r\n')
  if (line === null || last < 0) return null
  const head = text.slice(line[0].length, last + 2)
  if (UNFIT.test(head)) return null
  const headers = readHeaders(head)
  if (headers === null || headers.host === undefined || !LENGTH.test(headers['content-length'] ?? '')) return null
  if (headers.connection !== undefined && headers.connection.toLowerCase() !== 'keep-alive') return null
  for (const name of NOT_PLAIN) if (headers[name] !== undefined) return null
  const bodyAt = last + 4
  const end = bodyAt + Number(headers['content-length'])
  return { method: line[1]!, path: line[2]!, headers, bodyAt, end }
}

/** null = a line is none, or a name comes twice. */
function readHeaders(head: string): Record<string, string> | null {
  const headers: Record<string, string> = {}
  for (let at = 0; at < head.length; ) {
    const colon = head.indexOf(':', at)
    const end = head.indexOf('\r\n', at)
    if (colon < 0 || colon > end) return null
    const name = nameOf(head.slice(at, colon))
    if (name === null || headers[name] !== undefined) return null
    headers[name] = textOf(head, colon + 1, end)
    at = end + 2
  }
  return headers
}

function nameOf(sent: string): string | null {
  const known = names.get(sent)
  if (known !== undefined) return known
  const name = TOKEN.test(sent) ? sent.toLowerCase() : null
  if (names.size < MAX_NAMES && sent.length <= 64) names.set(sent, name)
  return name
}

/** Without the blanks around it. */
function textOf(head: string, from: number, end: number): string {
  let [start, stop] = [from, end]
  while (start < stop && isBlank(head.charCodeAt(start))) start++
  while (stop > start && isBlank(head.charCodeAt(stop - 1))) stop--
  return head.slice(start, stop)
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09
