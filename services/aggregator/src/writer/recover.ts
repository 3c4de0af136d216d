import { CommitRefused } from '@millrace/log'
import { HITS_ENRICHED } from '@millrace/shared'
import type { BlockInsert, Target } from '@millrace/store'
import { type Gathered, type Share, shareOf } from './batch.ts'
import { follow } from './chain.ts'
import { commitPlans, settle } from './commit.ts'
import { HITS, keepsWatermarks } from './evidence.ts'
import { type Attempt, insertsOf } from './inserts.ts'
import type { Partition } from './partitions.ts'
import { flushPrefix } from './plan.ts'
import {
  type Expected,
  type ExpectedSlices,
  expectedSlices,
  largestMark,
  missingByCount,
  missingByMark,
  PartitionBroken,
} from './slices.ts'
import type { Tools } from './tools.ts'
import { within } from './within.ts'

/** What made a flush doubtful; also the metric label. */
export const RECOVERY_CAUSES = ['insert', 'open_plan'] as const
export type RecoveryCause = (typeof RECOVERY_CAUSES)[number]

/** The slices of one target that a flush should have filled, and those that are not there. */
interface TargetCheck {
  readonly target: Target
  readonly expected: readonly Expected[]
  readonly missing: readonly Expected[]
}

/**
 * Brings a flush in doubt to its end, exactly once: fences what ran before, reads the same records again, looks into
 * every slice and inserts the missing ones. Never gives up while the partitions are ours; on closing the plan stays open.
 * All `owners` hold open plans of the same flush. Afterwards their plans are closed, or the partitions stopped or lost.
 */
export async function recover(tools: Tools, owners: readonly Partition[], cause: RecoveryCause): Promise<void> {
  const found = { slices: -1, missing: 0 }
  let late = 0
  for (let tries = 0; ; tries++) {
    const ours = owners.filter(
      (owner) => tools.partitions.owns(owner) && owner.plan !== null && owner.phase !== 'stopped',
    )
    if (ours.length === 0) return
    const { flush } = ours[0]!.plan!
    let attempt: Attempt | null = null
    try {
      attempt = await fence(tools, ours, late)
      await repair(tools, ours, attempt, found)
      tools.facts.recovered({ flush, attempt: attempt.attempt, cause, ...found })
      return
    } catch (error) {
      const broken = error instanceof PartitionBroken ? ours.find(({ kp }) => kp === error.kp) : undefined
      if (broken) {
        tools.stop(broken, (error as Error).message)
        continue
      }
      tools.facts.recoveryFailed(flush, error)
      if (attempt && (await isLate(tools, attempt))) late += 1
      if (!(await tools.patience(tries))) return
    }
  }
}

/** Commits the same plan with a later attempt and deadline, then makes sure that nothing earlier runs. */
async function fence(tools: Tools, owners: readonly Partition[], late: number): Promise<Attempt> {
  const { store, limits } = tools
  const old = Math.max(...owners.map(({ plan }) => plan!.deadline))
  const now = await store.nowMs()
  const from = limits.waitForDeadline ? Math.max(now, old) : now
  const attempt = {
    flush: owners[0]!.plan!.flush,
    attempt: Math.max(...owners.map(({ plan }) => plan!.attempt)) + 1,
    // A store that is slow gets more time each time, so that a repair of many slices comes to an end. One that refused or was
    // away gets no more: whoever recovers next has to wait for this deadline.
    deadline: from + limits.deadlineMs * 2 ** Math.min(late, 4),
  }
  await commitPlans(
    tools,
    owners.map((owner) => ({ owner, plan: { ...owner.plan!, ...attempt } })),
  )
  // In this order: what reaches the store before its deadline may begin after a kill, and run on when the deadline is past.
  if (limits.waitForDeadline) await passDeadline(tools, owners, old)
  await store.killInserts(flushPrefix(attempt.flush))
  return attempt
}

