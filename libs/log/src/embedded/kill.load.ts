import { createHash } from 'node:crypto'
import type { TopicSpec } from '@millrace/shared'

export const KILL_TOPIC: TopicSpec = {
  name: 'killed',
  partitions: 'hits',
  cleanup: 'delete',
  retentionMs: 1e9,
  segmentMs: 1e9,
  timestamps: 'append',
  maxRecordBytes: 1 << 20,
}
export const KILL_GROUP = 'killed'

/** The value that stands at an offset: from nothing to 8 KB that cannot be anything else. */
export function killedValue(partition: number, offset: number): Buffer {
  const seed = createHash('sha256').update(`${partition}/${offset}`).digest()
  return Buffer.alloc(seed.readUInt16LE(0) % 8192, seed)
}
