import { removeQuietly } from './durable-file.ts'
import type { LogNotice } from './notice.ts'
import type { SegmentIo } from './segment.ts'
import type { SegmentIndex } from './segment-index.ts'
import { indexPath } from './topic-files.ts'

/** A segment of a topic, as the writer knows it. Times are epoch ms by the writer's clock. */
export interface Segment {
  /** Position in the topic of the file's first byte. */
  readonly base: number
  readonly createdAt: number
  /** When the first record came; after a restart, when the segment was made. */
  filledSince: number
  /** Durable bytes of the file. */
  size: number
  index: SegmentIndex
}

/** Where a topic's files are, and how it deals with them. */
export interface TopicOptions {
  readonly dir: string
  /** A segment that would grow beyond this is closed first. */
  readonly segmentBytes: number
  readonly notify: (notice: LogNotice) => void
  readonly io?: SegmentIo
}

export const beginSegment = (base: number, createdAt: number, size: number, index: SegmentIndex): Segment => ({
  base,
  createdAt,
  filledSince: createdAt,
  size,
  index,
})

/** Saves the index of a closed segment; a failure costs a scan at the next start, nothing else. */
export function saveIndex(dir: string, { base, size, index }: Segment): void {
  try {
    index.save(indexPath(dir, base), size)
  } catch {
    removeQuietly(indexPath(dir, base))
  }
}
