import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** When a kill is aimed at: anywhere, inside an insert of the store, or inside an append of the log. */
export type Moment = 'random' | 'insert' | 'append'

const GIVE_UP_MS = 3_000
const LOG_TOPICS = ['hits.raw', 'hits.enriched']

/**
 * Waits for a moment of the kind and kills the process in it; false when none came within three seconds (it is killed all
 * the same). `chance` is from 0 to below 1.
 */
export async function killInMoment(
  moment: Moment,
  { pid, dataDir }: { pid: number; dataDir: string },
  chance: () => number,
): Promise<boolean> {
  await sleep(300 + chance() * 1_700)
  let came = true
  if (moment === 'append') {
    await pileUp(pid)
    came = killInAppend(pid, dataDir, 1 + Math.floor(chance() * 3))
  } else if (moment === 'insert') {
    came = await sleepUntilInsert(join(dataDir, 'inserts'))
    await sleep(chance() * 60)
  }
  process.kill(pid, 'SIGKILL')
  return came
}

/** The embedded store keeps the block of an insert in a file while the insert runs. */
async function sleepUntilInsert(spool: string): Promise<boolean> {
  const until = performance.now() + GIVE_UP_MS
  const old = new Set(readdirSync(spool))
  while (performance.now() < until) {
    if (readdirSync(spool).some((name) => !old.has(name))) return true
    await sleep(1)
  }
  return false
}

/** Stops the process for most of a second, so that its next appends are large: a large write takes longer, and is torn by a kill. */
async function pileUp(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await sleep(900)
  process.kill(pid, 'SIGCONT')
}

/** Kills the process when a segment file has grown for the n-th time: its write is under way, or its fsync is. */
function killInAppend(pid: number, dataDir: string, times: number): boolean {
  const [raw, enriched] = LOG_TOPICS.map((topic) => openSync(newestSegment(dataDir, topic), 'r')) as [number, number]
  const until = performance.now() + GIVE_UP_MS
  prefer(HIGHEST)
  let seen = fstatSync(raw).size + fstatSync(enriched).size
  let left = times
  // Nothing but looking, and the kill at once: a write takes a fraction of a millisecond.
  while (left > 0 && performance.now() < until) {
    const size = fstatSync(raw).size + fstatSync(enriched).size
    if (size !== seen && --left === 0) process.kill(pid, 'SIGKILL')
    seen = size
  }
  prefer(NORMAL)
  closeSync(raw)
  closeSync(enriched)
  return left === 0
}

const HIGHEST = -20
const NORMAL = 0
/** Whoever looks must not wait for a processor. Without the right to it, it takes more tries. */
function prefer(priority: number): void {
  try {
    setPriority(priority)
  } catch {
    // not permitted
  }
}

function newestSegment(dataDir: string, topic: string): string {
  const folder = join(dataDir, 'log', 'topics', topic)
  const segments = readdirSync(folder).filter((name) => name.endsWith('.log'))
  return join(folder, segments.sort().at(-1)!)
}
