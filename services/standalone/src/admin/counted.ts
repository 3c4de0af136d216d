/** What has to hold before the data of a folder are taken away: all of it is counted, and nothing is under way. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { insertedUpTo } from '@millrace/aggregator'
import type { EventLog, StoredRecord } from '@millrace/log'
import { AGGREGATOR_GROUP, CONFIG, ENRICHER_GROUP, HITS_ENRICHED, HITS_RAW } from '@millrace/shared'
import type { Store } from '@millrace/store'

/** A spool's file without records. */
const EMPTY_SPOOL_BYTES = 64

/** The last value of every key of the configuration. */
export async function readConfigRecords(log: EventLog): Promise<{ key: string; value: Buffer }[]> {
  const config = new Map<string, Buffer>()
  for (const { key, value } of await recordsOf(log, CONFIG.name)) {
    const name = key?.toString() ?? ''
    config.delete(name)
    // Holes are of the positions of this log.
    if (value !== null && name !== '' && !name.startsWith('gap/')) config.set(name, value)
  }
  return [...config].map(([key, value]) => ({ key, value }))
}

/** Every record of a topic of one partition. */
export async function recordsOf(log: EventLog, topic: string): Promise<StoredRecord[]> {
  const [admin, reader] = [log.admin(), log.reader()]
  const records: StoredRecord[] = []
  const [low, end] = [(await admin.lowOffsets(topic)).get(0)!, (await admin.endOffsets(topic)).get(0)!]
  for await (const batch of reader.read(topic, 0, low, end)) records.push(...batch)
  await reader.close()
  await admin.close()
  return records
}

/** The first partition of which some hits are not in the tables; null = all are. */
export async function uncountedPartition(log: EventLog): Promise<number | null> {
  const admin = log.admin()
  const enriched = await admin.committed(ENRICHER_GROUP, HITS_RAW.name)
  const inserted = await admin.committed(AGGREGATOR_GROUP, HITS_ENRICHED.name)
  const ends = await admin.endOffsets(HITS_RAW.name)
  await admin.close()
  for (const [partition, end] of ends) {
    if (end === 0) continue
    const isCounted = enriched.get(partition)?.offset === end && insertedUpTo(inserted.get(partition)) === end - 1
    if (!isCounted) return partition
  }
  return null
}

/** No day is being rebuilt. */
export async function isWhole(store: Pick<Store, 'query'>): Promise<boolean> {
  const open = await store.query(`SELECT 1 FROM millrace.rebuilds GROUP BY id HAVING max(state) != 'done'`)
  return open.length === 0
}

/** No accepted hit waits in the spool. */
export function isSpoolEmpty(dir: string): boolean {
  let files: string[] = []
  try {
    files = readdirSync(dir).filter((file) => file.endsWith('.spool'))
  } catch {
    return true // never needed
  }
  return files.every((file) => (statSync(join(dir, file), { throwIfNoEntry: false })?.size ?? 0) <= EMPTY_SPOOL_BYTES)
}
