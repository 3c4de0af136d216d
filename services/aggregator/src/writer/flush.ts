import { type Gathered, type Share, sharesOf } from './batch.ts'
import { commitPlans, settle } from './commit.ts'
import { type Attempt, insertsOf } from './inserts.ts'
import type { Partition } from './partitions.ts'
import { recover } from './recover.ts'
import { expectedSlices } from './slices.ts'
import type { Tools } from './tools.ts'
import { within } from './within.ts'

/**
 * One batch: plan, insert, and after any doubt check. Afterwards it is inserted, or not ours any more, or, on closing
 * only, its plan is open. False: on closing, no plan could be committed, and nothing behind the batch may be inserted.
 */
export async function flush(tools: Tools, batch: readonly Gathered<Partition>[]): Promise<boolean> {
  const began = performance.now()
  const planned = await plan(tools, batch)
  if (planned === 'given_up') return false
  if (planned === 'not_ours') return true
  const { shares, attempt } = planned
  try {
    await insert(tools, shares, attempt)
  } catch (error) {
    tools.facts.insertInDoubt(attempt.flush, error)
    await recover(
      tools,
      shares.map(({ owner }) => owner),
      'insert',
    )
    return true
  }
  settle(tools, shares)
  tools.facts.flushed(
    shares.reduce((sum, { records }) => sum + records.reduce((rows, record) => rows + record.rows, 0), 0),
    bytesOf(shares),
    (performance.now() - began) / 1000,
  )
  return true
}

/** Commits the plan; it also commits the batch before. On closing it is tried once. */
async function plan(
  tools: Tools,
  batch: readonly Gathered<Partition>[],
): Promise<{ shares: Share<Partition>[]; attempt: Attempt } | 'not_ours' | 'given_up'> {
  const flushId = tools.newFlush()
  for (let tries = 0; ; tries++) {
    const shares = sharesOf(batch.filter(({ owner }) => tools.partitions.owns(owner) && owner.phase === 'active'))
    if (shares.length === 0) return 'not_ours'
    try {
      const attempt = {
        flush: flushId,
        attempt: 1,
        deadline: (await tools.store.nowMs()) + tools.limits.deadlineMs,
      }
      await commitPlans(
        tools,
        shares.map(({ owner, before, last }) => ({ owner, plan: { before, last, ...attempt } })),
      )
      return { shares, attempt }
    } catch (error) {
      tools.facts.planFailed(flushId, error)
      if (!(await tools.patience(tries))) return 'given_up'
    }
  }
}

async function insert(tools: Tools, shares: readonly Share[], attempt: Attempt): Promise<void> {
  const inserts = insertsOf(shares, expectedSlices(shares), tools.live, attempt)
  for (const one of [inserts.hits_in, inserts.sessions_in]) {
    if (one.blocks.length > 0) await within(tools.limits.insertTimeoutMs, tools.store.insert(one))
  }
}

const bytesOf = (shares: readonly Share[]): number =>
  shares.reduce(
    (sum, { records }) => sum + records.reduce((bytes, { hits, sessions }) => bytes + hits.length + sessions.length, 0),
    0,
  )
