import type { LogConsumer, LogReader } from '@millrace/log'
import type { Store } from '@millrace/store'
import type { Facts } from '../facts.ts'
import type { Evidence } from './evidence.ts'
import type { WriterLimits } from './limits.ts'
import type { Partition, Partitions } from './partitions.ts'

/** What the steps of the writer share. */
export interface Tools {
  readonly consumer: Pick<LogConsumer, 'commit' | 'seek' | 'pause' | 'resume'>
  readonly reader: Pick<LogReader, 'read'>
  readonly store: Pick<Store, 'insert' | 'insertMissing' | 'targets' | 'nowMs' | 'killInserts'>
  readonly evidence: Evidence
  readonly facts: Facts
  readonly limits: WriterLimits
  readonly partitions: Partitions
  /** Live markers of `sessions` by slice of our partitions: the next marker takes its predecessor back. */
  readonly live: Map<string, number>
  /** A new flush id, never used before. */
  readonly newFlush: () => string
  /** Waits out a failed try, longer each time. False: the writer is closing, give up and leave the rest to the next start. */
  readonly patience: (tries: number) => Promise<boolean>
  /** Ends a partition's work until it is assigned anew, and says why. */
  readonly stop: (partition: Partition, reason: string) => void
}
