import { CONFIG } from '@millrace/shared'
import type { EventLog, LogAdmin, LogConsumer, LogProducer, LogReader } from '../event-log.ts'
import { readMove } from '../move.ts'
import { KafkaAdmin } from './admin.ts'
import { createKafka, type KafkaConnection, openCluster, recoverCluster } from './client.ts'
import { KafkaConsumer } from './consumer.ts'
import { reasonOf } from './errors.ts'
import { KafkaProducer } from './producer.ts'
import { KafkaReader } from './reader.ts'
import { untilAnswered } from './retry.ts'
import { topicNames } from './topics.ts'

/** How the log on Kafka is opened. */
export interface KafkaLogOptions extends KafkaConnection {
  /** Put before the names of topics and groups, so that installations can share a cluster. */
  readonly topicPrefix?: string
  /** A consumer that is silent for this long loses its partitions. Milliseconds. */
  readonly sessionTimeoutMs?: number
  /** How often a consumer asks whether the group rebalances. Milliseconds. */
  readonly heartbeatMs?: number
  /** From the first try of an append until it counts as in doubt. Milliseconds. */
  readonly appendTimeoutMs?: number
  /** Do not wait for a broker: what needs one connects when it is used. */
  readonly mayBeAway?: boolean
  /** Told when a consumer cannot go on (guard 9: a dead consumer in a live process is worse than none). Without it, it is thrown. */
  readonly onFailure?: (error: Error) => void
}

const SESSION_TIMEOUT_MS = 10_000
/** Short: the first commit after a join waits for a heartbeat, and a rebalance for the slowest member's. */
const HEARTBEAT_MS = 300

/**
 * The event log on Apache Kafka, over kafkajs with a guard for each of its known faults; guards in the comments of this
 * folder are numbered as in its README.md.
 * @throws Error when no broker answers, unless that may be
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<EventLog> {
  const kafka = createKafka(options)
  const cluster = openCluster(kafka)
  if (options.mayBeAway) return new KafkaLog(kafka, cluster, options)
  try {
    await cluster.connect()
  } catch (error) {
    throw new Error(`no Kafka broker answers at ${options.brokers.join(', ')}: ${reasonOf(error)}`, { cause: error })
  }
  return new KafkaLog(kafka, cluster, options)
}

type Kafka = ReturnType<typeof createKafka>
type Cluster = ReturnType<typeof openCluster>

class KafkaLog implements EventLog {
  readonly #kafka: Kafka
  readonly #cluster: Cluster
  readonly #options: KafkaLogOptions
  readonly #names: ReturnType<typeof topicNames>
  readonly #open = new Set<{ close(): Promise<void> }>()

  constructor(kafka: Kafka, cluster: Cluster, options: KafkaLogOptions) {
    this.#kafka = kafka
    this.#cluster = cluster
    this.#options = options
    this.#names = topicNames(options.topicPrefix ?? '')
  }

  producer(): LogProducer {
    const admin = this.#admin()
    return this.#keep(
      new KafkaProducer({
        kafka: this.#kafka,
        names: this.#names,
        facts: (topic) => admin.facts(topic),
        ...(this.#options.appendTimeoutMs !== undefined && { giveUpAfterMs: this.#options.appendTimeoutMs }),
      }),
    )
  }

  consumer(group: string): LogConsumer {
    return this.#keep(
      new KafkaConsumer({
        kafka: this.#kafka,
        group: this.#names.full(group),
        names: this.#names,
        logger: this.#options.logger,
        sessionTimeoutMs: this.#options.sessionTimeoutMs ?? SESSION_TIMEOUT_MS,
        heartbeatMs: this.#options.heartbeatMs ?? HEARTBEAT_MS,
        onFailure: this.#options.onFailure ?? throwLater,
      }),
    )
  }

  reader(): LogReader {
    const { logger } = this.#options
    return this.#keep(new KafkaReader({ kafka: this.#kafka, cluster: this.#cluster, names: this.#names, logger }))
  }

  admin(): LogAdmin {
    return this.#admin()
  }

  /** 1, until something was moved into these topics: then what the move has written into millrace.config. */
  async epoch(): Promise<number> {
    const ask = () => this.#admin().facts(CONFIG.name)
    if ((await untilAnswered(`whether ${CONFIG.name} is there`, ask, () => recoverCluster(this.#cluster))) === null)
      return 1
    return (await readMove(this))?.epoch ?? 1
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((part) => part.close()))
    await this.#cluster.disconnect().catch(() => {})
  }

  #admin(): KafkaAdmin {
    return new KafkaAdmin(this.#kafka, this.#cluster, this.#names)
  }

  #keep<T extends { close(): Promise<void> }>(part: T): T {
    this.#open.add(part)
    return part
  }
}

function throwLater(error: Error): void {
  queueMicrotask(() => {
    throw error
  })
}
