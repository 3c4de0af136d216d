import { closeSync, fdatasyncSync, ftruncateSync, openSync, readSync, writevSync } from 'node:fs'
import { dirname } from 'node:path'
import { removeQuietly, syncDirectory } from './durable-file.ts'
import {
  draftFrame,
  type FrameHeader,
  HEADER_BYTES,
  PREAMBLE,
  parseHeader,
  payloadIntact,
  stampFrame,
} from './frame.ts'

/** A segment file is a preamble frame and then frames. This file knows nothing of topics: a spool is made of the same. */
export const CHUNK_BYTES = 1 << 20

export interface Frame extends FrameHeader {
  /** Where the frame begins within the chunk. */
  readonly at: number
}

/** Whole frames as they stand in a file, one after another. */
export interface Chunk {
  readonly bytes: Buffer
  readonly frames: readonly Frame[]
  /** Position in the file after the last whole frame. */
  readonly next: number
  /** `end`: nothing at all stands behind `next`; `damaged`: what stands there is no whole frame. */
  readonly state: 'more' | 'end' | 'damaged'
}

const everyPartition = (_partition: number): boolean => true

/**
 * Reads whole frames from position `from` on, about `chunkBytes` of them, never beyond `limit`. Frames of partitions
 * that are not `wanted` are left out, and their payload is not checked, nor read where it goes beyond.
 */
export function readChunk(
  fd: number,
  from: number,
  limit: number,
  wanted = everyPartition,
  chunkBytes = CHUNK_BYTES,
): Chunk {
  let bytes = readAt(fd, from, Math.min(chunkBytes, limit - from))
  const frames: Frame[] = []
  let at = 0
  const stop = (state: Chunk['state']): Chunk => ({ bytes, frames, next: from + at, state })
  while (at < bytes.length) {
    // A cut-off frame is damage when it is the first of the chunk; else the next chunk begins with it and decides.
    if (bytes.length - at < HEADER_BYTES) return stop(at > 0 ? 'more' : 'damaged')
    const header = parseHeader(bytes, at)
    if (header === null) return stop('damaged')
    const frameBytes = HEADER_BYTES + header.payloadBytes
    if (bytes.length - at < frameBytes) {
      if (!wanted(header.partition) && from + at + frameBytes <= limit) {
        at += frameBytes
        return stop('more')
      }
      if (at > 0) return stop('more')
      if (from + frameBytes > limit) return stop('damaged')
      const larger = bytes.length < frameBytes ? readAt(fd, from, frameBytes) : bytes
      if (larger.length < frameBytes) return stop('damaged')
      bytes = larger
      continue
    }
    if (wanted(header.partition)) {
      if (!payloadIntact(bytes, at, header.payloadBytes)) return stop('damaged')
      frames.push({ ...header, at })
    }
    at += frameBytes
  }
  return stop(bytes.length === 0 ? 'end' : 'more')
}

function readAt(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Math.max(0, length))
  let filled = 0
  while (filled < bytes.length) {
    const count = readSync(fd, bytes, filled, bytes.length - filled, position + filled)
    if (count === 0) return bytes.subarray(0, filled)
    filled += count
  }
  return bytes
}

/** Goes over all whole frames of [from, limit). Returns where they end, and whether something else stands behind. */
export function scanFrames(
  fd: number,
  from: number,
  limit: number,
  visit: (frame: Frame, chunk: Chunk, position: number) => boolean | undefined,
): { end: number; damaged: boolean } {
  let position = from
  while (true) {
    const chunk = readChunk(fd, position, limit)
    for (const frame of chunk.frames)
      if (visit(frame, chunk, position + frame.at) === false) return { end: position + frame.at, damaged: true }
    position = chunk.next
    if (chunk.state !== 'more') return { end: position, damaged: chunk.state === 'damaged' }
  }
}

