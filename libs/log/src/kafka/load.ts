import type { EventLog } from '../event-log.ts'
import type { KafkaLogOptions } from './open.ts'

/**
 * Opens the event log on Apache Kafka. The client and its codec are loaded only now: an installation with the embedded
 * log does without them.
 * @throws Error when no broker answers
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<EventLog> {
  const { openKafkaLog: open } = await import('./open.ts')
  return await open(options)
}
