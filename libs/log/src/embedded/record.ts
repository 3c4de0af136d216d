import { AppendRefused, type LogRecord, type StoredRecord } from '../event-log.ts'
import { draftFrame, type FrameHeader, HEADER_BYTES, setLastDelta, stampFrame } from './frame.ts'

/**
 * A record within a frame's payload, little endian: u32 offset - base offset, [f64 timestamp, in timestamped frames],
 * i32 key bytes (-1 = null), i32 value bytes (-1 = null), u16 number of headers, then each header as u16 name bytes,
 * u32 value bytes, name, value; then key, value.
 */
const RECORD_BYTES = 14
const TIMESTAMP_BYTES = 8
const RECORD_HEADER_BYTES = 6
/** A frame of several records is closed before this: half of what a reader takes in at once. */
const FRAME_TARGET_BYTES = 1 << 19
const NO_HEADERS: Readonly<Record<string, Buffer>> = Object.freeze({})

/** How the records of one append are to be written: the topic's own rules. */
export interface AppendRules {
  readonly timestamps: 'append' | 'create'
  readonly maxRecordBytes: number
}

interface Sized {
  readonly record: LogRecord
  readonly headers: readonly (readonly [name: Buffer, value: Buffer])[]
  readonly bytes: number
}

interface FramePlan {
  readonly partition: number
  readonly records: Sized[]
  payloadBytes: number
}

/**
 * The drafted frames of one append, one after another in one buffer of its own (so that it can be transferred to another thread).
 * @throws AppendRefused when a record is larger than the topic allows
 */
export function encodeAppend(
  perPartition: ReadonlyMap<number, readonly LogRecord[]>,
  rules: AppendRules,
  nowMs: number,
): Buffer {
  const plans: FramePlan[] = []
  for (const [partition, records] of perPartition) planFrames(partition, records, rules, plans)
  let bytes = 0
  for (const plan of plans) bytes += HEADER_BYTES + plan.payloadBytes
  const target = Buffer.allocUnsafeSlow(bytes)
  let at = 0
  for (const plan of plans) at = writeFrame(target, at, plan, rules.timestamps === 'create', nowMs)
  return target
}

function planFrames(partition: number, records: readonly LogRecord[], rules: AppendRules, plans: FramePlan[]): void {
  let plan: FramePlan | undefined
  for (const record of records) {
    const sized = sizeOf(record, rules)
    if (plan === undefined || plan.payloadBytes + sized.bytes > FRAME_TARGET_BYTES) {
      plan = { partition, records: [], payloadBytes: 0 }
      plans.push(plan)
    }
    plan.records.push(sized)
    plan.payloadBytes += sized.bytes
  }
}

function sizeOf(record: LogRecord, rules: AppendRules): Sized {
  let content = (record.key?.length ?? 0) + (record.value?.length ?? 0)
  const headers: [Buffer, Buffer][] = []
  if (record.headers !== undefined) {
    for (const name in record.headers) {
      const nameBytes = Buffer.from(name)
      const value = record.headers[name]!
      if (nameBytes.length > 0xffff) throw new AppendRefused('a header name is longer than 65,535 bytes')
      headers.push([nameBytes, value])
      content += nameBytes.length + value.length
    }
  }
  if (content > rules.maxRecordBytes)
    throw new AppendRefused(`a record of ${content} bytes is above the topic's ${rules.maxRecordBytes}`)
  if (headers.length > 0xffff) throw new AppendRefused('a record has more than 65,535 headers')
  const timestampBytes = rules.timestamps === 'create' ? TIMESTAMP_BYTES : 0
  return { record, headers, bytes: RECORD_BYTES + timestampBytes + headers.length * RECORD_HEADER_BYTES + content }
}

function writeFrame(target: Buffer, frameAt: number, plan: FramePlan, timestamped: boolean, nowMs: number): number {
  let at = frameAt + HEADER_BYTES
  let max = Number.NEGATIVE_INFINITY
  for (const [index, sized] of plan.records.entries()) {
    const timestamp = sized.record.timestamp ?? nowMs
    if (timestamp > max) max = timestamp
    at = writeRecord(target, at, index, timestamped ? timestamp : null, sized)
  }
  draftFrame(target, frameAt, {
    payloadBytes: plan.payloadBytes,
    partition: plan.partition,
    count: plan.records.length,
    timestamped,
    timestamp: plan.records[0]!.record.timestamp ?? nowMs,
    maxTimestamp: max,
  })
  return at
}

