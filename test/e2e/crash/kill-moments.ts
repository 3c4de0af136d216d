import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** When a kill is aimed at: anywhere, inside an insert of the store, or inside an append of the log. */
export const MOMENTS = ['random', 'insert', 'append'] as const
export type Moment = (typeof MOMENTS)[number]

const GIVE_UP_MS = 3_000
const LOG_TOPICS = ['hits.raw', 'hits.enriched']

/** Waits for a moment of the kind; gives up after three seconds without one. `chance` is from 0 to below 1. */
export async function waitForMoment(moment: Moment, dataDir: string, chance: () => number): Promise<void> {
  await sleep(300 + chance() * 1_700)
  if (moment === 'insert') {
    await sleepUntilInsert(join(dataDir, 'inserts'))
    await sleep(chance() * 60)
  }
  if (moment === 'append') spinUntilAppend(dataDir)
}

/** The embedded store keeps the block of an insert in a file while the insert runs. */
async function sleepUntilInsert(spool: string): Promise<void> {
  const until = performance.now() + GIVE_UP_MS
  while (readdirSync(spool).length === 0 && performance.now() < until) await sleep(1)
}

/** Returns the moment that a segment file grows: the write is under way, or its fsync is. */
function spinUntilAppend(dataDir: string): void {
  const files = LOG_TOPICS.map((topic) => openSync(newestSegment(dataDir, topic), 'r'))
  const sizes = files.map((fd) => fstatSync(fd).size)
  const until = performance.now() + GIVE_UP_MS
  while (performance.now() < until && files.every((fd, i) => fstatSync(fd).size === sizes[i])) {
    // Nothing but looking: the write takes a fraction of a millisecond.
  }
  for (const fd of files) closeSync(fd)
}

function newestSegment(dataDir: string, topic: string): string {
  const inside = new RegExp(`(^|/)${topic.replace('.', '\\.')}/\\d+\\.log$`)
  const found = (readdirSync(dataDir, { recursive: true }) as string[]).filter((path) => inside.test(path)).sort()
  if (found.length === 0) throw new Error(`no segment of ${topic} in the data folder`)
  return join(dataDir, found.at(-1)!)
}
