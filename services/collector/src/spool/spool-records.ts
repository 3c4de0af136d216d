import type { LogRecord } from '@millrace/log'
import { RAW_RECORD_MAX_BYTES, RAW_RECORD_MAX_HITS, type RawLine } from '@millrace/shared'
import { partitionOf } from '../stamp-lines.ts'
import type { Arrivals } from './arrivals.ts'
import type { SpoolFrame, SpoolRead } from './spool-files.ts'
import { linesOf } from './spooled-line.ts'

/** What goes to the log in one append. */
export interface Delivery {
  readonly records: ReadonlyMap<number, readonly LogRecord[]>
  readonly hits: number
  /** Hits that were in the log already. */
  readonly leftOut: number
}

/** Lines of one partition that stand together. */
interface Piece {
  readonly partition: number
  readonly value: Buffer
  readonly hits: number
}

/** Calls `visit` for every line of frames, with the partition that it has now and when it was written or first tried. */
export function visitLines(
  read: SpoolRead,
  partitions: number,
  visit: (line: RawLine, partition: number, writtenAt: number) => void,
): void {
  for (const frame of read.frames)
    for (const text of linesOf(payloadOf(read, frame))) {
      const line = JSON.parse(text) as RawLine
      const partition =
        read.partitions === partitions
          ? frame.partition
          : partitionOf(line.site, line.ip, line.user_agent, line.user, partitions)
      visit(line, partition, frame.timestamp)
    }
}

/** Frames as records for the log, in their order, without what is acknowledged or has arrived. */
export function deliveryOf(
  read: SpoolRead,
  partitions: number,
  isAcknowledged: (seq: number) => boolean,
  arrivals: Arrivals | null,
): Delivery {
  const pieces: Piece[] = []
  let all = 0
  for (const frame of read.frames) {
    all += frame.hits
    if (isAcknowledged(frame.seq)) continue
    const asItIs = read.partitions === partitions && !arrivals?.any
    if (asItIs) pieces.push({ partition: frame.partition, value: payloadOf(read, frame), hits: frame.hits })
    else pieces.push(...piecesOf(read, frame, partitions, arrivals))
  }
  const hits = pieces.reduce((sum, piece) => sum + piece.hits, 0)
  return { records: joinPieces(pieces), hits, leftOut: all - hits }
}

const payloadOf = ({ bytes }: SpoolRead, { from, to }: SpoolFrame): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from)

/** A frame line by line. */
function piecesOf(read: SpoolRead, frame: SpoolFrame, partitions: number, arrivals: Arrivals | null): Piece[] {
  return linesOf(payloadOf(read, frame)).flatMap((text) => {
    const line = JSON.parse(text) as RawLine
    const hits = arrivals ? arrivals.missingOf(line) : line.hits
    if (hits.length === 0) return []
    const partition =
      read.partitions === partitions
        ? frame.partition
        : partitionOf(line.site, line.ip, line.user_agent, line.user, partitions)
    const value = Buffer.from(`${hits.length === line.hits.length ? text : JSON.stringify({ ...line, hits })}\n`)
    return [{ partition, value, hits: hits.length }]
  })
}

/** Neighbours of one partition in one record, as far as a record may go. */
function joinPieces(pieces: readonly Piece[]): Map<number, LogRecord[]> {
  const joined = new Map<number, { values: Buffer[]; bytes: number; hits: number }[]>()
  for (const { partition, value, hits } of pieces) {
    let records = joined.get(partition)
    if (!records) {
      records = []
      joined.set(partition, records)
    }
    let last = records.at(-1)
    if (!last || last.bytes + value.length > RAW_RECORD_MAX_BYTES || last.hits + hits > RAW_RECORD_MAX_HITS) {
      last = { values: [], bytes: 0, hits: 0 }
      records.push(last)
    }
    last.values.push(value)
    last.bytes += value.length
    last.hits += hits
  }
  const records = new Map<number, LogRecord[]>()
  for (const [partition, list] of joined)
    records.set(
      partition,
      list.map(({ values }) => ({ value: Buffer.concat(values) })),
    )
  return records
}
