import { RAW_RECORD_MAX_BYTES, RAW_RECORD_MAX_HITS } from '@millrace/shared'
import type { PartitionLine } from './stamp-lines.ts'

/** A record of hits.raw in the making: lines that end with LF, within the limits of a record. */
export interface RecordDraft {
  readonly lines: string[]
  bytes: number
  hits: number
}

/** Records in the making, by partition. */
export type RecordDrafts = Map<number, RecordDraft[]>

/** Adds a line to the last record of its partition, or to a new one where that is full. Returns its bytes. */
export function addLine(drafts: RecordDrafts, { partition, text, hits }: PartitionLine): number {
  const bytes = Buffer.byteLength(text) + 1
  let ofPartition = drafts.get(partition)
  if (!ofPartition) {
    ofPartition = []
    drafts.set(partition, ofPartition)
  }
  let draft = ofPartition.at(-1)
  if (!draft || draft.bytes + bytes > RAW_RECORD_MAX_BYTES || draft.hits + hits > RAW_RECORD_MAX_HITS) {
    draft = { lines: [], bytes: 0, hits: 0 }
    ofPartition.push(draft)
  }
  draft.lines.push(text)
  draft.bytes += bytes
  draft.hits += hits
  return bytes
}

/** The value of the record. */
export const textOf = ({ lines }: RecordDraft): string => `${lines.join('\n')}\n`
