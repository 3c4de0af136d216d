import { draftFrame, HEADER_BYTES, stampFrame } from '@millrace/log'
import { type RecordDrafts, textOf } from '../record-drafts.ts'

/**
 * Drafted records as frames for the spool, one a record, numbered from `seq` on. Lines of one partition stay in order,
 * and only they need to. `timestamp`: epoch ms.
 */
export function encodeFrames(drafts: RecordDrafts, seq: number, timestamp: number): { bytes: Buffer; frames: number } {
  let total = 0
  let frames = 0
  for (const list of drafts.values())
    for (const draft of list) {
      total += HEADER_BYTES + draft.bytes
      frames++
    }
  const bytes = Buffer.allocUnsafeSlow(total)
  let at = 0
  let next = seq
  for (const [partition, list] of drafts)
    for (const draft of list) {
      const payloadBytes = bytes.write(textOf(draft), at + HEADER_BYTES)
      draftFrame(bytes, at, {
        payloadBytes,
        partition,
        count: draft.hits,
        timestamped: false,
        timestamp,
        maxTimestamp: timestamp,
      })
      stampFrame(bytes, at, next++, null)
      at += HEADER_BYTES + payloadBytes
    }
  return { bytes, frames }
}
