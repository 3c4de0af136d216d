import { readFileSync, writeFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { FrameHeader } from './frame.ts'

/** An entry at least this far from the last one: what a seek reads in vain at most, one frame aside. */
const ENTRY_DISTANCE_BYTES = 256 * 1024
const MAGIC = 0x3158_494d

/**
 * What a segment holds: offsets and times of every partition, and a sparse index of them. An entry is the position of a
 * frame with, for each partition, the next offset and the largest timestamp before it. It can always be made anew from
 * the segment; the file beside a closed segment only saves the scan at start.
 */
export class SegmentIndex {
  readonly partitions: number
  /** Per partition: the offset that the first record at or after the segment's beginning has. */
  readonly starts: Float64Array
  /** Per partition: the offset after the last record. */
  readonly ends: Float64Array
  /** Per partition: the largest timestamp, epoch ms; -Infinity = no record. */
  readonly maxTimestamps: Float64Array
  #entries: Float64Array
  #entryCount = 0

  constructor(starts: Float64Array) {
    this.partitions = starts.length
    this.starts = starts
    this.ends = starts.slice()
    this.maxTimestamps = new Float64Array(starts.length).fill(Number.NEGATIVE_INFINITY)
    this.#entries = new Float64Array(16 * this.#width)
  }

  get #width(): number {
    return 1 + 2 * this.partitions
  }

  /** Largest timestamp of all records, epoch ms; -Infinity = no record. */
  get newest(): number {
    return Math.max(...this.maxTimestamps)
  }

  /** Takes note of a frame at `position` in the file. Frames come in the order in which they stand there. */
  add(frame: FrameHeader, position: number): void {
    const last = this.#entryCount === 0 ? Number.NEGATIVE_INFINITY : this.#positionOf(this.#entryCount - 1)
    if (position - last >= ENTRY_DISTANCE_BYTES) this.#addEntry(position)
    const { partition } = frame
    this.ends[partition] = frame.lastOffset + 1
    this.maxTimestamps[partition] = Math.max(this.maxTimestamps[partition]!, frame.maxTimestamp)
  }

  #addEntry(position: number): void {
    const at = this.#entryCount++ * this.#width
    if (at + this.#width > this.#entries.length) {
      const larger = new Float64Array(this.#entries.length * 2)
      larger.set(this.#entries)
      this.#entries = larger
    }
    this.#entries[at] = position
    this.#entries.set(this.ends, at + 1)
    this.#entries.set(this.maxTimestamps, at + 1 + this.partitions)
  }

  #positionOf(entry: number): number {
    return this.#entries[entry * this.#width]!
  }

  /** A position in the file at or before the record `offset` of `partition`; 0 when there is nothing better. */
  positionOf(partition: number, offset: number): number {
    return this.#lastEntryWhere((at) => this.#entries[at + 1 + partition]! <= offset)
  }

  /** A position in the file at or before the first record of `partition` with a timestamp >= `timestampMs`. */
  positionOfTime(partition: number, timestampMs: number): number {
    return this.#lastEntryWhere((at) => this.#entries[at + 1 + this.partitions + partition]! < timestampMs)
  }

  /** Entries rise in every column, so those that pass come first. */
  #lastEntryWhere(passes: (at: number) => boolean): number {
    let low = 0
    let high = this.#entryCount
    while (low < high) {
      const middle = (low + high) >>> 1
      if (passes(middle * this.#width)) low = middle + 1
      else high = middle
    }
    return low === 0 ? 0 : this.#positionOf(low - 1)
  }

  /** Writes the index beside its closed segment of `segmentBytes`. Not synced: a broken one is made anew. */
  save(path: string, segmentBytes: number): void {
    const numbers = new Float64Array(3 + 3 * this.partitions + this.#entryCount * this.#width)
    numbers.set([segmentBytes, this.partitions, this.#entryCount])
    numbers.set(this.starts, 3)
    numbers.set(this.ends, 3 + this.partitions)
    numbers.set(this.maxTimestamps, 3 + 2 * this.partitions)
    numbers.set(this.#entries.subarray(0, this.#entryCount * this.#width), 3 + 3 * this.partitions)
    const body = Buffer.from(numbers.buffer)
    const head = Buffer.alloc(8)
    head.writeUInt32LE(MAGIC, 0)
    head.writeUInt32LE(crc32(body), 4)
    writeFileSync(path, Buffer.concat([head, body]), { mode: 0o600 })
  }

  /** The index that was saved for a segment of exactly `segmentBytes`; null when there is none that can be trusted. */
  static load(path: string, segmentBytes: number, partitions: number): SegmentIndex | null {
    const body = readChecked(path)
    if (body === null) return null
    const numbers = new Float64Array(body.buffer, body.byteOffset, body.length / 8)
    const [bytes, count, entries] = numbers
    if (bytes !== segmentBytes || count !== partitions) return null
    if (numbers.length !== 3 + 3 * partitions + entries! * (1 + 2 * partitions)) return null
    const index = new SegmentIndex(numbers.slice(3, 3 + partitions))
    index.ends.set(numbers.subarray(3 + partitions, 3 + 2 * partitions))
    index.maxTimestamps.set(numbers.subarray(3 + 2 * partitions, 3 + 3 * partitions))
    index.#entries = numbers.slice(3 + 3 * partitions)
    index.#entryCount = entries!
    return index
  }
}

/** The content behind the checksum, at an address that a Float64Array can stand on. */
function readChecked(path: string): Buffer | null {
  let file: Buffer
  try {
    file = readFileSync(path)
  } catch {
    return null
  }
  if (file.length < 8 || file.length % 8 !== 0 || file.readUInt32LE(0) !== MAGIC) return null
  const body = Buffer.allocUnsafeSlow(file.length - 8)
  file.copy(body, 0, 8)
  return crc32(body) === file.readUInt32LE(4) ? body : null
}
