import { HITS_ENRICHED } from '@millrace/shared'
import { type Cursor, type Link, linkOf, longestChain, startIn } from './chain.ts'
import { HITS, keepsWatermarks, SESSIONS } from './evidence.ts'
import { claim, mend } from './mend.ts'
import type { Partition } from './partitions.ts'
import { type Committed, decodePosition } from './plan.ts'
import { checkNotAhead, recover } from './recover.ts'
import { type KoBySlice, largestMark, type Marks, PartitionBroken } from './slices.ts'
import type { Tools } from './tools.ts'

/**
 * Finds out where newly assigned partitions stand, brings open plans to their end, and lets the records come. Partitions
 * that contradict the store are stopped; errors of log and store leave the others in phase `starting`: try again.
 */
export async function restore(tools: Tools, starting: readonly Partition[]): Promise<void> {
  await claimLost(tools, starting)
  const marks = await readMarks(tools)
  noteLiveMarkers(tools, marks, starting)
  for (const owner of starting) {
    if (owner.plan === null && tools.partitions.owns(owner))
      await guarded(tools, owner, () => takePosition(tools, owner, marks))
  }
  for (const owners of byFlush(starting)) await recover(tools, owners, 'open_plan')
  for (const owner of starting) {
    if (owner.plan === null && owner.phase === 'starting' && tools.partitions.owns(owner)) activate(tools, owner)
  }
}

/** The first start of an installation has nothing to look for; else what the store shows must not change any more. */
async function claimLost(tools: Tools, starting: readonly Partition[]): Promise<void> {
  const lost = starting.filter((owner) => tools.partitions.owns(owner) && owner.plan === null && isLost(owner))
  if (lost.length === 0) return
  const traces = [...(await readMarks(tools)).values(), await tools.evidence.largestHits(lost.map(({ kp }) => kp))]
  const stored = lost.filter(({ kp }) => traces.some((marks) => largestMark(marks, kp) >= 0))
  if (stored.length > 0) await claim(tools, stored)
}

/** A position that cannot be read is no lost one: a person has to look at it. */
function isLost({ assignment: { committed } }: Partition): boolean {
  if (committed === null) return true
  try {
    return decodePosition(committed).claimedUntil !== null
  } catch {
    return false
  }
}

async function guarded(tools: Tools, owner: Partition, look: () => Promise<void>): Promise<void> {
  try {
    await look()
  } catch (error) {
    if (!(error instanceof PartitionBroken)) throw error
    tools.stop(owner, error.message)
  }
}

async function takePosition(tools: Tools, owner: Partition, marks: Marks): Promise<void> {
  const lost = isLost(owner)
  const { done, plan } = (lost ? null : committedOf(owner)) ?? {
    done: await startWithoutPosition(tools, owner, marks),
    plan: null,
  }
  owner.done = done
  owner.plan = plan
  owner.dirty = lost
  if (plan === null)
    for (const [name, of] of marks) checkNotAhead(owner.kp, largestMark(of, owner.kp), done.srcMax, name)
}

/** What the group's position says; null without one. @throws PartitionBroken when the log no longer has it */
function committedOf({ kp, assignment }: Pick<Partition, 'kp' | 'assignment'>): Committed | null {
  const { committed, low, end, partition } = assignment
  if (committed === null) return null
  const where = `partition ${partition} of ${HITS_ENRICHED.name}`
  if (committed.offset < low || committed.offset > end)
    throw new PartitionBroken(
      kp,
      `the committed offset ${committed.offset} of ${where} is outside of what the log holds, ${low} to ${end}: records were deleted before they were read, or the topic was made anew`,
    )
  try {
    return decodePosition(committed)
  } catch (error) {
    throw new PartitionBroken(kp, `${where}: ${(error as Error).message}`)
  }
}

/** Without a position: behind what the store holds already, never silently at the oldest record. */
async function startWithoutPosition(tools: Tools, owner: Partition, marks: Marks): Promise<Cursor> {
  const { low, end } = owner.assignment
  const hits = await tools.evidence.largestHits([owner.kp])
  const maxKo = Math.max(largestMark(hits, owner.kp), ...[...marks.values()].map((of) => largestMark(of, owner.kp)))
  const chain = longestChain(await readLinks(tools, owner, low, end), low)
  if (maxKo >= 0) await mend(tools, owner, { chain, marks, hits, maxKo })
  const start = startIn(chain, end, maxKo)
  tools.facts.startedWithoutPosition(owner.partition, start.next, maxKo)
  return start
}

async function readLinks(tools: Tools, owner: Partition, low: number, end: number): Promise<Link[]> {
  const links: Link[] = []
  for await (const records of tools.reader.read(HITS_ENRICHED.name, owner.partition, low, end)) {
    for (const stored of records) {
      const link = linkOf(stored)
      if (link) links.push(link)
    }
  }
  return links
}

async function readMarks({ store, evidence }: Tools): Promise<Marks> {
  const marks = new Map<string, KoBySlice>()
  for (const target of await store.targets()) {
    if (target.name === HITS) continue
    const of = keepsWatermarks(target) ? await evidence.watermarks(target.name) : await evidence.liveMarkers()
    marks.set(target.name, of)
  }
  return marks
}

/** Live markers were last seen by another owner: take them from the store. */
function noteLiveMarkers(tools: Tools, marks: Marks, starting: readonly Partition[]): void {
  const kps = new Set(starting.map(({ kp }) => kp))
  for (const [key, ko] of marks.get(SESSIONS) ?? []) if (kps.has(Number(key.split('/')[0]))) tools.live.set(key, ko)
}

function byFlush(starting: readonly Partition[]): Partition[][] {
  const groups = new Map<string, Partition[]>()
  for (const owner of starting) {
    if (owner.plan === null || owner.phase !== 'starting') continue
    const { flush } = owner.plan
    groups.set(flush, [...(groups.get(flush) ?? []), owner])
  }
  return [...groups.values()]
}

function activate(tools: Tools, owner: Partition): void {
  owner.gathered = owner.done
  owner.taken = owner.done
  owner.phase = 'active'
  tools.consumer.seek(HITS_ENRICHED.name, owner.partition, owner.done.next)
  tools.consumer.resume(HITS_ENRICHED.name, [owner.partition])
  tools.facts.assigned(owner.partition, owner.done.next)
}
