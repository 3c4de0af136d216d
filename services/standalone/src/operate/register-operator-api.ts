/** /v1/verify, /v1/topics, /v1/backup, /v1/resume: what the commands of the same names ask of a running instance. */
import { PassThrough } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ConfigBook, ConfigWriter } from '@millrace/config'
import type { EventLog } from '@millrace/log'
import { accessOf, describeRoutes, type FastifyReply, type FastifyRequest, type Server } from '@millrace/server'
import { MillraceError, TOPICS } from '@millrace/shared'
import type { Store } from '@millrace/store'
import { TarWriter } from '../backup/tar.ts'
import { type BackupParts, prepareBackup, writeBackup } from '../backup/write-backup.ts'
import type { Verifier } from '../verify/verify-client.ts'
import { acceptHoles } from './accept-holes.ts'
import { OPERATOR_OPERATIONS } from './operations.ts'
import { sendLines } from './send-lines.ts'
import { type TailRequest, tailTopic } from './tail-topic.ts'

/** Scopes of the routes, for requireKey. */
export const OPERATOR_ROUTES = {
  '/v1/verify': 'admin',
  '/v1/topics': 'admin',
  '/v1/backup': 'admin',
  '/v1/resume': 'admin',
} as const

export interface OperatorApi {
  readonly server: Pick<Server, 'app' | 'logger'>
  readonly log: EventLog
  readonly store: Store
  readonly config: ConfigBook
  readonly writer: Pick<ConfigWriter, 'acceptGap'>
  readonly verifier: Pick<Verifier, 'verify'>
  /** null = the log or the store are not in this process's folder: their own tools back them up. */
  readonly backup: Omit<BackupParts, 'log' | 'store'> | null
}

/** Adds the routes. Guard them with OPERATOR_ROUTES, and call this before the server listens. */
export function registerOperatorApi(api: OperatorApi): void {
  const { app, logger } = api.server
  describeRoutes(app, OPERATOR_OPERATIONS)
  const closing = new AbortController()
  app.addHook('preClose', async () => closing.abort(new Error('Millrace is shutting down')))
  const running = new Set<string>()

  app.post('/v1/verify', (request, reply) => {
    assertOperator(request)
    assertJson(request)
    const done = begin(running, 'verify')
    return sendLines(reply, closing.signal, async (write, signal) => {
      const progress = (text: string): void => void write({ progress: text }).catch(() => undefined)
      try {
        await write({ report: await api.verifier.verify(progress, signal) })
      } finally {
        done()
      }
    })
  })

  app.get<{ Params: { topic: string } }>('/v1/topics/:topic', (request, reply) => {
    assertOperator(request)
    const wanted = readTailRequest(request.params.topic, request.query as Record<string, unknown>)
    if (wanted.personal) logger.info({ audit: true, topic: wanted.topic }, 'personal data of a topic are shown')
    return sendLines(reply, closing.signal, async (write, signal) => {
      for await (const record of tailTopic(api.log, wanted, signal)) {
        await write({ record })
        // Hits and reports come in between: a record may hold thousands of rows.
        await nextTurn()
      }
    })
  })

  app.post('/v1/resume', async (request, reply) => {
    assertOperator(request)
    const { accept_gap: accept = false, partition = null } = (request.body ?? {}) as Record<string, unknown>
    if (typeof accept !== 'boolean' || !(partition === null || Number.isSafeInteger(partition)))
      throw new MillraceError('field_invalid', 'accept_gap is true or false, partition a whole number.')
    const holes = await acceptHoles(api, accept, partition as number | null)
    if (accept) for (const hole of holes) logger.warn({ audit: true, ...hole }, 'hole of hits.raw accepted')
    return reply.header('cache-control', 'no-store').send({ holes, accepted: accept })
  })

  app.post('/v1/backup', async (request, reply) => {
    assertOperator(request)
    assertJson(request)
    if (!api.backup)
      throw new MillraceError(
        'not_found',
        'Log or store are on servers of their own: back them up with their own tools.',
      )
    const done = begin(running, 'backup')
    try {
      return await sendBackup({ ...api, ...api.backup }, api.server.logger, reply, done)
    } catch (error) {
      done()
      throw new MillraceError('not_ready', `${(error as Error).message}.`)
    }
  })
}

async function sendBackup(
  parts: BackupParts,
  logger: Server['logger'],
  reply: FastifyReply,
  done: () => void,
): Promise<FastifyReply> {
  const startedAt = Date.now()
  const backup = await prepareBackup(parts)
  const out = new PassThrough({ highWaterMark: 4 << 20 })
  writeBackup(backup, new TarWriter(out))
    .then(() => {
      out.end()
      logger.info({ audit: true, ...backup.numbers, ms: Date.now() - startedAt }, 'backup made')
    })
    .catch((error: Error) => {
      logger.warn({ problem: error.message }, 'backup broken off')
      out.destroy(error)
    })
    .finally(() => {
      backup.release()
      done()
    })
  return reply
    .header('content-type', 'application/x-tar')
    .header('cache-control', 'no-store')
    .header('x-backup-bytes', String(backup.snapshot.bytes))
    .send(out)
}

/** @throws MillraceError operation_running */
function begin(running: Set<string>, operation: string): () => void {
  if (running.has(operation))
    throw new MillraceError('operation_running', `Another ${operation} runs. Wait until it is done.`)
  running.add(operation)
  return () => void running.delete(operation)
}

/** The log is everybody's. @throws MillraceError forbidden */
function assertOperator(request: FastifyRequest): void {
  if (accessOf(request).sites.length > 0) throw new MillraceError('forbidden', 'The key is for single sites only.')
}

/** A page of some site can send a browser's plain POST to an open instance on this machine, but not this type. @throws MillraceError */
function assertJson(request: FastifyRequest): void {
  if (!request.headers['content-type']?.startsWith('application/json'))
    throw new MillraceError('media_type_unsupported', 'Send {} as application/json.')
}

const TAIL_PARAMETERS = ['partition', 'from', 'limit', 'follow', 'personal']

/** @throws MillraceError not_found, field_unknown, field_invalid */
function readTailRequest(topic: string, query: Record<string, unknown>): TailRequest {
  if (!TOPICS.some(({ name }) => name === topic))
    throw new MillraceError('not_found', `There is no such topic: ${TOPICS.map(({ name }) => name).join(', ')}.`)
  const unknown = Object.keys(query).find((name) => !TAIL_PARAMETERS.includes(name))
  if (unknown !== undefined) throw new MillraceError('field_unknown', `Known are ${TAIL_PARAMETERS.join(', ')}.`)
  const text = (name: string, fallback: string): string => String(query[name] ?? fallback)
  const whole = (name: string): number | null => {
    if (query[name] === undefined) return null
    if (!/^\d{1,15}$/.test(text(name, ''))) throw new MillraceError('field_invalid', `${name} must be a whole number.`)
    return Number(query[name])
  }
  return {
    ...{ topic, partition: whole('partition'), from: text('from', '-10') },
    ...{ limit: whole('limit') ?? Number.POSITIVE_INFINITY },
    ...{ follow: text('follow', '') === 'true', personal: text('personal', '') === 'true' },
  }
}
