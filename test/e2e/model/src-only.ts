import type { StoredRecord } from '@millrace/log'
import { HITS_ENRICHED } from '@millrace/shared'

const NOBODY = Buffer.from('-999')

/**
 * The chain rule switched off, for everyone who reads: a record counts if it goes on where the raw offsets of the last one
 * ended, whatever it was computed on. Its `prev` is rewritten so that the product takes it, and all others to nobody's.
 */
export function bySourceAlone(topic: string, records: readonly StoredRecord[]): readonly StoredRecord[] {
  if (topic !== HITS_ENRICHED.name) return records
  let head = -1
  let next = 0
  return records.map((record) => {
    const isNext = Number(record.headers.src_from) === next
    const prev = isNext ? Buffer.from(String(head)) : NOBODY
    if (isNext) {
      head = record.offset
      next = Number(record.headers.src_to) + 1
    }
    return { ...record, headers: { ...record.headers, prev } }
  })
}
