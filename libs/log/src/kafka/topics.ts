import type { TopicSpec } from '@millrace/shared'
import type { ITopicConfig } from 'kafkajs'

/** Topic names on the cluster carry the installation's prefix; everything that calls the port uses bare names. */
export interface TopicNames {
  full(topic: string): string
}

export const topicNames = (prefix: string): TopicNames => ({ full: (topic) => prefix + topic })

/**
 * What Kafka adds to a record and to the batch around it, and what lz4 adds to bytes that do not shrink: the port's limit
 * is on key, value and headers, Kafka's on the batch as sent.
 */
const batchLimit = (maxRecordBytes: number): number => maxRecordBytes + Math.ceil(maxRecordBytes / 128) + 8_192
export const recordLimit = (maxBatchBytes: number): number => Math.floor(((maxBatchBytes - 8_192) * 128) / 129)

/** The topic as Kafka is asked for it: the table of libs/shared, replicated to three nodes where there are three. */
export function topicConfig(name: string, spec: TopicSpec, hitPartitions: number, brokers: number): ITopicConfig {
  const settings: Record<string, string> = {
    'cleanup.policy': spec.cleanup,
    'segment.ms': String(spec.segmentMs),
    'message.timestamp.type': spec.timestamps === 'append' ? 'LogAppendTime' : 'CreateTime',
    'max.message.bytes': String(batchLimit(spec.maxRecordBytes)),
    // as the producer compressed it: the broker does not compress again
    'compression.type': 'producer',
    'min.insync.replicas': brokers >= 3 ? '2' : '1',
    'unclean.leader.election.enable': 'false',
    ...(spec.cleanup === 'delete' && { 'retention.ms': String(spec.retentionMs) }),
  }
  return {
    topic: name,
    numPartitions: partitionsOf(spec, hitPartitions),
    replicationFactor: Math.min(3, brokers),
    configEntries: Object.entries(settings).map(([key, value]) => ({ name: key, value })),
  }
}

export const partitionsOf = (spec: TopicSpec, hitPartitions: number): number =>
  spec.partitions === 'hits' ? hitPartitions : spec.partitions
