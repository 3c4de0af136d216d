import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  DISK,
  encodePreamble,
  PREAMBLE,
  payloadOf,
  readChunk,
  type SegmentIo,
  SegmentWriter,
  scanFrames,
} from '@millrace/log'

/** A position in the spool: `at` bytes into a segment file. Positions rise in the order of writing. */
export interface Place {
  readonly segment: number
  readonly at: number
}

export const START: Place = { segment: 0, at: 0 }

/** One record of the spool: lines of one partition. Its `baseOffset` in the file is `seq`, its `count` the hits. */
export interface SpoolFrame {
  /** Rises by one with every frame, over restarts too as long as any frame is left. */
  readonly seq: number
  readonly partition: number
  readonly hits: number
  /** When it was written, or first tried on the log if that was earlier: epoch ms of the collector's clock. */
  readonly timestamp: number
  /** Where the lines stand in `bytes` of the read. */
  readonly from: number
  readonly to: number
}

/** Frames that stand one after another in one segment. */
export interface SpoolRead {
  readonly bytes: Uint8Array
  readonly frames: readonly SpoolFrame[]
  /** Where to read on. */
  readonly next: Place
  /** Number of partitions when the segment was begun. */
  readonly partitions: number
  /** Nothing durable stands behind. */
  readonly end: boolean
}

/** What the start found of an earlier run. */
export interface SpoolFound {
  readonly segments: number
  readonly bytes: number
  readonly frames: number
  readonly hits: number
  /** Epoch ms; null = nothing was there. */
  readonly oldest: number | null
  readonly nextSeq: number
  /** Bytes that were no whole frames: written when the process died, and never acknowledged. */
  readonly cutBytes: number
}

export interface SpoolFilesOptions {
  /** Made if missing. One process at a time: lock it before. */
  readonly dir: string
  /** Number of partitions of hits.raw now. */
  readonly partitions: number
  /** A segment is closed at this size. */
  readonly segmentBytes: number
  readonly io?: SegmentIo
}

interface Segment {
  readonly number: number
  readonly path: string
  readonly partitions: number
  /** Where its first record stands. */
  readonly start: number
  /** Durable bytes. */
  bytes: number
}

const NAME = /^(\d{12})\.spool$/
/** What is written to see whether anything can be; a crash may leave it, and the next try removes it. */
const TRIAL = 'trial'
const TRIAL_BYTES = 64 << 10
const VERSION = 1

/**
 * The spool's files: segments of the format of the embedded log, first written first read. All calls are synchronous:
 * they run in the spool's thread.
 */
export class SpoolFiles {
  readonly found: SpoolFound
  readonly #options: SpoolFilesOptions
  readonly #segments: Segment[] = []
  #next: number
  /** Grows: the last of the segments. */
  #writer: SegmentWriter | null = null
  #reading: { readonly number: number; readonly fd: number } | null = null

  /** Reads what an earlier run left, and cuts what is no whole frame. @throws Error when a file cannot be read */
  constructor(options: SpoolFilesOptions) {
    this.#options = options
    const { dir } = options
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const numbers = readdirSync(dir).flatMap((name) => NAME.exec(name)?.[1] ?? [])
    const tally = { frames: 0, hits: 0, oldest: null as number | null, nextSeq: 1, cutBytes: 0 }
    for (const digits of numbers.sort()) {
      const segment = recoverSegment(Number(digits), join(dir, `${digits}.spool`), tally)
      if (segment) this.#segments.push(segment)
    }
    this.#next = Number(numbers.at(-1) ?? 0) + 1
    this.found = { ...tally, segments: this.#segments.length, bytes: this.bytes }
  }

  /** Size of all files. */
  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Makes frames durable: all of them, or none when it throws. */
  append(frames: Buffer): void {
    const writer = this.#writerFor(frames.length)
    writer.append([frames])
    this.#segments.at(-1)!.bytes = writer.size
  }

  #writerFor(bytes: number): SegmentWriter {
    const last = this.#segments.at(-1)
    if (this.#writer && last) {
      const full = last.bytes > last.start && last.bytes + bytes > this.#options.segmentBytes
      if (this.#writer.sound && !full) return this.#writer
      this.#closeWriter()
    }
    const { dir, partitions, io = DISK } = this.#options
    const number = this.#next++
    const path = join(dir, `${String(number).padStart(12, '0')}.spool`)
    const preamble = encodePreamble(Buffer.from(JSON.stringify({ v: VERSION, partitions })), Date.now())
    this.#writer = SegmentWriter.create(path, preamble, io)
    this.#segments.push({ number, path, partitions, start: preamble.length, bytes: this.#writer.size })
    return this.#writer
  }

  /** The frames from a place on, about 1 MB of them; null when nothing is there yet. */
  read(place: Place): SpoolRead | null {
    for (const segment of this.#segments) {
      if (segment.number < place.segment) continue
      const from = Math.max(segment.start, segment.number === place.segment ? place.at : 0)
      if (from >= segment.bytes) continue
      const read = this.#readSegment(segment, from)
      if (read.frames.length > 0) return read
    }
    return null
  }

  #readSegment(segment: Segment, from: number): SpoolRead {
    const chunk = readChunk(this.#readerOf(segment), from, segment.bytes)
    // Whole when it was written or recovered: the disk has changed it since.
    if (chunk.state === 'damaged') throw new Error(`${segment.path} is damaged at byte ${chunk.next}`)
    const frames = chunk.frames.map((frame) => {
      const { byteOffset, length } = payloadOf(chunk, frame)
      const start = byteOffset - chunk.bytes.byteOffset
      return {
        seq: frame.baseOffset,
        partition: frame.partition,
        hits: frame.count,
        timestamp: frame.timestamp,
        from: start,
        to: start + length,
      }
    })
    const next = { segment: segment.number, at: chunk.next }
    const end = segment === this.#segments.at(-1) && chunk.next >= segment.bytes
    return { bytes: chunk.bytes, frames, next, partitions: segment.partitions, end }
  }

  #readerOf({ number, path }: Segment): number {
    if (this.#reading?.number !== number) {
      this.#closeReader()
      this.#reading = { number, fd: openSync(path, 'r') }
    }
    return this.#reading!.fd
  }

