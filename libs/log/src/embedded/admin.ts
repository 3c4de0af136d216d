import type { TopicSpec } from '@millrace/shared'
import type { LogAdmin, Position } from '../event-log.ts'
import type { WriterClient } from './writer-client.ts'

/** Topics and positions of the embedded log. */
export class EmbeddedAdmin implements LogAdmin {
  readonly #client: WriterClient

  constructor(client: WriterClient) {
    this.#client = client
  }

  async ensureTopics(specs: readonly TopicSpec[], hitPartitions: number): Promise<void> {
    await this.#client.ask('ensureTopics', { specs, hitPartitions })
  }

  async partitions(topic: string): Promise<number> {
    return (await this.#client.topic(topic)).spec.partitions
  }

  async committed(group: string, topic: string): Promise<Map<number, Position>> {
    return new Map(await this.#client.ask('committed', { group, topic }))
  }

  async lowOffsets(topic: string): Promise<Map<number, number>> {
    const { positions, spec } = await this.#client.topic(topic)
    return byPartition(spec.partitions, (partition) => positions.low(partition))
  }

  async endOffsets(topic: string): Promise<Map<number, number>> {
    const { positions, spec } = await this.#client.topic(topic)
    return byPartition(spec.partitions, (partition) => positions.end(partition))
  }

  async offsetsForTime(topic: string, timestampMs: number): Promise<Map<number, number>> {
    const offsets = await this.#client.ask('offsetsForTime', { topic, timestampMs })
    return new Map(offsets.entries())
  }

  async close(): Promise<void> {}
}

const byPartition = (partitions: number, offset: (partition: number) => number): Map<number, number> =>
  new Map(Array.from({ length: partitions }, (_, partition) => [partition, offset(partition)]))
