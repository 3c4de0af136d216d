/** POST /v1/sql, and ClickHouse's HTTP dialect for its own clients. */
import { randomUUID } from 'node:crypto'
import {
  accessOf,
  describeRoutes,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type Server,
} from '@millrace/server'
import { MillraceError } from '@millrace/shared'
import { type SqlConsole, StoreUnavailable } from '@millrace/store'
import { type Dialect, outcomeOf, sendAnswer, sendError } from './answer-sql.ts'
import { sqlFacts } from './facts.ts'
import { MAX_SQL_BYTES, SQL_WAIT_MS, SQL_WAITING } from './limits.ts'
import { SQL_OPERATIONS } from './operations.ts'
import { Queue, type QueueLimits } from './queue.ts'
import { readSqlRequest } from './read-sql-request.ts'
import { SqlRunner } from './run-sql.ts'

export interface SqlApi {
  readonly server: Pick<Server, 'app' | 'registry' | 'logger'>
  readonly console: SqlConsole
  /** Of statements that run and wait; the product's if left out. */
  readonly queue?: QueueLimits
}

/** Adds the dialect's routes to another server: at its root, for clients that take no path. */
export type AddDialect = (app: FastifyInstance, path: string) => void

/**
 * Adds POST /v1/sql and the dialect at /clickhouse. Guard both with the scope `sql`, and call this before the server
 * listens. Returns what adds the dialect elsewhere; all share one queue.
 */
export function registerSqlApi({ server, console, queue }: SqlApi): AddDialect {
  const facts = sqlFacts(server)
  describeRoutes(server.app, SQL_OPERATIONS)
  const turns = new Queue(queue ?? { atOnce: console.sideBySide, waiting: SQL_WAITING, waitMs: SQL_WAIT_MS })
  const runner = new SqlRunner(console)

  async function answer(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const startedMs = performance.now()
    const ended = (outcome: Parameters<typeof facts.ended>[0]): void =>
      facts.ended(outcome, (performance.now() - startedMs) / 1_000)
    const gone = new AbortController()
    const onClose = (): void => gone.abort(GONE)
    reply.raw.once('close', onClose)
    try {
      assertMayAskSql(request)
      const asked = await readSqlRequest(request)
      reply.header('x-clickhouse-query-id', asked.queryId ?? randomUUID())
      reply.header('x-clickhouse-timezone', console.timezone)
      const answered = await turns.inTurn(gone.signal, () => runner.run(asked, gone.signal))
      ended('answered')
      return await sendAnswer(answered, asked, reply)
    } catch (error) {
      ended(error === GONE ? 'gone' : outcomeOf(error))
      if (!(error instanceof StoreUnavailable)) throw error
      facts.storeFailed(error)
      throw new MillraceError('store_unavailable', 'The store could not answer the statement.')
    } finally {
      reply.raw.off('close', onClose)
    }
  }

  function add(app: FastifyInstance, dialect: Dialect, addRoutes: (app: FastifyInstance) => void): void {
    app.register(async (scope) => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser(
        '*',
        { parseAs: 'buffer', bodyLimit: 2 * MAX_SQL_BYTES },
        async (_: unknown, body: Buffer) => body,
      )
      scope.setErrorHandler((error, _request, reply) => sendError(error, dialect, console.version, reply))
      scope.addHook('onSend', async (_request, reply) => {
        reply.header('cache-control', 'no-store').header('x-clickhouse-server-display-name', 'millrace')
      })
      addRoutes(scope)
    })
  }

  const addDialect: AddDialect = (app, path) =>
    add(app, 'clickhouse', (scope) => {
      for (const at of new Set([path || '/', `${path}/`])) {
        scope.post(at, answer)
        scope.get(at, (request, reply) => (request.url.includes('?') ? answer(request, reply) : reply.send('Ok.\n')))
      }
      scope.get(`${path}/ping`, (_request, reply) => reply.send('Ok.\n'))
    })

  add(server.app, 'v1', (scope) => scope.post('/v1/sql', answer))
  addDialect(server.app, '/clickhouse')
  return addDialect
}

/** Nobody waits for the answer any more. */
const GONE = new MillraceError('request_timeout', 'The client went away.')

/** @throws MillraceError forbidden */
function assertMayAskSql(request: FastifyRequest): void {
  // A page of the internet cannot read the answer, but it could make work.
  const from = request.headers['sec-fetch-site']
  if (from === 'cross-site' || from === 'same-site') {
    throw new MillraceError('forbidden', 'Pages of other origins may not ask by SQL.')
  }
  if (accessOf(request).sites.length > 0) {
    throw new MillraceError(
      'forbidden',
      'The key is for some sites only, and SQL cannot be limited to sites here: use a key for all sites, or /v1/query. On a ClickHouse server, give its user row policies and let the user connect to the server itself.',
    )
  }
}
