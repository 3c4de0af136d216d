/** Rows that were made elsewhere into the tables of this store, each once: the same slices, marks and checks as a flush has. */
import type { Position } from '@millrace/log'
import type { BlockInsert, Store } from '@millrace/store'
import { HITS, keepsWatermarks, readEvidence } from './writer/evidence.ts'
import { hitMarkers, sessionMarkers } from './writer/markers.ts'
import { decodePosition, flushPrefix, logComment } from './writer/plan.ts'
import { type Expected, missingByCount, missingByMark } from './writer/slices.ts'

/** An insert of carried rows must begin within this time. */
const DEADLINE_MS = 10_000

/** Rows of one kp and month whose offsets are [koFrom, koTo]. Chunks of a kp and month come in the order of their offsets. */
export interface Chunk extends Expected {
  readonly table: BlockInsert['table']
  readonly blocks: readonly Buffer[]
}

/** Inserts what is missing of a chunk; false = all of it was there. @throws errors of the store: call it again */
export async function carryIn(store: Store, chunk: Chunk, name: string): Promise<boolean> {
  const evidence = readEvidence(store)
  const live = await evidence.liveMarkers()
  const markers = chunk.table === 'hits_in' ? hitMarkers([chunk]) : sessionMarkers([chunk], live)
  const targets = (await store.targets()).filter(({ source }) => source === chunk.table)
  const missing: typeof targets = []
  for (const target of targets) {
    const marks = keepsWatermarks(target) ? await evidence.watermarks(target.name) : live
    const left =
      target.name === HITS ? missingByCount([chunk], await evidence.hitCounts([chunk])) : missingByMark([chunk], marks)
    if (left.length > 0) missing.push(target)
  }
  const insert: BlockInsert = {
    table: chunk.table,
    blocks: [...chunk.blocks, markers],
    logComment: logComment(name, 1, chunk.table, (await store.nowMs()) + DEADLINE_MS),
  }
  if (missing.length === targets.length) await store.insert(insert)
  else for (const target of missing) await store.insertMissing(target, insert, [chunk])
  return missing.length > 0
}

/** Makes sure that no insert of an earlier try runs or can still begin. */
export async function endCarrying(store: Store, name: string): Promise<void> {
  const until = (await store.nowMs()) + DEADLINE_MS
  while (store.shared && (await store.nowMs()) <= until) await new Promise((resolve) => setTimeout(resolve, 500))
  await store.killInserts(flushPrefix(name))
}

/** Largest raw offset of a partition that is in the store for sure; null = a plan is open, or the position is not known. */
export function insertedUpTo(position: Position | undefined): number | null {
  if (position === undefined) return null
  const { done, plan, claimedUntil } = decodePosition(position)
  return plan === null && claimedUntil === null ? done.srcMax : null
}
