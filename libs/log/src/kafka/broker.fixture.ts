import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type Admin } from 'kafkajs'
import { type KafkaCluster, missingTools, startKafka } from '../../../../infra/kafka/kafka.mjs'
import type { ContractLog } from '../event-log.suite.ts'
import { createKafka } from './client.ts'
import { type KafkaLogOptions, openKafkaLog } from './open.ts'

const SILENT = { debug() {}, warn() {} }
const PREFIX = 'test.'
const CLEANER_TURN_MS = 100

/** Why tests against a broker cannot run here, or null. Where CI is set they must run, and fail without a broker. */
export async function reasonToSkip(): Promise<string | null> {
  const missing = await missingTools()
  if (!missing || process.env.CI) return null
  console.warn(`Kafka is not tested: ${missing}`)
  return missing
}

/** What a test looks at in the broker's data folder. */
interface BrokerDisk {
  checkpoint(): Promise<string>
  /** Names in the folder of a partition, such as `test.topic-0`. */
  files(partition: string): Promise<string[]>
}

/** A broker that tests may look into, wherever it runs. */
interface ReachedBroker {
  readonly disk: BrokerDisk
  open(options?: Partial<KafkaLogOptions>): ReturnType<typeof openKafkaLog>
  /** The client itself, to look at the broker from outside. */
  withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T>
}

export interface TestBroker extends KafkaCluster, ReachedBroker {
  readonly dir: string
  remove(): Promise<void>
}

/** The broker at these addresses. */
export function brokerAt(brokers: readonly string[], disk: BrokerDisk): ReachedBroker {
  return {
    disk,
    open: (options = {}) =>
      openKafkaLog({ brokers, logger: SILENT, topicPrefix: PREFIX, heartbeatMs: 100, ...options }),
    withAdmin: async (work) => {
      const admin = createKafka({ brokers, logger: SILENT }).admin()
      await admin.connect()
      try {
        return await work(admin)
      } finally {
        await admin.disconnect()
      }
    },
  }
}

/** A broker (or three) in a folder of its own. */
export async function startBroker(nodes: 1 | 3 = 1): Promise<TestBroker> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-kafka-'))
  const kafka = await startKafka({ nodes, dir, settings: { 'log.cleaner.backoff.ms': CLEANER_TURN_MS } })
  const data = join(dir, 'node-1', 'data')
  return {
    ...kafka,
    dir,
    ...brokerAt(kafka.brokers, {
      checkpoint: async () => readFileSync(join(data, 'cleaner-offset-checkpoint'), 'utf8'),
      files: async (partition) => readdirSync(join(data, partition)),
    }),
    remove: async () => {
      await kafka.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** The broker behind the contract suite. */
export async function openContractLog(broker: ReachedBroker): Promise<ContractLog> {
  const others: Awaited<ReturnType<ReachedBroker['open']>>[] = []
  const time = new PassedTime(broker)
  let log = await broker.open()
  return {
    get log() {
      return log
    },
    another: async () => {
      const other = await broker.open()
      others.push(other)
      return other
    },
    reopen: async () => {
      await log.close()
      log = await broker.open()
      return log
    },
    passTime: (ms) => time.pass(ms),
    close: async () => {
      await Promise.all([log, ...others].map((each) => each.close()))
    },
  }
}

interface Mark {
  readonly at: number
  readonly topic: string
  readonly ends: readonly { partition: number; offset: string }[]
}

/**
 * A broker's clock cannot be moved. Retention is carried out here, by deleting what would have expired; compaction is
 * the broker's own, with its waiting times made short.
 */
class PassedTime {
  readonly #broker: ReachedBroker
  readonly #marks: Mark[] = []
  readonly #hastened = new Set<string>()
  #now = 0

  constructor(broker: ReachedBroker) {
    this.#broker = broker
  }

  async pass(ms: number): Promise<void> {
    await this.#broker.withAdmin(async (admin) => {
      for (const topic of (await admin.listTopics()).filter((name) => name.startsWith(PREFIX))) {
        const { policy, retentionMs } = await settingsOf(admin, topic)
        if (policy === 'compact') await this.#compact(admin, topic)
        else await this.#expire(admin, topic, this.#now + ms - retentionMs)
      }
    })
    this.#now += ms
  }

  async #expire(admin: Admin, topic: string, before: number): Promise<void> {
    this.#marks.push({ at: this.#now, topic, ends: await admin.fetchTopicOffsets(topic) })
    const expired = this.#marks.filter((mark) => mark.topic === topic && mark.at < before).at(-1)
    const partitions = expired?.ends
      .filter(({ offset }) => offset !== '0')
      .map(({ partition, offset }) => ({ partition, offset }))
    if (partitions?.length) await admin.deleteTopicRecords({ topic, partitions })
  }

  async #compact(admin: Admin, topic: string): Promise<void> {
    if (!this.#hastened.has(topic)) await hasten(admin, topic)
    this.#hastened.add(topic)
    await sleep(CLEANER_TURN_MS) // old enough for the next record to begin a new segment
    const { disk } = this.#broker
    const cleanedTo = async (): Promise<number> => {
      const checkpoint = await disk.checkpoint()
      return Number(new RegExp(`^${topic} 0 (\\d+)$`, 'm').exec(checkpoint)?.[1] ?? 0)
    }
    const segments = (await disk.files(`${topic}-0`)).filter((file) => /^\d+\.log$/.test(file))
    const active = Math.max(...segments.map((file) => Number.parseInt(file, 10)))
    while ((await cleanedTo()) < active) await sleep(20)
  }
}

async function settingsOf(admin: Admin, name: string): Promise<{ policy: string; retentionMs: number }> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name, configNames: ['cleanup.policy', 'retention.ms'] }],
  })
  const settings = new Map(resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]))
  return { policy: settings.get('cleanup.policy')!, retentionMs: Number(settings.get('retention.ms')) }
}

const hasten = (admin: Admin, name: string) =>
  admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name,
        configEntries: Object.entries({
          'cleanup.policy': 'compact',
          'message.timestamp.type': 'LogAppendTime',
          'segment.ms': String(CLEANER_TURN_MS),
          'min.cleanable.dirty.ratio': '0',
          'delete.retention.ms': '0',
        }).map(([key, value]) => ({ name: key, value })),
      },
    ],
  })