/** The preamble frame: the first of every segment. */
export function encodePreamble(payload: Buffer, nowMs: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(HEADER_BYTES + payload.length)
  bytes.set(payload, HEADER_BYTES)
  draftFrame(bytes, 0, {
    payloadBytes: payload.length,
    partition: PREAMBLE,
    count: 0,
    timestamped: false,
    timestamp: nowMs,
    maxTimestamp: nowMs,
  })
  stampFrame(bytes, 0, 0, null)
  return bytes
}

/** The payload of a frame of a chunk. */
export const payloadOf = (chunk: Chunk, frame: Frame): Buffer =>
  chunk.bytes.subarray(frame.at + HEADER_BYTES, frame.at + HEADER_BYTES + frame.payloadBytes)

/** The file operations that can fail while a segment grows; tests make them fail. */
export interface SegmentIo {
  write(fd: number, buffers: readonly Buffer[], position: number): number
  sync(fd: number): void
  truncate(fd: number, size: number): void
}

export const DISK: SegmentIo = {
  write: (fd, buffers, position) => writevSync(fd, buffers, position),
  sync: fdatasyncSync,
  truncate: ftruncateSync,
}

/** A segment file that grows. Everything below `size` is durable. */
export class SegmentWriter {
  readonly path: string
  readonly fd: number
  readonly #io: SegmentIo
  #size: number
  #sound = true

  private constructor(path: string, fd: number, size: number, io: SegmentIo) {
    this.path = path
    this.fd = fd
    this.#size = size
    this.#io = io
  }

  /** Makes the file with its preamble, durably. What stands at `path` is what a failed attempt left, and is overwritten. */
  static create(path: string, preamble: Buffer, io: SegmentIo = DISK): SegmentWriter {
    const writer = new SegmentWriter(path, openSync(path, 'w+', 0o600), 0, io)
    try {
      writer.append([preamble])
      syncDirectory(dirname(path))
    } catch (error) {
      writer.close()
      removeQuietly(path)
      throw error
    }
    return writer
  }

  /** Goes on with a file whose first `size` bytes are whole frames: cuts what stands behind, and makes the rest durable. */
  static resume(path: string, size: number, io: SegmentIo = DISK): SegmentWriter {
    const fd = openSync(path, 'r+')
    try {
      io.truncate(fd, size)
      // After a kill the tail may live in the page cache only: readers must not see it before it is durable.
      io.sync(fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
    return new SegmentWriter(path, fd, size, io)
  }

  /** Durable bytes. */
  get size(): number {
    return this.#size
  }

  /**
   * false after a failed sync, or when a failed write could not be cut off: close it and go on in a new file.
   * A kernel that reported a failed fsync forgets the pages and reports success the next time ("fsyncgate"), so nothing
   * behind `size` is ever trusted again, nor tried a second time in this file.
   */
  get sound(): boolean {
    return this.#sound
  }

  /** One contiguous write, one fdatasync. When it throws, none of it counts, and `size` is as before. */
  append(buffers: readonly Buffer[]): void {
    let bytes = 0
    for (const buffer of buffers) bytes += buffer.length
    try {
      this.#write(buffers, bytes)
    } catch (error) {
      this.#cutBack()
      throw error
    }
    try {
      this.#io.sync(this.fd)
    } catch (error) {
      this.#cutBack()
      this.#sound = false
      throw error
    }
    this.#size += bytes
  }

  #write(buffers: readonly Buffer[], bytes: number): void {
    let written = this.#io.write(this.fd, buffers, this.#size)
    if (written === bytes) return
    const whole = Buffer.concat(buffers)
    while (written < bytes) {
      const count = this.#io.write(this.fd, [whole.subarray(written)], this.#size + written)
      if (count === 0) throw new Error(`${this.path}: nothing more could be written`)
      written += count
    }
  }

  #cutBack(): void {
    try {
      this.#io.truncate(this.fd, this.#size)
    } catch {
      this.#sound = false
    }
  }

  close(): void {
    closeSync(this.fd)
  }
}
