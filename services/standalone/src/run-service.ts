import type { EventLog } from '@millrace/log'
import {
  createLogger,
  createServer,
  onShutdown,
  type Server,
  type ServerSettings,
  serveReference,
} from '@millrace/server'
import { openKafka, waitForTopics } from './open-log.ts'
import type { Reach } from './reach.ts'
import type { LogSettings } from './settings.ts'
import { VERSION } from './version.ts'
import { whileWaiting } from './while-waiting.ts'

const STOP_MS = 30_000

/** What a service is made of. */
export interface ServiceParts {
  readonly log: EventLog
  /** Does not listen yet. */
  readonly server: Server
  readonly reach: Reach
}

/** A service that works. */
export interface RunningService {
  /** Takes no more, finishes what it has, commits it. */
  stop(): Promise<void>
  /** Closes what the server's requests need; called when it has answered the last. */
  release?(): Promise<void>
}

/**
 * Runs the one service of this process until it is told to stop. It waits for Kafka and its topics, and says so at its
 * address, before `start` is called, unless the log may be away; it listens when that resolves. @throws what `start` throws
 */
export async function runService(
  name: string,
  settings: ServerSettings & LogSettings,
  start: (parts: ServiceParts) => Promise<RunningService>,
  { logMayBeAway = false } = {},
): Promise<void> {
  const logger = createLogger(settings.MILLRACE_LOG_LEVEL, name)
  let close = async (): Promise<void> => undefined
  onShutdown(() => close(), { deadlineMs: STOP_MS, logger })

  const options = { host: settings.MILLRACE_HOST, port: settings.MILLRACE_PORT, name, logger }
  const server = createServer(options)
  await whileWaiting(options, async (reach) => {
    const log = await openKafka(settings, { reach, logger, onFailure: endProcess }, { mayBeAway: logMayBeAway })
    close = () => log.close()
    if (!logMayBeAway) await waitForTopics(log, reach)
    const service = await start({ log, server, reach })
    close = async () => {
      await service.stop()
      await server.close()
      await service.release?.()
      await log.close()
    }
  })
  serveReference(server.app, VERSION)
  logger.info({ address: await server.listen() }, 'ready')
}

/** For what this process cannot recover from: the log of it, or its store, has to be opened anew. */
export function endProcess(error: Error): void {
  console.error(`millrace: ${error.message}; nothing accepted is lost, start it again`)
  process.exit(1)
}
