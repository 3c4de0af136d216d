import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type Kafka, type Message, type Producer, type RecordMetadata } from 'kafkajs'
import { AppendInDoubt, AppendRefused, type LogProducer, type LogRecord } from '../event-log.ts'
import type { TopicFacts } from './admin.ts'
import { REQUEST_TIMEOUT_MS, RETRY } from './client.ts'
import { isHopeless, isPoison, reasonOf } from './errors.ts'
import type { TopicNames } from './topics.ts'

/** From the first try on, until an append counts as in doubt. The client's own retries run inside of it. */
const GIVE_UP_AFTER_MS = 30_000
const PAUSE_MS = 50
/** A record's lengths and deltas, each header's lengths, and the batch around them: at most. */
const RECORD_OVERHEAD = 40
const HEADER_OVERHEAD = 10
const BATCH_OVERHEAD = 70

/** Parts of one partition's records, each of which fits into one batch; sent one after another. */
type Chunks = readonly (readonly LogRecord[])[]

export interface KafkaProducerOptions {
  readonly kafka: Kafka
  readonly names: TopicNames
  /** Null when the topic does not exist. */
  readonly facts: (topic: string) => Promise<TopicFacts | null>
  readonly giveUpAfterMs?: number
}

/** Appends with acks from all in-sync replicas, and believes an acknowledgement only when it names the partition. */
export class KafkaProducer implements LogProducer {
  readonly #options: KafkaProducerOptions
  readonly #producer: Producer
  /** Topic/partition -> end of the last append that was called for it. */
  readonly #tails = new Map<string, Promise<unknown>>()
  readonly #facts = new Map<string, Promise<TopicFacts>>()
  #connected: Promise<void> | null = null
  #closed = false

  constructor(options: KafkaProducerOptions) {
    this.#options = options
    this.#producer = options.kafka.producer({
      allowAutoTopicCreation: false,
      // Few retries inside of the client: between its rounds we see what was answered.
      retry: { ...RETRY, retries: 4 },
      // Guard 2: the idempotent producer acknowledges and throws away the next different batch after a failed send.
      idempotent: false,
      createPartitioner: () => choosePartition,
    })
  }

  async append(topic: string, perPartition: ReadonlyMap<number, readonly LogRecord[]>): Promise<Map<number, number>> {
    if (this.#closed) throw new AppendRefused('the producer is closed')
    const parts = [...perPartition].filter(([, records]) => records.length > 0)
    // Guard 3: one append in flight per partition, in the order of the calls. A repetition of what the client did not
    // know to be written can then never come after something newer.
    const keys = parts.map(([partition]) => `${topic}/${partition}`)
    const earlier = keys.map((key) => this.#tails.get(key))
    const written = Promise.all(earlier).then(() => this.#write(topic, parts))
    const tail = written.catch(() => {})
    for (const key of keys) this.#tails.set(key, tail)
    tail.then(() => {
      for (const key of keys) if (this.#tails.get(key) === tail) this.#tails.delete(key)
    })
    return await written
  }

  /** Waits for the appends that were called before. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all(this.#tails.values())
    if (this.#connected) await this.#producer.disconnect().catch(() => {})
  }

  async #write(
    topic: string,
    parts: readonly (readonly [number, readonly LogRecord[]])[],
  ): Promise<Map<number, number>> {
    const facts = await this.#factsOf(topic)
    const pending = new Map<number, Chunks>()
    for (const [partition, records] of parts) {
      // Guard 1 and 7: a partition out of range would be dropped, with an answer that looks like success.
      if (!(Number.isInteger(partition) && partition >= 0 && partition < facts.partitions))
        throw new AppendRefused(`${topic} has no partition ${partition}`)
      pending.set(partition, intoBatches(topic, records, facts.maxRecordBytes))
    }
    const offsets = new Map<number, number>()
    for (let round = 0; pending.size > 0; round++) {
      const batches = new Map([...pending].map(([partition, chunks]) => [partition, chunks[round]!]))
      for (const [partition, offset] of await this.#sendAll(topic, batches))
        if (round === 0) offsets.set(partition, offset)
      for (const [partition, chunks] of pending) if (chunks.length === round + 1) pending.delete(partition)
    }
    return offsets
  }

  /** One batch for each partition, repeated until every partition was answered. */
  async #sendAll(topic: string, batches: ReadonlyMap<number, readonly LogRecord[]>): Promise<Map<number, number>> {
    const deadline = Date.now() + (this.#options.giveUpAfterMs ?? GIVE_UP_AFTER_MS)
    const missing = new Map(batches)
    const offsets = new Map<number, number>()
    let last: unknown = new Error('no partition was answered')
    while (missing.size > 0) {
      try {
        for (const { partition, offset } of acknowledged(await this.#send(topic, missing))) {
          // Guard 1: only what the answer names is written; the rest is sent again, before anything newer for it.
          if (missing.delete(partition)) offsets.set(partition, offset)
        }
        if (missing.size === 0) break
      } catch (error) {
        last = error
        if (isPoison(error)) return await this.#sendEach(topic, missing, offsets, error)
        if (isHopeless(error)) throw this.#doubt(topic, missing, error)
      }
      if (Date.now() > deadline) throw this.#doubt(topic, missing, last)
      await sleep(PAUSE_MS)
    }
    return offsets
  }

  /**
   * The broker refused one of several partitions for good and may have written the others (guard 8): each is tried alone,
   * to know which.
   */
  async #sendEach(
    topic: string,
    missing: ReadonlyMap<number, readonly LogRecord[]>,
    offsets: Map<number, number>,
    poison: unknown,
  ): Promise<Map<number, number>> {
    if (missing.size === 1) {
      const [partition] = missing.keys()
      const others = offsets.size > 0 ? `; written: ${[...offsets.keys()].join(', ')}` : ''
      throw new AppendRefused(`${topic}/${partition}: ${reasonOf(poison)}${others}`, { cause: poison })
    }
    const refused: string[] = []
    for (const [partition, records] of missing) {
      try {
        for (const [, offset] of await this.#sendAll(topic, new Map([[partition, records]])))
          offsets.set(partition, offset)
      } catch (error) {
        if (!(error instanceof AppendRefused)) throw error
        refused.push(error.message)
      }
    }
    if (refused.length === 0) return offsets
    const others = offsets.size > 0 ? `; written: ${[...offsets.keys()].join(', ')}` : ''
    throw new AppendRefused(`${refused.join('; ')}${others}`, { cause: poison })
  }

  async #send(topic: string, batches: ReadonlyMap<number, readonly LogRecord[]>): Promise<RecordMetadata[]> {
    this.#connected ??= this.#producer.connect()
    try {
      await this.#connected
    } catch (error) {
      this.#connected = null
      throw error
    }
    const messages: Message[] = []
    for (const [partition, records] of batches)
      for (const record of records) messages.push(toMessage(partition, record))
    return await this.#producer.send({
      topic: this.#options.names.full(topic),
      acks: -1,
      timeout: REQUEST_TIMEOUT_MS,
      compression: kafkajs.CompressionTypes.LZ4,
      messages,
    })
  }

  async #factsOf(topic: string): Promise<TopicFacts> {
    let facts = this.#facts.get(topic)
    if (!facts) {
      facts = this.#askFacts(topic)
      this.#facts.set(topic, facts)
      facts.catch(() => this.#facts.delete(topic))
    }
    return await facts
  }

  async #askFacts(topic: string): Promise<TopicFacts> {
    let facts: TopicFacts | null
    try {
      facts = await this.#options.facts(topic)
    } catch (error) {
      throw new AppendInDoubt(`the cluster does not tell about ${topic}: ${reasonOf(error)}`, { cause: error })
    }
    if (!facts) throw new AppendRefused(`there is no topic ${topic}`)
    return facts
  }

  #doubt(topic: string, missing: ReadonlyMap<number, unknown>, cause: unknown): AppendInDoubt {
    return new AppendInDoubt(`${topic}/${[...missing.keys()].join(',')} was not acknowledged: ${reasonOf(cause)}`, {
      cause,
    })
  }
}

