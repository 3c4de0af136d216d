import { createHash } from 'node:crypto'
import type { EventLog } from '@millrace/log'
import type { TopicSpec } from '@millrace/shared'

/** Segments expire after four minutes of the log's clock. */
export const APPENDED: TopicSpec = {
  name: 'appended',
  partitions: 'hits',
  cleanup: 'delete',
  retentionMs: 240_000,
  segmentMs: 120_000,
  timestamps: 'append',
  maxRecordBytes: 1 << 20,
}
export const LAST_VALUES: TopicSpec = { ...APPENDED, name: 'last_values', partitions: 1, cleanup: 'compact' }
export const COMMITTED_BY = 'killed'

/** The value that stands at an offset: up to 1.5 KB that cannot be anything else. */
export function valueAt(partition: number, offset: number): Buffer {
  const seed = createHash('sha256').update(`${partition}/${offset}`).digest()
  return Buffer.alloc(1 + (seed.readUInt16LE(0) % 1_500), seed)
}

/** Everything that a log holds, read from its beginning to its end, in words of the journal. */
export async function surveyLog(log: EventLog): Promise<string[]> {
  const found: string[] = []
  const reader = log.reader()
  const lows = await log.admin().lowOffsets(APPENDED.name)
  for (const [partition, end] of await log.admin().endOffsets(APPENDED.name)) {
    const low = lows.get(partition)!
    let next = low
    for await (const records of reader.read(APPENDED.name, partition, low, end))
      for (const { offset, value } of records) {
        if (offset !== next || !value?.equals(valueAt(partition, offset))) found.push(`wrong ${partition}/${offset}`)
        next = offset + 1
      }
    if (next !== end) found.push(`wrong end of ${partition}: ${next} of ${end}`)
    found.push(`has ${partition} ${low} ${end}`)
  }
  const values = new Map<string, string>()
  const lastEnd = (await log.admin().endOffsets(LAST_VALUES.name)).get(0)!
  for await (const records of reader.read(LAST_VALUES.name, 0, 0, lastEnd))
    for (const { key, value } of records) values.set(String(key), String(value).split(' ')[0]!)
  for (const key of ['key0', 'key1']) found.push(`holds ${key} ${values.get(key) ?? 'nothing'}`)
  const committed = [...(await log.admin().committed(COMMITTED_BY, APPENDED.name)).values()]
  const steps = new Set(committed.map(({ metadata }) => metadata.split(' ')[0]!))
  found.push(`position ${[...steps].join(',') || 'nothing'}`)
  await reader.close()
  return found
}
