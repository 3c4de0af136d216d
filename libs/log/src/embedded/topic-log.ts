import { closeSync, openSync, rmSync } from 'node:fs'
import { removeQuietly, syncDirectory } from './durable-file.ts'
import { draftedHeader, type FrameHeader, HEADER_BYTES, stampFrame } from './frame.ts'
import { decodeRecords } from './record.ts'
import { DISK, type SegmentIo, SegmentWriter, scanFrames } from './segment.ts'
import { SegmentIndex } from './segment-index.ts'
import { SharedPositions } from './shared-positions.ts'
import { indexPath, preambleFrame, type StoredSpec, segmentPath, writeSpec } from './topic-files.ts'
import { recoverTopic } from './topic-recovery.ts'
import { beginSegment, type Segment, saveIndex, type TopicOptions } from './topic-segment.ts'

interface Stamped {
  readonly header: FrameHeader
  readonly at: number
}

/** One topic's files, as the writer thread owns them: everything is synchronous, and there is one of it. */
export class TopicLog {
  readonly dir: string
  readonly shared: SharedPositions
  spec: StoredSpec
  readonly #options: TopicOptions
  readonly #io: SegmentIo
  readonly #segments: Segment[]
  #writer: SegmentWriter
  /** Largest append time per partition, epoch ms. */
  readonly #lastTimestamps: Float64Array

  private constructor(
    spec: StoredSpec,
    options: TopicOptions,
    segments: Segment[],
    writer: SegmentWriter,
    lastTimestamps: Float64Array,
  ) {
    this.dir = options.dir
    this.spec = spec
    this.#options = options
    this.#io = options.io ?? DISK
    this.#segments = segments
    this.#writer = writer
    this.#lastTimestamps = lastTimestamps
    this.shared = new SharedPositions(spec.partitions)
    this.#publish()
  }

  /** Makes a topic's first segment, then its spec: without the spec the topic does not exist. */
  static create(spec: StoredSpec, options: TopicOptions, nowMs: number): TopicLog {
    const starts = new Float64Array(spec.partitions)
    const preamble = preambleFrame({ createdAt: nowMs, starts: [...starts], lastTimestamps: [...starts] })
    const writer = SegmentWriter.create(segmentPath(options.dir, 0), preamble, options.io)
    writeSpec(options.dir, spec)
    const first = beginSegment(0, nowMs, writer.size, new SegmentIndex(starts))
    return new TopicLog(spec, options, [first], writer, new Float64Array(spec.partitions))
  }

  /** Opens what is there and cuts the torn tail. @throws Error when the folder holds no segment that tells how to go on */
  static open(spec: StoredSpec, options: TopicOptions): TopicLog {
    const { segments, lastTimestamps } = recoverTopic(spec, options)
    const last = segments.at(-1)!
    const writer = SegmentWriter.resume(segmentPath(options.dir, last.base), last.size, options.io)
    return new TopicLog(spec, options, segments, writer, lastTimestamps)
  }

