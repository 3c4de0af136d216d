import { crc32 } from 'node:zlib'

/**
 * A frame, little endian, as it lies in every segment file:
 *
 *      0 u32  CRC32 of bytes 4..56           24 f64  timestamp of the first record, epoch ms
 *      4 u32  payload bytes                  32 f64  largest timestamp
 *      8 u32  CRC32 of the payload           40 u32  number of records
 *     12 u32  partition                      44 u32  last offset - base offset
 *     16 f64  base offset (exact to 2^53)    48 u32  flags: 1 = every record carries its own timestamp
 *                                            52 u32  format
 *     56 payload
 *
 * Two checksums, because two threads make a frame: the appender knows the payload, the writer the offset and the time,
 * and the writer should not walk over megabytes again.
 */
export const HEADER_BYTES = 56
const FORMAT = 0x3152_4d01
const TIMESTAMPED = 1

/** The partition of a segment's first frame, which holds no records but what the segment says of itself. */
export const PREAMBLE = 0xffff_ffff

export interface FrameHeader {
  readonly payloadBytes: number
  readonly partition: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly count: number
  /** Of the first record, epoch ms. Every record has it unless `timestamped`. */
  readonly timestamp: number
  readonly maxTimestamp: number
  readonly timestamped: boolean
}

/** What the appender knows of a frame before the writer stamps it. */
export interface FrameDraft {
  readonly payloadBytes: number
  readonly partition: number
  readonly count: number
  readonly timestamped: boolean
  readonly timestamp: number
  readonly maxTimestamp: number
}

/** Writes the header of a frame whose payload already stands at `at + HEADER_BYTES`; offset and header CRC come from `stampFrame`. */
export function draftFrame(bytes: Buffer, at: number, draft: FrameDraft): void {
  const payloadAt = at + HEADER_BYTES
  bytes.writeUInt32LE(draft.payloadBytes, at + 4)
  bytes.writeUInt32LE(crc32(bytes.subarray(payloadAt, payloadAt + draft.payloadBytes)), at + 8)
  bytes.writeUInt32LE(draft.partition, at + 12)
  bytes.writeDoubleLE(0, at + 16)
  bytes.writeDoubleLE(draft.timestamp, at + 24)
  bytes.writeDoubleLE(draft.maxTimestamp, at + 32)
  bytes.writeUInt32LE(draft.count, at + 40)
  bytes.writeUInt32LE(Math.max(0, draft.count - 1), at + 44)
  bytes.writeUInt32LE(draft.timestamped ? TIMESTAMPED : 0, at + 48)
  bytes.writeUInt32LE(FORMAT, at + 52)
}

/** Completes a drafted frame. `timestamp` (epoch ms) replaces the appender's; null keeps it. */
export function stampFrame(bytes: Buffer, at: number, baseOffset: number, timestamp: number | null): void {
  bytes.writeDoubleLE(baseOffset, at + 16)
  if (timestamp !== null) {
    bytes.writeDoubleLE(timestamp, at + 24)
    bytes.writeDoubleLE(timestamp, at + 32)
  }
  sealFrame(bytes, at)
}

/** Sets the distance of the last offset from the base: only compaction leaves gaps. Before `stampFrame`. */
export function setLastDelta(bytes: Buffer, at: number, delta: number): void {
  bytes.writeUInt32LE(delta, at + 44)
}

function sealFrame(bytes: Buffer, at: number): void {
  bytes.writeUInt32LE(crc32(bytes.subarray(at + 4, at + HEADER_BYTES)), at)
}

/** The header at `at`, where at least HEADER_BYTES stand; null when it is damaged. */
export function parseHeader(bytes: Buffer, at: number): FrameHeader | null {
  if (bytes.readUInt32LE(at) !== crc32(bytes.subarray(at + 4, at + HEADER_BYTES))) return null
  return bytes.readUInt32LE(at + 52) === FORMAT ? draftedHeader(bytes, at) : null
}

/** The header of a frame that was drafted in this process, without a check of its CRC. */
export function draftedHeader(bytes: Buffer, at: number): FrameHeader {
  const baseOffset = bytes.readDoubleLE(at + 16)
  return {
    payloadBytes: bytes.readUInt32LE(at + 4),
    partition: bytes.readUInt32LE(at + 12),
    baseOffset,
    lastOffset: baseOffset + bytes.readUInt32LE(at + 44),
    count: bytes.readUInt32LE(at + 40),
    timestamp: bytes.readDoubleLE(at + 24),
    maxTimestamp: bytes.readDoubleLE(at + 32),
    timestamped: (bytes.readUInt32LE(at + 48) & TIMESTAMPED) !== 0,
  }
}

/** Whether the payload of the frame at `at`, which must be there in full, is what was written. */
export function payloadIntact(bytes: Buffer, at: number, payloadBytes: number): boolean {
  const payloadAt = at + HEADER_BYTES
  return bytes.readUInt32LE(at + 8) === crc32(bytes.subarray(payloadAt, payloadAt + payloadBytes))
}
