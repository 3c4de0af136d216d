import { connect, type Socket } from 'node:net'

export interface Answer {
  readonly status: number
  /** Seconds of Retry-After; 0 = none. */
  readonly retryAfter: number
  readonly body: string
}

export interface ConnectionEvents {
  /** The connection may send (again). */
  onReady(connection: Connection): void
  onAnswer(connection: Connection, answer: Answer): void
  /** The connection broke. What was sent without an answer may or may not have arrived. It reconnects by itself. */
  onLost(connection: Connection): void
}

const RECONNECT_MS = 20

/** A keep-alive HTTP/1.1 connection that sends one prepared request at a time; reconnects until closed. */
export class Connection {
  /** Where the next request is prepared. Not to be touched while one is under way. */
  readonly request: Buffer
  /** True when connected and nothing is under way. */
  ready = false
  readonly #port: number
  readonly #host: string
  readonly #events: ConnectionEvents
  readonly #received = Buffer.alloc(64 * 1024)
  #socket: Socket | undefined
  #partial: Buffer | undefined
  #closed = false
  #retry: NodeJS.Timeout | undefined

  constructor(host: string, port: number, requestBytes: number, events: ConnectionEvents) {
    this.#host = host
    this.#port = port
    this.#events = events
    this.request = Buffer.alloc(requestBytes)
    this.#connect()
  }

  /** Sends the first `length` bytes of `request`. */
  send(length: number): void {
    this.ready = false
    this.#socket!.write(this.request.subarray(0, length))
  }

  /** Drops the connection and makes a new one. */
  reconnect(): void {
    this.ready = false
    this.#socket?.destroy()
  }

  close(): void {
    this.#closed = true
    this.ready = false
    clearTimeout(this.#retry)
    this.#socket?.destroy()
  }

  #connect(): void {
    const onread = {
      buffer: this.#received,
      callback: (count: number): boolean => {
        this.#onBytes(this.#received.subarray(0, count))
        return true
      },
    }
    this.#partial = undefined
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true, onread })
    this.#socket = socket
    socket.on('connect', () => {
      this.ready = true
      this.#events.onReady(this)
    })
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      this.ready = false
      if (this.#closed) return
      this.#events.onLost(this)
      this.#retry = setTimeout(() => this.#connect(), RECONNECT_MS)
    })
  }

  #onBytes(bytes: Buffer): void {
    const all = this.#partial ? Buffer.concat([this.#partial, bytes]) : bytes
    const answer = parseAnswer(all)
    if (answer === undefined) {
      this.#partial = Buffer.from(all)
      return
    }
    this.#partial = undefined
    // An answer to half of a request: the rest still waits in `request`, and the next one would be written into it.
    if (this.#socket!.writableLength > 0) {
      this.reconnect()
      return
    }
    this.ready = true
    this.#events.onAnswer(this, answer)
  }
}

/** The answer in `bytes`; undefined while it is not complete. Only answers with a Content-Length are understood. */
export function parseAnswer(bytes: Buffer): Answer | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const head = bytes.toString('latin1', 0, headEnd)
  const length = headerNumber(head, 'content-length')
  if (length === undefined) throw new Error(`an answer without Content-Length: ${head.slice(0, 100)}`)
  const bodyAt = headEnd + 4
  if (bytes.length < bodyAt + length) return undefined
  return {
    status: Number(head.slice(9, 12)),
    retryAfter: headerNumber(head, 'retry-after') ?? 0,
    body: bytes.toString('latin1', bodyAt, bodyAt + length),
  }
}

const HEADER = {
  'content-length': /\r\ncontent-length: *(\d+)/i,
  'retry-after': /\r\nretry-after: *(\d+)/i,
}
function headerNumber(head: string, name: keyof typeof HEADER): number | undefined {
  const found = HEADER[name].exec(head)
  return found ? Number(found[1]) : undefined
}
