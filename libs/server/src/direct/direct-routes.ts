import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError } from '@millrace/shared'
import type { FastifyInstance } from 'fastify'
import { type Answer, sendAnswer } from './answer.ts'
import { collectBody } from './collect-body.ts'
import { PlainConnections } from './plain-connections.ts'

/** A request with all of its body. */
export interface WholeRequest {
  /** By their names in lower case, as node gives them. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly httpVersion: string
  readonly remoteAddress: string | undefined
  readonly body: Buffer
}

/** Answers a request, once. */
export type Reply = (answer: Answer) => void

/** What answers the requests to one address. Nothing that it throws is caught. */
export interface DirectRoute {
  readonly maxBodyBytes: number
  take(request: WholeRequest, reply: Reply): void
  /** A request that cannot be read to its end. */
  refuse(error: MillraceError, reply: Reply): void
}

/**
 * Routes past the framework, which the one route that every hit takes cannot spare: fastify's way to a handler and back
 * costs about as much again as node:http itself, and that as much again as the connection beneath it. So requests that are
 * plain and whole are taken off the connection (PlainConnections), and others on node's own request and response. They are
 * routes of fastify too, for whatever does not go by their plain address, and so that other methods are refused as
 * everywhere.
 */
export class DirectRoutes {
  readonly #app: FastifyInstance
  readonly #routes = new Map<string, { readonly method: string; readonly route: DirectRoute }>()
  #closing = false

  /** To be made before the server listens. */
  constructor(app: FastifyInstance) {
    this.#app = app
    new PlainConnections(
      app.server,
      (method, path) => this.#routeOf(method, path),
      () => this.#closing,
    )
    const fastifyHandlers = app.server.listeners('request') as ((asked: IncomingMessage, to: ServerResponse) => void)[]
    app.server.removeAllListeners('request')
    app.server.on('request', (request, response) => {
      const { url = '', method = '' } = request
      const query = url.indexOf('?')
      const route = this.#routeOf(method, query < 0 ? url : url.slice(0, query))
      if (route === null) for (const answer of fastifyHandlers) answer(request, response)
      else {
        if (this.#closing) response.setHeader('connection', 'close')
        takeRequest(route, request, response)
      }
    })
  }

  /** `path` has no parameters. */
  add(method: string, path: string, route: DirectRoute): void {
    this.#routes.set(path, { method, route })
    this.#app.register(async (scope) => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', (_request, _bytes, done) => done(null))
      scope.route({
        method,
        url: path,
        handler: (request, reply) => {
          reply.hijack()
          takeRequest(route, request.raw, reply.raw)
        },
      })
    })
  }

  /** From now on connections are closed behind their answer. */
  close(): void {
    this.#closing = true
  }

  #routeOf(method: string, path: string): DirectRoute | null {
    const known = this.#routes.get(path)
    return known !== undefined && known.method === method ? known.route : null
  }
}

function takeRequest(route: DirectRoute, request: IncomingMessage, response: ServerResponse): void {
  const reply = (answer: Answer): void => sendAnswer(response, answer)
  const { headers, httpVersion, socket } = request
  const take = (body: Buffer): void =>
    route.take({ headers, httpVersion, remoteAddress: socket.remoteAddress, body }, reply)
  const tooLarge = (): void => {
    const text = `The body is larger than ${route.maxBodyBytes} bytes.`
    route.refuse(new MillraceError('body_too_large', text), reply)
  }
  collectBody(request, route.maxBodyBytes, take, tooLarge)
}