  /**
   * Removes the segments before a place; with `all` also the one that ends there. What a crash brings back is found in
   * the log at the next start, so nothing waits for the directory.
   */
  drop(place: Place, all: boolean): void {
    while (this.#segments.length > 0) {
      const first = this.#segments[0]!
      const passed = first.number < place.segment || (first.number === place.segment && place.at >= first.bytes)
      const grows = this.#writer !== null && this.#segments.length === 1
      if (!passed || (grows && !all)) return
      if (grows) this.#closeWriter()
      if (this.#reading?.number === first.number) this.#closeReader()
      this.#segments.shift()
      unlinkSync(first.path)
    }
  }

  /** Writes something that is of no use, durably, and removes it. @throws Error when the disk does not take it */
  tryOut(): void {
    const path = join(this.#options.dir, TRIAL)
    const fd = openSync(path, 'w', 0o600)
    try {
      for (let left = TRIAL_BYTES; left > 0; ) left -= writeSync(fd, Buffer.alloc(left))
      fsyncSync(fd)
    } finally {
      closeSync(fd)
      unlinkSync(path)
    }
  }

  #closeWriter(): void {
    this.#writer?.close()
    this.#writer = null
  }

  #closeReader(): void {
    if (this.#reading) closeSync(this.#reading.fd)
    this.#reading = null
  }

  close(): void {
    this.#closeWriter()
    this.#closeReader()
  }
}

type Tally = { -readonly [K in 'frames' | 'hits' | 'oldest' | 'nextSeq' | 'cutBytes']: SpoolFound[K] }

/** What stands in a file of an earlier run; null, and the file is gone, when that is nothing. */
function recoverSegment(number: number, path: string, tally: Tally): Segment | null {
  const fd = openSync(path, 'r')
  let start = 0
  let partitions = 0
  let frames = 0
  let size: number
  let end: number
  try {
    size = fstatSync(fd).size
    end = scanFrames(fd, 0, size, (frame, chunk, position) => {
      if (position === 0) {
        if (frame.partition !== PREAMBLE) return false
        partitions = parsePreamble(path, payloadOf(chunk, frame))
        start = payloadOf(chunk, frame).byteOffset - chunk.bytes.byteOffset + frame.payloadBytes
        return undefined
      }
      frames++
      tally.hits += frame.count
      tally.oldest = Math.min(tally.oldest ?? frame.timestamp, frame.timestamp)
      tally.nextSeq = Math.max(tally.nextSeq, frame.baseOffset + 1)
      return undefined
    }).end
  } finally {
    closeSync(fd)
  }
  tally.frames += frames
  tally.cutBytes += size - end
  if (frames === 0) {
    rmSync(path)
    return null
  }
  if (end < size) SegmentWriter.resume(path, end).close()
  return { number, path, partitions, start, bytes: end }
}

function parsePreamble(path: string, payload: Buffer): number {
  const { v, partitions } = JSON.parse(payload.toString()) as { v: number; partitions: number }
  if (v !== VERSION) throw new Error(`${path} was written by a newer version`)
  return partitions
}
