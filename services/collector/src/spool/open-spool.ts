import { mkdir } from 'node:fs/promises'
import { type Lock, lockFolder } from '@millrace/log'
import type { Facts } from '../facts.ts'
import { SPOOL_LIMITS, Spool, type SpoolLimits } from './spool.ts'
import { openSpoolDisk } from './spool-disk.ts'

export interface SpoolOptions {
  /** Its folder, made if missing; one process at a time. */
  readonly dir: string
  /** Number of partitions of hits.raw. */
  readonly partitions: number
  readonly maxBytes: number
  readonly limits?: Partial<SpoolLimits>
  readonly clock: () => number
  readonly facts: Facts
}

const LARGEST_SEGMENT = 16 << 20
const SMALLEST_SEGMENT = 64 << 10

/** Opens the spool and says what an earlier run left in it. @throws Error when another process has the folder */
export async function openSpool(options: SpoolOptions): Promise<{ spool: Spool; close(): Promise<void> }> {
  const { dir, partitions, maxBytes, limits, clock, facts } = options
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const lock: Lock = lockFolder(dir)
  try {
    // Small enough that what is drained frees its space soon.
    const segmentBytes = Math.min(LARGEST_SEGMENT, Math.max(SMALLEST_SEGMENT, maxBytes / 16))
    const disk = await openSpoolDisk({ dir, partitions, segmentBytes })
    facts.spoolFound(disk.found)
    const spool = new Spool(disk, { ...SPOOL_LIMITS, maxBytes, ...limits }, clock, facts)
    return {
      spool,
      async close() {
        await spool.close()
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}