/** Whether the attempt had no time left. A store that does not answer was not slow. */
const isLate = ({ store }: Tools, { deadline }: Attempt): Promise<boolean> =>
  store.nowMs().then(
    (now) => now > deadline,
    () => false,
  )

/**
 * Returns when an insert that was sent and has not reached the store will be refused.
 * @throws CommitRefused as soon as none of the partitions is ours: those that came since must not wait for it
 */
export async function passDeadline(tools: Tools, owners: readonly Partition[], deadline: number): Promise<void> {
  for (let tries = 0; (await tools.store.nowMs()) <= deadline; tries++) {
    if (!owners.some((owner) => tools.partitions.owns(owner)))
      throw new CommitRefused('the partitions were lost while an earlier deadline was waited for')
    if (!(await tools.patience(Math.min(tries, 3)))) throw new Error('closing')
  }
}

async function repair(
  tools: Tools,
  owners: readonly Partition[],
  attempt: Attempt,
  found: { slices: number; missing: number },
): Promise<void> {
  const shares = await Promise.all(owners.map((owner) => readAgain(tools, owner)))
  const slices = expectedSlices(shares)
  const checks = await check(tools, shares, slices)
  if (found.slices < 0) {
    found.slices = checks.reduce((sum, { expected }) => sum + expected.length, 0)
    found.missing = checks.reduce((sum, { missing }) => sum + missing.length, 0)
  }
  const inserts = insertsOf(shares, slices, tools.live, attempt)
  for (const { target, missing } of checks) {
    if (missing.length > 0) await insertInto(tools, target, inserts[target.source], missing)
  }
  settle(tools, shares)
}

/** Reads the records of the open plan, exactly these. @throws PartitionBroken when the log gives others */
async function readAgain(tools: Tools, owner: Partition): Promise<Share<Partition>> {
  const { before, last } = owner.plan!
  const gathered: Gathered<Partition>[] = []
  let cursor = before
  for await (const records of tools.reader.read(HITS_ENRICHED.name, owner.partition, before.next, last + 1)) {
    const followed = follow(cursor, records)
    for (const { offset, record } of followed.accepted) gathered.push({ owner, offset, before, record, arrivedAt: 0 })
    cursor = followed.cursor
    if (followed.fault) break
  }
  if (cursor.head !== last)
    throw new PartitionBroken(
      owner.kp,
      `the open plan says offsets ${before.next} to ${last} of ${HITS_ENRICHED.name}, the log has them no more or others`,
    )
  return shareOf(gathered)
}

/** Looks into every slice of every target. @throws PartitionBroken when the store holds what no plan of ours put there */
async function check(tools: Tools, shares: readonly Share[], slices: ExpectedSlices): Promise<TargetCheck[]> {
  const { store, evidence } = tools
  const checks: TargetCheck[] = []
  for (const target of await store.targets()) {
    const expected = slices[target.source]
    if (expected.length === 0) continue
    if (target.name === HITS) {
      checks.push({ target, expected, missing: missingByCount(expected, await evidence.hitCounts(expected)) })
      continue
    }
    const marks = keepsWatermarks(target) ? await evidence.watermarks(target.name) : await evidence.liveMarkers()
    for (const { owner, srcTo } of shares) checkNotAhead(owner.kp, largestMark(marks, owner.kp), srcTo, target.name)
    checks.push({ target, expected, missing: missingByMark(expected, marks) })
  }
  return checks
}

/** The store must not be ahead of the group's position. @throws PartitionBroken */
export function checkNotAhead(kp: number, mark: number, srcMax: number, target: string): void {
  if (mark <= srcMax) return
  throw new PartitionBroken(
    kp,
    `table ${target} holds hits up to raw offset ${mark}, the group's position speaks of ${srcMax}: the group was reset or the topic made anew`,
  )
}

const insertInto = (tools: Tools, target: Target, insert: BlockInsert, missing: readonly Expected[]): Promise<void> =>
  within(
    tools.limits.insertTimeoutMs,
    tools.store.insertMissing(
      target,
      insert,
      missing.map(({ kp, month }) => ({ kp, month })),
    ),
  )
