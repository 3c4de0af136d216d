import { closeSync, openSync, renameSync } from 'node:fs'
import type { StoredRecord } from '../event-log.ts'
import { removeQuietly, syncDirectory, UNFINISHED } from './durable-file.ts'
import { HEADER_BYTES, PREAMBLE } from './frame.ts'
import { decodeRecords, encodeSurvivors } from './record.ts'
import { type Chunk, type Frame, SegmentWriter, scanFrames } from './segment.ts'
import { indexPath, segmentPath } from './topic-files.ts'
import type { TopicLog } from './topic-log.ts'
import { scanSegment } from './topic-recovery.ts'
import { type Segment, saveIndex } from './topic-segment.ts'

/** How long the mark of a deletion (null value) stays, so that a reader that was away learns of it. */
const DELETION_KEPT_MS = 24 * 3_600_000

/**
 * Rewrites the closed segments of a compacted topic so that they hold the last record of each key, and no deletions
 * older than DELETION_KEPT_MS. Each is replaced as a whole by a rename: a crash leaves the old or the new one, and either
 * is right. Returns the number of segments that changed.
 */
export function compactTopic(log: TopicLog, nowMs: number): number {
  const closed = log.segments.slice(0, -1)
  if (closed.length === 0) return 0
  const last = lastOffsets(log)
  const survives = (partition: number, record: StoredRecord): boolean =>
    last.get(keyOf(partition, record)) === record.offset &&
    (record.value !== null || record.timestamp > nowMs - DELETION_KEPT_MS)
  let changed = 0
  for (const segment of closed) if (rewriteSegment(log, segment, survives)) changed++
  return changed
}

const keyOf = (partition: number, { key }: StoredRecord): string => `${partition} ${key?.toString('latin1') ?? ''}`

function lastOffsets(log: TopicLog): Map<string, number> {
  const last = new Map<string, number>()
  for (const segment of log.segments)
    scanRecords(log, segment, (frame, records) => {
      for (const record of records) last.set(keyOf(frame.partition, record), record.offset)
    })
  return last
}

function scanRecords(
  log: TopicLog,
  segment: Segment,
  visit: (frame: Frame, records: StoredRecord[], chunk: Chunk) => void,
): void {
  const fd = openSync(segmentPath(log.dir, segment.base), 'r')
  try {
    const { end } = scanFrames(fd, 0, segment.size, (frame, chunk) => {
      const isPreamble = frame.partition === PREAMBLE
      visit(frame, isPreamble ? [] : decodeRecords(chunk.bytes, frame.at, frame, 0, Number.POSITIVE_INFINITY), chunk)
      return undefined
    })
    if (end < segment.size) throw new Error(`${segmentPath(log.dir, segment.base)} is damaged at ${end}`)
  } finally {
    closeSync(fd)
  }
}

function rewriteSegment(
  log: TopicLog,
  segment: Segment,
  survives: (partition: number, record: StoredRecord) => boolean,
): boolean {
  const frames: Buffer[] = []
  let dropped = 0
  scanRecords(log, segment, (frame, records, { bytes }) => {
    const kept = records.filter((record) => survives(frame.partition, record))
    dropped += records.length - kept.length
    const whole = bytes.subarray(frame.at, frame.at + HEADER_BYTES + frame.payloadBytes)
    if (kept.length === records.length) frames.push(Buffer.from(whole))
    else if (kept.length > 0) frames.push(encodeSurvivors(frame, kept))
  })
  if (dropped === 0) return false
  replaceSegment(log, segment, frames)
  return true
}

function replaceSegment(log: TopicLog, segment: Segment, [preamble, ...frames]: Buffer[]): void {
  const path = segmentPath(log.dir, segment.base)
  const rewritten = SegmentWriter.create(path + UNFINISHED, preamble!)
  try {
    if (frames.length > 0) rewritten.append(frames)
  } finally {
    rewritten.close()
  }
  const { index } = scanSegment(rewritten.path, { starts: [...segment.index.starts] }, rewritten.size)
  // Where the segment ended is what it once held, not what is left of it.
  index.ends.set(segment.index.ends)
  log.replaceSegments(() => {
    removeQuietly(indexPath(log.dir, segment.base))
    renameSync(rewritten.path, path)
    segment.size = rewritten.size
    segment.index = index
    syncDirectory(log.dir)
  })
  saveIndex(log.dir, segment)
}
