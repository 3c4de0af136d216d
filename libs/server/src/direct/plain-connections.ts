import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { type Answer, headOf } from './answer.ts'
import type { DirectRoute, Reply } from './direct-routes.ts'
import { type PlainRequest, readPlainRequest } from './read-plain-request.ts'

/** Larger requests are node's: what a body costs is then no longer in its head. */
const MAX_REQUEST_BYTES = 128 * 1024
/** How long the rest of a request is waited for here; node then goes by its own limits. */
const PATIENCE_MS = 1_000
const EMPTY: Buffer = Buffer.alloc(0)

type RouteOf = (method: string, path: string) => DirectRoute | null
type ConnectionListener = (this: Server, socket: Socket) => void

/**
 * The connections of a server as they come. Plain requests for direct routes are read and answered here; with the first
 * bytes that are anything else a connection goes to node's own listeners, as if they had come just then, and stays there.
 */
export class PlainConnections {
  readonly #open = new Set<PlainConnection>()

  /** To be made before the server listens. While `isClosing`, connections are closed behind their answer. */
  constructor(server: Server, routeOf: RouteOf, isClosing: () => boolean) {
    const listeners = server.listeners('connection') as ConnectionListener[]
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => {
      const connection = new PlainConnection(socket, server, {
        routeOf,
        isClosing,
        leave: () => this.#open.delete(connection),
        giveToNode: () => {
          for (const listener of listeners) listener.call(server, socket)
        },
      })
      this.#open.add(connection)
    })
    this.#closeWith(server)
  }

  /** Node knows only those that it was given. */
  #closeWith(server: Server): void {
    const [closeIdle, closeAll] = [server.closeIdleConnections, server.closeAllConnections]
    server.closeIdleConnections = () => {
      closeIdle.call(server)
      for (const connection of this.#open) connection.destroyIfIdle()
    }
    server.closeAllConnections = () => {
      closeAll.call(server)
      for (const connection of this.#open) connection.destroy()
    }
  }
}

/** What a connection asks of those around it. */
interface Surroundings {
  readonly routeOf: RouteOf
  readonly isClosing: () => boolean
  /** It is no plain connection any more. */
  readonly leave: () => void
  readonly giveToNode: () => void
}

class PlainConnection {
  readonly #socket: Socket
  readonly #server: Pick<Server, 'keepAliveTimeout' | 'headersTimeout'>
  readonly #around: Surroundings
  readonly #remoteAddress: string | undefined
  /** What has come of the next request. */
  #waiting = EMPTY
  /** By performance.now(): since when the rest of a request is waited for. */
  #waitingSince = 0
  /** A request waits for its answer. */
  #isBusy = false
  #hasEnded = false

  constructor(socket: Socket, server: Pick<Server, 'keepAliveTimeout' | 'headersTimeout'>, around: Surroundings) {
    this.#socket = socket
    this.#server = server
    this.#around = around
    this.#remoteAddress = socket.remoteAddress
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', around.leave)
    socket.on('timeout', this.#onTimeout)
    socket.setTimeout(server.headersTimeout)
  }

  destroyIfIdle(): void {
    if (!this.#isBusy && this.#waiting.length === 0) this.destroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#waiting = this.#waiting.length === 0 ? chunk : Buffer.concat([this.#waiting, chunk])
    // Requests are answered one after another, and no more is read than the one behind.
    if (this.#isBusy) this.#socket.pause()
    else this.#takeNext()
  }

  #takeNext(): void {
    const bytes = this.#waiting
    const request = bytes.length > MAX_REQUEST_BYTES ? null : readPlainRequest(bytes)
    const route = request && this.#around.routeOf(request.method, request.path)
    if (request === null || route === null || request.end - request.bodyAt > route.maxBodyBytes) this.#leave()
    else if (request.end > bytes.length) this.#awaitRest(request)
    else {
      this.#waitingSince = 0
      this.#waiting = bytes.length === request.end ? EMPTY : bytes.subarray(request.end)
      this.#isBusy = true
      const { headers, bodyAt, end } = request
      const body = bytes.subarray(bodyAt, end)
      route.take({ headers, httpVersion: '1.1', remoteAddress: this.#remoteAddress, body }, this.#reply)
    }
  }

  #awaitRest({ end }: PlainRequest): void {
    const now = performance.now()
    if (this.#waitingSince === 0) {
      this.#waitingSince = now
      this.#socket.setTimeout(PATIENCE_MS)
    }
    if (end > MAX_REQUEST_BYTES || now - this.#waitingSince > PATIENCE_MS) this.#leave()
  }

  readonly #reply: Reply = (answer) => {
    const socket = this.#socket
    this.#isBusy = false
    if (socket.destroyed) return
    const isLast = this.#hasEnded || this.#around.isClosing()
    const hasRoom = this.#write(answer, isLast)
    if (isLast) socket.destroySoon()
    else if (hasRoom) this.#goOn()
    else {
      // Who does not read its answers gets no more of them.
      socket.pause()
      socket.once('drain', () => this.#goOn())
    }
  }

  #write(answer: Answer, isLast: boolean): boolean {
    const head = headOf(answer) + (isLast ? 'connection: close\r\n\r\n' : this.#keepAlive())
    // A header is latin1 on the wire, a body UTF-8. As a rule both are ASCII.
    if (answer.headers['content-length'] === answer.body.length) return this.#socket.write(head + answer.body, 'latin1')
    this.#socket.write(head, 'latin1')
    return this.#socket.write(answer.body)
  }

  #keepAlive(): string {
    return `connection: keep-alive\r\nkeep-alive: timeout=${Math.floor(this.#server.keepAliveTimeout / 1_000)}\r\n\r\n`
  }

  #goOn(): void {
    const { keepAliveTimeout } = this.#server
    if (this.#socket.timeout !== keepAliveTimeout) this.#socket.setTimeout(keepAliveTimeout)
    if (this.#socket.isPaused()) this.#socket.resume()
    if (this.#waiting.length > 0 && !this.#isBusy) this.#takeNext()
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true
    if (!this.#isBusy) this.#socket.end()
  }

  /** Whoever goes away early is told of by 'close'. */
  readonly #onError = (): void => undefined

  readonly #onTimeout = (): void => {
    if (this.#isBusy) return
    if (this.#waiting.length > 0) this.#leave()
    else this.destroy()
  }

  /** Node goes on with what has come, as if it came now. */
  #leave(): void {
    const socket = this.#socket
    // Nothing can be given to a stream that has ended.
    if (this.#hasEnded) {
      this.destroy()
      return
    }
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('error', this.#onError)
    socket.off('close', this.#around.leave)
    socket.off('timeout', this.#onTimeout)
    socket.setTimeout(0)
    this.#around.leave()
    socket.pause()
    socket.unshift(this.#waiting)
    this.#around.giveToNode()
    socket.resume()
  }
}
