import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'

/** Reads and answers one request. Nothing that it throws is caught. */
export type DirectHandler = (request: IncomingMessage, response: ServerResponse) => void

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

/**
 * Routes that are taken on node's own request and response: fastify's way to a handler and back costs about as much again as
 * node:http itself, which the one route that every hit takes cannot spare. They are routes of fastify too, for whatever does
 * not go by their plain address, and so that other methods are refused as everywhere.
 */
export class DirectRoutes {
  readonly #app: FastifyInstance
  readonly #routes = new Map<string, { readonly method: string; readonly handler: DirectHandler }>()
  #closing = false

  /** To be made before the server listens. */
  constructor(app: FastifyInstance) {
    this.#app = app
    const fastifyHandlers = app.server.listeners('request') as DirectHandler[]
    app.server.removeAllListeners('request')
    app.server.on('request', (request, response) => {
      const handler = this.#find(request)
      if (handler === null) for (const answer of fastifyHandlers) answer(request, response)
      else {
        if (this.#closing) response.setHeader('connection', 'close')
        handler(request, response)
      }
    })
  }

  /** `path` has no parameters. */
  add(method: string, path: string, handler: DirectHandler): void {
    this.#routes.set(path, { method, handler })
    this.#app.register(async (scope) => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', (_request, _bytes, done) => done(null))
      scope.route({
        method,
        url: path,
        handler: (request, reply) => {
          reply.hijack()
          handler(request.raw, reply.raw)
        },
      })
    })
  }

  /** From now on connections are closed behind their answer. */
  close(): void {
    this.#closing = true
  }

  #find({ url = '', method }: IncomingMessage): DirectHandler | null {
    const query = url.indexOf('?')
    const route = this.#routes.get(query < 0 ? url : url.slice(0, query))
    return route !== undefined && route.method === method ? route.handler : null
  }
}