function writeRecord(target: Buffer, start: number, delta: number, timestamp: number | null, sized: Sized): number {
  const { record, headers } = sized
  let at = target.writeUInt32LE(delta, start)
  if (timestamp !== null) at = target.writeDoubleLE(timestamp, at)
  at = target.writeInt32LE(record.key?.length ?? -1, at)
  at = target.writeInt32LE(record.value?.length ?? -1, at)
  at = target.writeUInt16LE(headers.length, at)
  for (const [name, value] of headers) {
    at = target.writeUInt16LE(name.length, at)
    at = target.writeUInt32LE(value.length, at)
    target.set(name, at)
    target.set(value, at + name.length)
    at += name.length + value.length
  }
  if (record.key) {
    target.set(record.key, at)
    at += record.key.length
  }
  if (record.value) {
    target.set(record.value, at)
    at += record.value.length
  }
  return at
}

/**
 * The records of a frame with `from` <= offset < `to`. Keys, values and headers are views into `bytes`: who keeps one
 * for long copies it, or keeps the whole chunk alive.
 */
export function decodeRecords(
  bytes: Buffer,
  frameAt: number,
  frame: FrameHeader,
  from: number,
  to: number,
): StoredRecord[] {
  const records: StoredRecord[] = []
  let at = frameAt + HEADER_BYTES
  for (let index = 0; index < frame.count; index++) {
    const offset = frame.baseOffset + bytes.readUInt32LE(at)
    at += 4
    let timestamp = frame.timestamp
    if (frame.timestamped) {
      timestamp = bytes.readDoubleLE(at)
      at += TIMESTAMP_BYTES
    }
    const keyBytes = bytes.readInt32LE(at)
    const valueBytes = bytes.readInt32LE(at + 4)
    const headerCount = bytes.readUInt16LE(at + 8)
    at += 10
    let headers = NO_HEADERS
    if (headerCount > 0) {
      const headersAt = at
      at = skipHeaders(bytes, at, headerCount)
      if (offset >= from && offset < to) headers = readHeaders(bytes, headersAt, headerCount)
    }
    const valueAt = at + Math.max(0, keyBytes)
    const end = valueAt + Math.max(0, valueBytes)
    if (offset >= from && offset < to) {
      const key = keyBytes < 0 ? null : bytes.subarray(at, valueAt)
      const value = valueBytes < 0 ? null : bytes.subarray(valueAt, end)
      records.push({ offset, timestamp, key, value, headers })
    }
    at = end
  }
  return records
}

function skipHeaders(bytes: Buffer, start: number, count: number): number {
  let at = start
  for (let index = 0; index < count; index++)
    at += RECORD_HEADER_BYTES + bytes.readUInt16LE(at) + bytes.readUInt32LE(at + 2)
  return at
}

function readHeaders(bytes: Buffer, start: number, count: number): Readonly<Record<string, Buffer>> {
  // No prototype: a header may be called `__proto__`.
  const headers: Record<string, Buffer> = Object.create(null)
  let at = start
  for (let index = 0; index < count; index++) {
    const valueAt = at + RECORD_HEADER_BYTES + bytes.readUInt16LE(at)
    const end = valueAt + bytes.readUInt32LE(at + 2)
    headers[bytes.toString('utf8', at + RECORD_HEADER_BYTES, valueAt)] = bytes.subarray(valueAt, end)
    at = end
  }
  return headers
}

/**
 * A complete frame with the given records of an older frame, offsets and timestamps kept: what compaction writes. Never
 * larger than the older frame, for a segment must not grow into the positions of the next.
 */
export function encodeSurvivors({ partition, timestamped }: FrameHeader, records: readonly StoredRecord[]): Buffer {
  const timestamps = timestamped ? 'create' : 'append'
  const rules: AppendRules = { timestamps, maxRecordBytes: Number.POSITIVE_INFINITY }
  const sized = records.map((record) => sizeOf(record, rules))
  const payloadBytes = sized.reduce((sum, each) => sum + each.bytes, 0)
  const bytes = Buffer.allocUnsafeSlow(HEADER_BYTES + payloadBytes)
  const first = records[0]!
  let at = HEADER_BYTES
  let maxTimestamp = first.timestamp
  for (const [index, record] of records.entries()) {
    maxTimestamp = Math.max(maxTimestamp, record.timestamp)
    at = writeRecord(bytes, at, record.offset - first.offset, timestamped ? record.timestamp : null, sized[index]!)
  }
  const { timestamp } = first
  draftFrame(bytes, 0, { payloadBytes, partition, count: records.length, timestamped, timestamp, maxTimestamp })
  setLastDelta(bytes, 0, records.at(-1)!.offset - first.offset)
  stampFrame(bytes, 0, first.offset, null)
  return bytes
}
