import { HITS_ENRICHED } from '@millrace/shared'
import { type Gathered, shareOf } from './batch.ts'
import { type Cursor, follow, type Link } from './chain.ts'
import { commitClaims } from './commit.ts'
import { SESSIONS } from './evidence.ts'
import { insertsOf } from './inserts.ts'
import type { Partition } from './partitions.ts'
import { ALL_FLUSHES, decodePosition } from './plan.ts'
import { passDeadline } from './recover.ts'
import { type Shortfall, shortfallsOf, type Traces } from './shortfalls.ts'
import { type ExpectedSlices, sliceKey } from './slices.ts'
import type { Tools } from './tools.ts'
import { within } from './within.ts'

/**
 * Makes sure that nobody inserts rows of these partitions, whose positions are lost: what the store shows of them from
 * now on stays. First the group gives them to us and nobody else, then what may still be on its way becomes too late, then
 * every insert that runs is ended: whoever it belongs to will check it. @throws CommitRefused
 */
export async function claim(tools: Tools, owners: readonly Partition[]): Promise<void> {
  const { store, limits } = tools
  const until = (await store.nowMs()) + limits.deadlineMs
  await commitClaims(tools, owners, until)
  const earlier = owners.map(({ assignment: { committed } }) => committed && decodePosition(committed).claimedUntil)
  if (limits.waitForDeadline) await passDeadline(tools, owners, Math.max(...earlier.map((time) => time ?? until)))
  // Last: what reaches the store before its deadline may begin after a kill, and run on when the deadline is past.
  await store.killInserts(ALL_FLUSHES)
}

/**
 * Completes a flush that was interrupted and whose plan is gone, as when the group's positions were deleted after a
 * crash. Interrupted itself, it is simply done again. The partition is claimed.
 */
export async function mend(tools: Tools, owner: Partition, traces: Traces): Promise<void> {
  const { store, limits, facts } = tools
  for (const shortfall of shortfallsOf(owner.kp, await store.targets(), traces)) {
    for (const links of portions(shortfall.links, shortfall, limits.batch.rows))
      await fill(tools, owner, shortfall, links)
    facts.mended(owner.partition, shortfall.target.name, shortfall.month, shortfall.links.length)
  }
}

/** As many records at a time as a batch has rows. */
function portions(links: readonly Link[], { target, month }: Shortfall, maxRows: number): Link[][] {
  const portions: Link[][] = []
  let rows = Number.POSITIVE_INFINITY
  for (const link of links) {
    const more = (target.source === 'hits_in' ? link.hitRows : link.sessionRows)[month]!
    if (rows + more > maxRows) {
      portions.push([])
      rows = 0
    }
    portions.at(-1)!.push(link)
    rows += more
  }
  return portions
}

async function fill(
  tools: Tools,
  owner: Partition,
  { target, month }: Shortfall,
  links: readonly Link[],
): Promise<void> {
  const { store, limits } = tools
  const share = shareOf(await read(tools, owner, links))
  const rows = (target.source === 'hits_in' ? share.hitRows : share.sessionRows)[month]!
  const slice = { kp: owner.kp, month, rows, koFrom: share.srcFrom, koTo: share.srcTo }
  const slices: ExpectedSlices = { hits_in: [], sessions_in: [], [target.source]: [slice] }
  const attempt = { flush: tools.newFlush(), attempt: 1, deadline: (await store.nowMs()) + limits.deadlineMs }
  await commitClaims(tools, [owner], attempt.deadline)
  const insert = insertsOf([share], slices, tools.live, attempt)[target.source]
  await within(limits.insertTimeoutMs, store.insertMissing(target, insert, [slice]))
  if (target.name === SESSIONS) tools.live.set(sliceKey(slice), slice.koTo)
}

/** The records of these links, each judged alone: their place in the chain is known. */
async function read(tools: Tools, owner: Partition, links: readonly Link[]): Promise<Gathered<Partition>[]> {
  const gathered: Gathered<Partition>[] = []
  for (const { offset, prev, srcFrom } of links) {
    const before: Cursor = { next: offset, head: prev, srcMax: srcFrom - 1 }
    for await (const records of tools.reader.read(HITS_ENRICHED.name, owner.partition, offset, offset + 1)) {
      for (const { record } of follow(before, records).accepted)
        gathered.push({ owner, offset, before, record, arrivedAt: 0 })
    }
  }
  if (gathered.length !== links.length)
    throw new Error(`records of ${HITS_ENRICHED.name} vanished while they were read`)
  return gathered
}
