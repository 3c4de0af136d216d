import { AppendInDoubt, AppendRefused, type LogProducer, type LogRecord } from '../event-log.ts'
import { encodeAppend } from './record.ts'
import { type TopicView, UnknownTopic, type WriterClient } from './writer-client.ts'

/** Appends through the writer thread. */
export class EmbeddedProducer implements LogProducer {
  readonly #client: WriterClient
  /** The last append of each `topic/partition`, settled or not: the next one waits for it. */
  readonly #tails = new Map<string, Promise<unknown>>()
  #closed = false

  constructor(client: WriterClient) {
    this.#client = client
  }

  async append(topic: string, perPartition: ReadonlyMap<number, readonly LogRecord[]>): Promise<Map<number, number>> {
    if (this.#closed) throw new AppendInDoubt('the producer is closed')
    // Takes its place in the queue before anything is awaited: the order of calls is the order in the log.
    const keys = [...perPartition.keys()].map((partition) => `${topic}/${partition}`)
    const before = keys.map((key) => this.#tails.get(key))
    const done = this.#appendAfter(before, topic, perPartition)
    const settled = done.catch(() => {})
    for (const key of keys) this.#tails.set(key, settled)
    return done
  }

  async #appendAfter(
    before: readonly (Promise<unknown> | undefined)[],
    topic: string,
    perPartition: ReadonlyMap<number, readonly LogRecord[]>,
  ): Promise<Map<number, number>> {
    for (const earlier of before) if (earlier) await earlier
    const view = await this.#topic(topic)
    const filled = checkAppend(view, perPartition)
    if (filled.size === 0) return new Map()
    const bytes = encodeAppend(filled, view.spec, Date.now())
    return new Map(await this.#client.ask('append', { topic, bytes }, [bytes.buffer as ArrayBuffer]))
  }

  async #topic(name: string): Promise<TopicView> {
    try {
      return await this.#client.topic(name)
    } catch (error) {
      const { message } = error as Error
      // Refused is what no repetition can help; a log that is closed here may be open elsewhere.
      throw error instanceof UnknownTopic ? new AppendRefused(message) : new AppendInDoubt(message)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#tails.values())
  }
}

/** The partitions that have records. @throws AppendRefused for a partition or a record that the topic cannot have */
function checkAppend(
  { name, spec }: TopicView,
  perPartition: ReadonlyMap<number, readonly LogRecord[]>,
): Map<number, readonly LogRecord[]> {
  const filled = new Map<number, readonly LogRecord[]>()
  for (const [partition, records] of perPartition) {
    if (!Number.isInteger(partition) || partition < 0 || partition >= spec.partitions)
      throw new AppendRefused(`topic ${name} has no partition ${partition}`)
    if (spec.cleanup === 'compact' && records.some(({ key }) => key === null || key === undefined))
      throw new AppendRefused(`topic ${name} is compacted: every record needs a key`)
    if (records.length > 0) filled.set(partition, records)
  }
  return filled
}
