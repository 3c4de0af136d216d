import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** A request that the stand-in got. */
export interface Got {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly bytes: number
  readonly body: { sent_at: number; hits: Record<string, unknown>[] }
}
export interface Reply {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

/** A service that answers what a test says: for what the real one does not do when asked. */
export interface StandIn {
  readonly url: string
  readonly got: Got[]
  /** Hits of all requests, in the order in which they came. */
  hits(): Record<string, unknown>[]
  /** TCP connections so far. */
  connections(): number
  close(): Promise<void>
}

/** `reply` may be a promise, and throw: then the connection is cut. */
export async function startStandIn(reply: (got: Got, n: number) => Reply | Promise<Reply> = accept): Promise<StandIn> {
  const got: Got[] = []
  let connections = 0
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const raw = Buffer.concat(chunks)
    const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
    const one = { path: request.url!, headers: request.headers, bytes: text.length, body: JSON.parse(text.toString()) }
    got.push(one)
    try {
      const { status = 202, headers = {}, body } = await reply(one, got.length)
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(typeof body === 'string' ? body : JSON.stringify(body ?? null))
    } catch {
      request.socket.destroy()
    }
  })
  server.on('connection', () => connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    got,
    hits: () => got.flatMap(({ body }) => body.hits),
    connections: () => connections,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** What the real service answers when nothing is wrong. */
export const accept = ({ body }: Got): Reply => ({ body: { accepted: body.hits.length } })