/** Guard 7: an own partitioner's answer replaces `message.partition`. A range error is repeated, never dropped. */
function choosePartition({
  message,
  partitionMetadata,
}: {
  message: Message
  partitionMetadata: readonly { partitionId: number }[]
}): number {
  const { partition } = message
  if (partition === undefined || !partitionMetadata.some(({ partitionId }) => partitionId === partition))
    throw new Error(`partition ${partition} is not in the metadata`)
  return partition
}

/** Partitions that the broker says it has written. Never judged by the answer's length. */
function acknowledged(answer: readonly RecordMetadata[] | undefined): { partition: number; offset: number }[] {
  return (answer ?? [])
    .filter(({ errorCode, baseOffset }) => errorCode === 0 && baseOffset !== undefined && Number(baseOffset) >= 0)
    .map(({ partition, baseOffset }) => ({ partition, offset: Number(baseOffset) }))
}

function toMessage(partition: number, { key, value, headers, timestamp }: LogRecord): Message {
  return {
    partition,
    key: key ?? null,
    value,
    ...(headers && { headers: headers as Record<string, Buffer> }),
    ...(timestamp !== undefined && { timestamp: String(Math.trunc(timestamp)) }),
  }
}

/**
 * Records of one partition, cut so that no batch exceeds what the broker takes, whatever compression does (guard 8: the
 * limit counts the batch of a partition).
 * @throws AppendRefused when a single record is too large
 */
function intoBatches(topic: string, records: readonly LogRecord[], maxRecordBytes: number): Chunks {
  const chunks: LogRecord[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const record of records) {
    const { content, overhead } = sizeOf(record)
    if (content > maxRecordBytes)
      throw new AppendRefused(`a record of ${content} bytes is above the ${maxRecordBytes} of ${topic}`)
    if (bytes + content + overhead > maxRecordBytes) {
      chunks.push([])
      bytes = BATCH_OVERHEAD
    }
    chunks.at(-1)!.push(record)
    bytes += content + overhead
  }
  return chunks
}

function sizeOf({ key, value, headers }: LogRecord): { content: number; overhead: number } {
  let content = (key?.length ?? 0) + (value?.length ?? 0)
  let overhead = RECORD_OVERHEAD
  for (const name in headers) {
    content += Buffer.byteLength(name) + headers[name]!.length
    overhead += HEADER_OVERHEAD
  }
  return { content, overhead }
}
