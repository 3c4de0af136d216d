import { MillraceError, problem } from '@millrace/shared'
import { type FastifyInstance, fastify } from 'fastify'
import type { Logger } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { answerBrokenRequest, problemOf, sendProblem } from './answer-problems.ts'
import { DirectRoutes } from './direct/direct-routes.ts'
import { listMethods } from './list-methods.ts'
import { Readiness } from './readiness.ts'
import { describeRoutes, rememberRoutes } from './reference/describe-routes.ts'
import { HEALTH_OPERATIONS } from './reference/health-operations.ts'

/** Largest body of a route that names no limit of its own, in bytes. */
const BODY_LIMIT = 1 << 20
/** A whole request must have arrived after this time: a sender that trickles holds a socket no longer. */
const REQUEST_TIMEOUT_MS = 30_000
const HEADERS_TIMEOUT_MS = 10_000
/** Above the 60 s after which the usual load balancers give up an idle connection: they must be the ones to close it. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000
/** How often node looks for connections over one of the limits above. */
const CONNECTIONS_CHECK_MS = 2_000
/** How often the delay of the event loop is measured; more often is most of what an idle process does. */
const EVENT_LOOP_LOOK_MS = 100
/** close() cuts what is still open after this time. */
const CLOSE_TIMEOUT_MS = 10_000

/** One HTTP server: routes are added to `app` before listen(). */
export interface Server {
  readonly app: FastifyInstance
  /** Routes for which the framework is too slow. */
  readonly direct: Pick<DirectRoutes, 'add'>
  readonly readiness: Readiness
  readonly registry: Registry
  readonly logger: Logger
  /** What licences ask to be shown, by name: /health does; '' = nothing to show now. */
  readonly notices: Map<string, () => Promise<string>>
  /** Resolves with the address to reach it at, such as `http://127.0.0.1:8700`. @throws Error when the port is taken */
  listen(): Promise<string>
  /** Takes no new connection, lets requests in flight finish, closes idle connections; cuts the rest after 10 s. */
  close(): Promise<void>
}

export interface ServerOptions {
  readonly host: string
  readonly port: number
  /** Shown by /health. */
  readonly name: string
  readonly logger: Logger
  /** Metrics of other threads in Prometheus' text format, appended to /metrics. */
  readonly extraMetrics?: readonly (() => Promise<string>)[]
}

/** An HTTP server with health, metrics, limits, and problem documents for every error. */
export function createServer(options: ServerOptions): Server {
  const { logger, name } = options
  const readiness = new Readiness()
  const registry = new Registry()
  const notices: Server['notices'] = new Map()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_LOOK_MS })

  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: CONNECTIONS_CHECK_MS },
    forceCloseConnections: 'idle',
    // Requests on connections that are still open are answered by their routes, which know whether they can be taken.
    return503OnClosing: false,
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, _request, reply) => sendProblem(reply, problemOf(error)),
  })
  rememberRoutes(app)
  describeRoutes(app, HEALTH_OPERATIONS)
  const direct = new DirectRoutes(app)
  answerErrors(app, logger)
  addHealth(app, name, readiness, notices)
  addMetrics(app, registry, options.extraMetrics ?? [])

  return {
    app,
    direct,
    readiness,
    registry,
    logger,
    notices,
    async listen() {
      return app.listen({ host: options.host, port: options.port }).catch((error: Error) => {
        throw explained(error, options)
      })
    },
    async close() {
      readiness.set('server', 'shutting down')
      direct.close()
      await closeConnections(app)
    },
  }
}

/** What to do about a port that cannot be had. */
function explained(error: Error & { code?: string }, { host, port }: ServerOptions): Error {
  const where = `${host}:${port}`
  if (error.code === 'EADDRINUSE') return new Error(`${where} is in use by another process: choose another port`)
  if (error.code === 'EACCES') return new Error(`${where} may not be used by this user: choose a port above 1023`)
  return error
}

function answerErrors(app: FastifyInstance, logger: Logger): void {
  const methodsOf = listMethods(app)
  app.setNotFoundHandler((request, reply) => {
    const methods = methodsOf(request.url.split('?', 1)[0]!)
    if (methods.length === 0) return sendProblem(reply, problem('not_found', 'There is nothing at this address.'))
    reply.header('allow', methods.join(', '))
    return sendProblem(reply, problem('method_not_allowed', `Allowed here: ${methods.join(', ')}.`))
  })
  app.setErrorHandler((error, request, reply) => {
    // A body that cannot be read is beside the point where nothing reads it.
    if (request.is404) return reply.callNotFound()
    const document = problemOf(error)
    if (document.status === 500) logger.error({ err: error, route: request.routeOptions.url }, 'request failed')
    return sendProblem(reply, document)
  })
}

function addHealth(app: FastifyInstance, name: string, readiness: Readiness, notices: Server['notices']): void {
  const startedAt = Date.now()
  app.get('/livez', (_request, reply) => reply.header('cache-control', 'no-store').send({ alive: true }))
  app.get('/readyz', async (_request, reply) => {
    await readiness.refresh()
    if (!readiness.ready) throw new MillraceError('not_ready', readiness.problems().join('; '))
    return reply.header('cache-control', 'no-store').send({ ready: true })
  })
  app.get('/health', async (_request, reply) => {
    await readiness.refresh()
    return reply.header('cache-control', 'no-store').send({
      name,
      status: readiness.ready ? 'ok' : 'degraded',
      uptime_ms: Date.now() - startedAt,
      parts: readiness.parts(),
      notices: await readNotices(notices),
    })
  })
}

async function readNotices(notices: Server['notices']): Promise<Record<string, string>> {
  const texts = await Promise.all([...notices].map(async ([name, read]) => [name, await read()] as const))
  return Object.fromEntries(texts.filter(([, text]) => text !== ''))
}

function addMetrics(app: FastifyInstance, registry: Registry, extra: readonly (() => Promise<string>)[]): void {
  app.get('/metrics', async (_request, reply) => {
    const texts = await Promise.all([registry.metrics(), ...extra.map((read) => read())])
    reply.header('content-type', registry.contentType).header('cache-control', 'no-store')
    return texts.map((text) => (text.endsWith('\n') || text === '' ? text : `${text}\n`)).join('')
  })
}

/** Node closes idle connections once, at close(); those that answer their last request after it would stay open for a minute. */
async function closeConnections(app: FastifyInstance): Promise<void> {
  const reaper = setInterval(() => app.server.closeIdleConnections(), 50)
  const cut = setTimeout(() => app.server.closeAllConnections(), CLOSE_TIMEOUT_MS)
  try {
    await app.close()
  } finally {
    clearInterval(reaper)
    clearTimeout(cut)
  }
}