  get segments(): readonly Segment[] {
    return this.#segments
  }
  get bases(): number[] {
    return this.#segments.map(({ base }) => base)
  }
  get #active(): Segment {
    return this.#segments.at(-1)!
  }
  get durable(): number {
    return this.#active.base + this.#active.size
  }
  get ends(): Float64Array {
    return this.#active.index.ends
  }
  get lows(): Float64Array {
    return this.#segments[0]!.index.starts
  }

  /**
   * Appends the frames of several requests with one write and one sync. Returns the first offset of every partition, for
   * each request. When it throws nothing was appended, though some of it may come back after a crash.
   */
  append(requests: readonly Buffer[], nowMs: number): Map<number, number>[] {
    let bytes = 0
    for (const request of requests) bytes += request.length
    if (this.#mustRoll(bytes, nowMs)) this.roll(nowMs)
    const next = this.ends.slice()
    const stamped: Stamped[] = []
    const bases = requests.map((request) => this.#stamp(request, next, nowMs, stamped))
    this.#writer.append(requests)
    if (this.isIdle) this.#active.filledSince = nowMs
    const { index, size } = this.#active
    for (const { header, at } of stamped) {
      index.add(header, size + at)
      this.#noteTime(header)
    }
    this.#active.size += bytes
    this.#publish()
    return bases
  }

  #mustRoll(bytes: number, nowMs: number): boolean {
    if (!this.#writer.sound) return true
    if (this.isIdle) return false
    return this.#active.size + bytes > this.#options.segmentBytes || this.isOverdue(nowMs)
  }

  /** No record in the active segment. */
  get isIdle(): boolean {
    return this.#active.index.newest === Number.NEGATIVE_INFINITY
  }

  /** The records of the active segment began to come as long ago as they may. */
  isOverdue(nowMs: number): boolean {
    return !this.isIdle && nowMs - this.#active.filledSince >= this.spec.segmentMs
  }

  /** Gives offsets and times to the frames of a request. `stamped` collects them, placed after those already in it. */
  #stamp(request: Buffer, next: Float64Array, nowMs: number, stamped: Stamped[]): Map<number, number> {
    const bases = new Map<number, number>()
    const last = stamped.at(-1)
    let position = last ? last.at + HEADER_BYTES + last.header.payloadBytes : 0
    for (let at = 0; at < request.length; ) {
      const { partition, lastOffset, baseOffset } = draftedHeader(request, at)
      const base = next[partition]!
      const timestamp = this.spec.timestamps === 'append' ? Math.max(nowMs, this.#lastTimestamps[partition]!) : null
      stampFrame(request, at, base, timestamp)
      const header = draftedHeader(request, at)
      stamped.push({ header, at: position })
      next[partition] = base + (lastOffset - baseOffset) + 1
      if (!bases.has(partition)) bases.set(partition, base)
      at += HEADER_BYTES + header.payloadBytes
      position += HEADER_BYTES + header.payloadBytes
    }
    return bases
  }

  #noteTime(header: FrameHeader): void {
    if (this.spec.timestamps === 'append') this.#lastTimestamps[header.partition] = header.maxTimestamp
  }

  /** Closes the active segment and begins a new one. When it throws the old one stays. */
  roll(nowMs: number): void {
    const previous = this.#active
    const base = this.durable
    const starts = this.ends.slice()
    const preamble = preambleFrame({ createdAt: nowMs, starts: [...starts], lastTimestamps: [...this.#lastTimestamps] })
    const writer = SegmentWriter.create(segmentPath(this.dir, base), preamble, this.#io)
    this.#writer.close()
    this.#writer = writer
    this.#segments.push(beginSegment(base, nowMs, writer.size, new SegmentIndex(starts)))
    this.#publish()
    saveIndex(this.dir, previous)
  }

  /** Removes the oldest `count` closed segments from disk. @throws Error when one cannot be removed; it stays */
  removeOldest(count: number): void {
    const removable = Math.min(count, this.#segments.length - 1)
    for (let i = 0; i < removable; i++) {
      const oldest = this.#segments.shift()!
      // First out of the readers' sight, then away.
      this.#publish()
      try {
        rmSync(segmentPath(this.dir, oldest.base), { force: true })
      } catch (error) {
        this.#segments.unshift(oldest)
        this.#publish()
        throw error
      }
      removeQuietly(indexPath(this.dir, oldest.base))
    }
    syncDirectory(this.dir)
  }

  /** Stores a changed spec. The number of partitions never changes. */
  respecify(spec: StoredSpec): void {
    writeSpec(this.dir, spec)
    this.spec = spec
  }

  /** A position at or before the record `offset` of `partition`. */
  locate(partition: number, offset: number): number {
    if (offset >= this.ends[partition]!) return this.durable
    const segment = this.#segments.findLast(({ index }) => index.starts[partition]! <= offset)
    if (segment === undefined) return this.#segments[0]!.base
    return segment.base + segment.index.positionOf(partition, offset)
  }

  /** First offset of `partition` with a timestamp >= `timestampMs`; the end offset when there is none. */
  offsetForTime(partition: number, timestampMs: number): number {
    const segment = this.#segments.find(({ index }) => index.maxTimestamps[partition]! >= timestampMs)
    if (segment === undefined) return this.ends[partition]!
    let found: number | undefined
    const fd = openSync(segmentPath(this.dir, segment.base), 'r')
    try {
      const from = segment.index.positionOfTime(partition, timestampMs)
      scanFrames(fd, from, segment.size, (frame, { bytes }) => {
        if (frame.partition !== partition || frame.maxTimestamp < timestampMs) return undefined
        const records = decodeRecords(bytes, frame.at, frame, 0, Number.POSITIVE_INFINITY)
        found = records.find((record) => record.timestamp >= timestampMs)?.offset
        return found === undefined
      })
    } finally {
      closeSync(fd)
    }
    return found ?? segment.index.ends[partition]!
  }

  /** Publishes segments that were rewritten; readers find their places anew. `rewrite` replaces the files. */
  replaceSegments(rewrite: () => void): void {
    this.shared.generation++
    try {
      rewrite()
    } finally {
      this.shared.generation++
    }
  }

  #publish(): void {
    for (let partition = 0; partition < this.spec.partitions; partition++) {
      this.shared.setLow(partition, this.lows[partition]!)
      this.shared.setEnd(partition, this.ends[partition]!)
    }
    this.shared.durable = this.durable
  }

  close(): void {
    this.#writer.close()
  }
}
