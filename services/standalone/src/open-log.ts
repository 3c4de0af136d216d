import { join } from 'node:path'
import { type EmbeddedLog, type EmbeddedLogOptions, type EventLog, openEmbeddedLog, openKafkaLog } from '@millrace/log'
import type { Logger } from '@millrace/server'
import { TOPICS } from '@millrace/shared'
import type { Reach } from './reach.ts'
import { kafkaConnection, type LogSettings, partitionsFrom, type TopicSettings } from './settings.ts'

export interface LogParts {
  readonly reach: Reach
  readonly logger: Logger
  /** Told when the log cannot go on; without it, it is thrown. */
  readonly onFailure?: (error: Error) => void
}

/** The log on Kafka, as soon as a broker answers; at once when it `mayBeAway`. */
export function openKafka(
  settings: LogSettings,
  { reach, logger, onFailure }: LogParts,
  { mayBeAway = false } = {},
): Promise<EventLog> {
  const options = { ...kafkaConnection(settings), logger, mayBeAway, ...(onFailure && { onFailure }) }
  return reach('log', () => openKafkaLog(options))
}

/** The log in the data folder, with all topics; nothing expires before releaseRetention(). */
export function openEmbedded(
  settings: TopicSettings,
  { logger, onFailure }: LogParts,
  time: Pick<EmbeddedLogOptions, 'clock' | 'maintenanceMs'> = {},
): Promise<EmbeddedLog> {
  return openEmbeddedLog({
    dir: join(settings.MILLRACE_DATA_DIR, 'log'),
    topics: TOPICS,
    hitPartitions: partitionsFrom(settings),
    retentionHeld: true,
    onNotice: ({ kind, text }) => logger.info({ kind }, text),
    ...(onFailure && { onFailure }),
    ...time,
  })
}

/** Makes the topics that are missing. @throws Error when one exists with another number of partitions */
export async function ensureTopics(log: EventLog, settings: TopicSettings, reach: Reach): Promise<void> {
  const admin = log.admin()
  await reach('topics', () => admin.ensureTopics(TOPICS, partitionsFrom(settings)), isOfClient)
  await admin.close()
}

/** Brokers that do not know a topic yet, or were just lost: not the log's own verdict, which is a plain Error. */
const isOfClient = (error: unknown): boolean =>
  (error as Error).name !== 'Error' || (error as Error).cause !== undefined

/** Waits until somebody has made the topics. */
export async function waitForTopics(log: EventLog, reach: Reach): Promise<void> {
  const admin = log.admin()
  await reach('topics', async () => {
    for (const { name } of TOPICS) {
      await admin.partitions(name).catch((error: Error) => {
        throw new Error(`${error.message} (millrace topics makes the topics)`)
      })
    }
  })
  await admin.close()
}
