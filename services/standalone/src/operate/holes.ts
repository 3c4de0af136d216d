/** Holes of hits.raw: records that expired, or were lost, before they were enriched. The enricher stops in front of one. */
import type { EventLog } from '@millrace/log'
import { decodeEnriched, ENRICHER_GROUP, HITS_ENRICHED, HITS_RAW } from '@millrace/shared'

/** Offsets [from, to) of a partition of hits.raw that are not there, and that nobody has enriched. */
export interface Hole {
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** The holes in front of which the enricher stands, or will stand. */
export async function findHoles(log: EventLog): Promise<Hole[]> {
  const admin = log.admin()
  const lows = await admin.lowOffsets(HITS_RAW.name)
  const ends = await admin.endOffsets(HITS_RAW.name)
  const committed = await admin.committed(ENRICHER_GROUP, HITS_RAW.name)
  await admin.close()
  const holes: Hole[] = []
  for (const [partition, end] of ends) {
    const position = committed.get(partition)
    if (!position) continue
    const next = Math.max(position.offset, await chainEnd(log, partition, position.metadata))
    const found = await firstRecord(log, partition, Math.max(next, lows.get(partition) ?? 0), end)
    if (found > next) holes.push({ partition, from: next, to: found })
  }
  return holes
}

/** Raw offset behind the last accepted record that follows the committed one; -1 = none. */
async function chainEnd(log: EventLog, partition: number, metadata: string): Promise<number> {
  let { head } = parsed(metadata)
  let next = -1
  if (head < 0) return next
  const reader = log.reader()
  try {
    for await (const records of reader.read(HITS_ENRICHED.name, partition, head, Number.MAX_SAFE_INTEGER)) {
      for (const record of records) {
        const link = tryDecode(record)
        if (link === null || (record.offset !== head && link.prev !== head)) continue
        head = record.offset
        next = link.srcTo + 1
      }
    }
  } finally {
    await reader.close()
  }
  return next
}

function tryDecode(record: Parameters<typeof decodeEnriched>[0]): { prev: number; srcTo: number } | null {
  try {
    return decodeEnriched(record)
  } catch {
    return null
  }
}

function parsed(metadata: string): { head: number } {
  try {
    const { head } = JSON.parse(metadata) as { head: unknown }
    return { head: Number.isSafeInteger(head) ? (head as number) : -1 }
  } catch {
    return { head: -1 }
  }
}

/** The first offset at or above `from` that can be read; `end` when there is none. */
async function firstRecord(log: EventLog, partition: number, from: number, end: number): Promise<number> {
  const reader = log.reader()
  try {
    for await (const records of reader.read(HITS_RAW.name, partition, from, end)) return records[0]!.offset
    return end
  } finally {
    await reader.close()
  }
}
