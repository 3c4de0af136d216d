import { hash } from 'node:crypto'

/** How a topic is kept. Times are milliseconds; the table is docs/reference/topics.md's. */
export interface TopicSpec {
  readonly name: string
  /** `hits`: as many partitions as the installation has (MILLRACE_PARTITIONS); otherwise a number. */
  readonly partitions: 'hits' | number
  readonly cleanup: 'delete' | 'compact'
  /** A record is gone from disk at the latest this long plus one segment after it was appended. Unused for `compact`. */
  readonly retentionMs: number
  readonly segmentMs: number
  /** `append`: the log stamps records when they arrive; `create`: the writer's own timestamp is kept. */
  readonly timestamps: 'append' | 'create'
  readonly maxRecordBytes: number
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
const MB = 1 << 20

/** Raw hits hold ip and user agent: 46 h and segments of 1 h, so that they are gone within 54 h (docs/privacy.md). */
export const HITS_RAW: TopicSpec = {
  name: 'hits.raw',
  partitions: 'hits',
  cleanup: 'delete',
  retentionMs: 46 * HOUR,
  segmentMs: HOUR,
  timestamps: 'append',
  maxRecordBytes: MB,
}
/** Records that nobody could read, byte for byte, with the reason in a header. */
export const HITS_DEAD: TopicSpec = { ...HITS_RAW, name: 'hits.dead', partitions: 1, maxRecordBytes: 16 * MB }
/** Blocks of enriched rows; also the enricher's changelog, therefore always kept longer than the raw hits. */
export const HITS_ENRICHED: TopicSpec = {
  name: 'hits.enriched',
  partitions: 'hits',
  cleanup: 'delete',
  retentionMs: 7 * DAY,
  segmentMs: 6 * HOUR,
  timestamps: 'create',
  maxRecordBytes: 16 * MB,
}
/** Never compacted: the first record of a date wins, and a compacted topic would keep the last. */
export const SALTS: TopicSpec = {
  name: 'millrace.salts',
  partitions: 1,
  cleanup: 'delete',
  retentionMs: 4 * DAY,
  segmentMs: HOUR,
  timestamps: 'append',
  maxRecordBytes: MB,
}
/** Sites, keys, goals: the last value of each key. */
export const CONFIG: TopicSpec = {
  name: 'millrace.config',
  partitions: 1,
  cleanup: 'compact',
  retentionMs: 0,
  segmentMs: DAY,
  timestamps: 'append',
  maxRecordBytes: MB,
}
export const TOPICS: readonly TopicSpec[] = [HITS_RAW, HITS_DEAD, HITS_ENRICHED, SALTS, CONFIG]

/** Consumer groups; their committed positions are the services' only other state. */
export const ENRICHER_GROUP = 'millrace.enricher'
export const AGGREGATOR_GROUP = 'millrace.aggregator'

/** Partitions per log epoch: `kp` = epoch * 4096 + partition, so positions of an older log never speak for a newer one. */
export const MAX_PARTITIONS = 4096
export const kpOf = (epoch: number, partition: number): number => epoch * MAX_PARTITIONS + partition
export const partitionOfKp = (kp: number): number => kp % MAX_PARTITIONS

/**
 * The partition of a hit: the first 32 bits of sha256(site 0 identity) mod `partitions`, where identity is the
 * sender's own `user` id, else ip 0 user agent. No date in it: a visitor stays on one partition over midnight.
 */
export function partitionFor(site: string, identity: string, partitions: number): number {
  return Number.parseInt(hash('sha256', `${site}\0${identity}`, 'hex').slice(0, 8), 16) % partitions
}
