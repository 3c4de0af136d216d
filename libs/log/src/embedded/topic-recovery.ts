import { closeSync, fstatSync, openSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { removeQuietly, syncDirectory } from './durable-file.ts'
import { HEADER_BYTES, PREAMBLE, parseHeader } from './frame.ts'
import { CHUNK_BYTES, payloadOf, readChunk, SegmentWriter, scanFrames } from './segment.ts'
import { SegmentIndex } from './segment-index.ts'
import {
  indexPath,
  listSegments,
  type Preamble,
  parsePreamble,
  preambleFrame,
  type StoredSpec,
  segmentName,
  segmentPath,
} from './topic-files.ts'
import { beginSegment, type Segment, saveIndex, type TopicOptions } from './topic-segment.ts'

interface Recovered {
  readonly segments: Segment[]
  readonly lastTimestamps: Float64Array
}

/**
 * Finds out what a topic's folder holds. The last segment is scanned whole: what follows its last whole frame is left out
 * (the caller cuts it) and reported. Closed segments were synced before they were closed; they are scanned only when
 * their index is missing.
 */
export function recoverTopic(spec: StoredSpec, options: TopicOptions): Recovered {
  const { bases, unfinished } = listSegments(options.dir)
  for (const path of unfinished) removeQuietly(path)
  dropUnbegun(bases, options, spec)
  const segments: Segment[] = []
  for (const [i, base] of bases.slice(0, -1).entries()) segments.push(closedSegment(spec, options, base, bases[i + 1]!))
  const { segment, preamble } = lastSegment(spec, options, bases.at(-1)!)
  segments.push(segment)
  const lastTimestamps = Float64Array.from(preamble.lastTimestamps)
  if (spec.timestamps === 'append')
    for (const [partition, newest] of segment.index.maxTimestamps.entries())
      lastTimestamps[partition] = Math.max(lastTimestamps[partition]!, newest)
  return { segments, lastTimestamps }
}

/**
 * A crash while a segment was begun leaves a file without a whole preamble, and nothing else in it: nothing was ever
 * acknowledged from it. With whole frames behind it is damage of another kind, and no reason to throw them away.
 */
function dropUnbegun(bases: number[], options: TopicOptions, spec: StoredSpec): void {
  const base = bases.at(-1)
  if (base === undefined) throw new Error(`topic ${spec.name}: no segment in ${options.dir}; restore it from a backup`)
  const path = segmentPath(options.dir, base)
  if (readPreamble(path, spec.partitions) !== null) return
  const first = bases.length === 1
  if ((first && base > 0) || holdsFrame(path)) throw damagedBeginning(spec, path)
  const text = `${segmentName(base)} was never begun: its ${statSync(path).size} bytes are cut off`
  options.notify({ kind: 'tail_cut', topic: spec.name, text })
  if (first) {
    const zeros = new Array<number>(spec.partitions).fill(0)
    SegmentWriter.create(path, preambleFrame({ createdAt: Date.now(), starts: zeros, lastTimestamps: zeros })).close()
    return
  }
  unlinkSync(path)
  syncDirectory(options.dir)
  bases.pop()
}

const damagedBeginning = (spec: StoredSpec, path: string): Error =>
  new Error(`topic ${spec.name}: ${path} is damaged at its beginning; restore it from a backup`)

/** Whether, behind the preamble's own place, the header of any frame stands in the file's first megabyte. */
function holdsFrame(path: string): boolean {
  const bytes = readFileSync(path).subarray(0, CHUNK_BYTES)
  for (let at = 1; at + HEADER_BYTES <= bytes.length; at++) if (parseHeader(bytes, at) !== null) return true
  return false
}

function readPreamble(path: string, partitions: number): Preamble | null {
  const fd = openSync(path, 'r')
  try {
    const chunk = readChunk(fd, 0, Math.min(fstatSync(fd).size, 4096 + 64 * partitions))
    const first = chunk.frames[0]
    if (first?.partition !== PREAMBLE) return null
    const preamble = parsePreamble(payloadOf(chunk, first))
    return preamble.starts.length === partitions ? preamble : null
  } finally {
    closeSync(fd)
  }
}

function closedSegment(spec: StoredSpec, options: TopicOptions, base: number, nextBase: number): Segment {
  const path = segmentPath(options.dir, base)
  // A segment that was given up after a failed sync may have a tail; the next one begins where it counts.
  const size = Math.min(statSync(path).size, nextBase - base)
  const preamble = readPreamble(path, spec.partitions)
  if (preamble === null) throw damagedBeginning(spec, path)
  const saved = SegmentIndex.load(indexPath(options.dir, base), size, spec.partitions)
  if (saved !== null) return beginSegment(base, preamble.createdAt, size, saved)
  const { end, index } = scanSegment(path, preamble, size)
  if (end < size) {
    const text = `${segmentName(base)} is damaged at ${end}: ${size - end} bytes cannot be read`
    options.notify({ kind: 'segment_damaged', topic: spec.name, text })
  }
  const segment = beginSegment(base, preamble.createdAt, size, index)
  if (end === size) saveIndex(options.dir, segment)
  return segment
}

function lastSegment(spec: StoredSpec, options: TopicOptions, base: number): { segment: Segment; preamble: Preamble } {
  const path = segmentPath(options.dir, base)
  const preamble = readPreamble(path, spec.partitions)!
  const bytes = statSync(path).size
  const { end, index } = scanSegment(path, preamble, bytes)
  if (end < bytes) {
    const text = `${segmentName(base)}: ${bytes - end} bytes behind the last whole frame at ${end} are cut off`
    options.notify({ kind: 'tail_cut', topic: spec.name, text })
  }
  return { segment: beginSegment(base, preamble.createdAt, end, index), preamble }
}

/** Indexes the whole frames of a segment. Offsets that do not rise end it like damage does. */
export function scanSegment(
  path: string,
  preamble: Pick<Preamble, 'starts'>,
  limit: number,
): { end: number; index: SegmentIndex } {
  const index = new SegmentIndex(Float64Array.from(preamble.starts))
  const fd = openSync(path, 'r')
  try {
    const { end } = scanFrames(fd, 0, limit, (frame, _chunk, position) => {
      if (frame.partition === PREAMBLE) return position === 0
      if (!(frame.baseOffset >= index.ends[frame.partition]!)) return false
      index.add(frame, position)
      return undefined
    })
    return { end, index }
  } finally {
    closeSync(fd)
  }
}
