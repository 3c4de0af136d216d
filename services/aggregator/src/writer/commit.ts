import { CommitRefused, type PartitionPosition } from '@millrace/log'
import { HITS_ENRICHED } from '@millrace/shared'
import { cursorAfter, type Share } from './batch.ts'
import type { Partition } from './partitions.ts'
import { encodeClaim, encodeDone, encodePlan, type Plan } from './plan.ts'
import { expectedSlices, sliceKey } from './slices.ts'
import type { Tools } from './tools.ts'

/** One commit for all: the plans, and empty plans for partitions that finished the batch before and have nothing now. */
export async function commitPlans(tools: Tools, plans: readonly { owner: Partition; plan: Plan }[]): Promise<void> {
  // From here on the plan may be committed, whatever the answer: nothing else is committed for these partitions.
  for (const { owner, plan } of plans) {
    if (plan.before.next !== owner.done.next)
      throw new Error(
        `partition ${owner.partition}: plan from ${plan.before.next}, but inserted up to ${owner.done.next}`,
      )
    owner.plan = plan
  }
  assertOurs(
    tools,
    plans.map(({ owner }) => owner),
  )
  const finished = tools.partitions.unsettled()
  await tools.consumer.commit([
    ...plans.map(({ owner, plan }) => positionOf(owner, encodePlan(plan))),
    ...finished.map((owner) => positionOf(owner, encodeDone(owner.done))),
  ])
  for (const owner of finished) owner.dirty = false
}

/**
 * Takes partitions whose positions are lost, before their owner completes anything: whoever gets them next knows until
 * when its inserts may begin. @throws CommitRefused
 */
export async function commitClaims(tools: Tools, owners: readonly Partition[], until: number): Promise<void> {
  assertOurs(tools, owners)
  await tools.consumer.commit(owners.map((owner) => positionOf(owner, encodeClaim(owner.assignment.low, until))))
}

/** A partition that was lost and came back is another one: its new owner has looked at its position already. */
function assertOurs(tools: Tools, owners: readonly Partition[]): void {
  for (const owner of owners) {
    if (!tools.partitions.owns(owner)) throw new CommitRefused(`partition ${owner.partition} is not ours any more`)
  }
}

/** Commits empty plans: all of it is inserted, a restart has nothing to check. */
export async function commitDone(tools: Tools): Promise<void> {
  const finished = tools.partitions.unsettled()
  if (finished.length === 0) return
  await tools.consumer.commit(finished.map((owner) => positionOf(owner, encodeDone(owner.done))))
  for (const owner of finished) owner.dirty = false
}

const positionOf = (owner: Partition, position: { offset: number; metadata: string }): PartitionPosition => ({
  topic: HITS_ENRICHED.name,
  partition: owner.partition,
  ...position,
})

/** Notes that the shares are inserted, every slice of them. */
export function settle(tools: Tools, shares: readonly Share<Partition>[]): void {
  for (const share of shares) {
    share.owner.done = cursorAfter(share)
    share.owner.dirty = true
    share.owner.plan = null
  }
  const ours = shares.filter(({ owner }) => tools.partitions.owns(owner))
  for (const slice of expectedSlices(ours).sessions_in) tools.live.set(sliceKey(slice), slice.koTo)
}
