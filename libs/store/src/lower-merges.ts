import { readdirSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'

/** Threads of the engine that merge parts, by the name that they give themselves. */
const MERGES = 'MergeMutate'
/** Linux gives such a thread about a tenth of what it gives others that want the same processor. */
const NICE = 10
const THREADS = '/proc/self/task'

/**
 * Lets the merges of the embedded engine wait for whoever answers, inserts or reads: they may be late, and after a rush
 * they would take a processor for minutes. Where threads have no priority of their own, nothing changes.
 */
export function lowerMerges(): void {
  if (process.platform !== 'linux') return
  for (const thread of readdirSync(THREADS)) {
    try {
      if (readFileSync(`${THREADS}/${thread}/comm`, 'utf8').trim() === MERGES) setPriority(Number(thread), NICE)
    } catch {
      // It has ended, or may not be changed.
    }
  }
}
