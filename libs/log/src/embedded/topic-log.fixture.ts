import { closeSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogRecord, StoredRecord } from '../event-log.ts'
import { PREAMBLE } from './frame.ts'
import type { LogNotice } from './notice.ts'
import { decodeRecords, encodeAppend } from './record.ts'
import { DISK, readChunk, type SegmentIo, scanFrames } from './segment.ts'
import { type StoredSpec, segmentPath } from './topic-files.ts'
import { TopicLog } from './topic-log.ts'

export const SPEC: StoredSpec = {
  name: 'test',
  partitions: 2,
  cleanup: 'delete',
  retentionMs: 10_000,
  segmentMs: 1_000,
  timestamps: 'append',
  maxRecordBytes: 1 << 20,
}

const folders: string[] = []

/** A folder of its own; a test file says `afterAll(removeTemporaryFolders)`. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-topic-'))
  folders.push(dir)
  return dir
}

export function removeTemporaryFolders(): void {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true })
}

/** The real disk without waiting for it: enough where only the files' contents matter. */
const UNSYNCED: SegmentIo = { ...DISK, sync: () => {} }

/** A topic's folder, opened and damaged at will. */
export class TopicFolder {
  readonly dir: string
  readonly spec: StoredSpec
  readonly notices: LogNotice[] = []
  readonly io: SegmentIo
  segmentBytes = 1 << 30

  constructor(spec: Partial<StoredSpec> = {}, io: SegmentIo = UNSYNCED, dir = temporaryFolder()) {
    this.dir = dir
    this.spec = { ...SPEC, ...spec }
    this.io = io
  }

  get #options() {
    const notify = (notice: LogNotice): void => {
      this.notices.push(notice)
    }
    return { dir: this.dir, segmentBytes: this.segmentBytes, notify, io: this.io }
  }

  create(nowMs = 0): TopicLog {
    return TopicLog.create(this.spec, this.#options, nowMs)
  }
  open(): TopicLog {
    return TopicLog.open(this.spec, this.#options)
  }

  /** Appends one request; returns the first offset of its partition. */
  append(log: TopicLog, partition: number, records: readonly LogRecord[], nowMs = 0): number {
    return log.append([encodeAppend(new Map([[partition, records]]), this.spec, nowMs)], nowMs)[0]!.get(partition)!
  }

  /** Everything that stands in the files as far as it is whole, in their order. */
  records(log: TopicLog): (StoredRecord & { partition: number })[] {
    return log.segments.flatMap(({ base, size }) => {
      const fd = openSync(segmentPath(this.dir, base), 'r')
      const found: (StoredRecord & { partition: number })[] = []
      scanFrames(fd, 0, size, (frame, { bytes }) => {
        if (frame.partition === PREAMBLE) return undefined
        for (const record of decodeRecords(bytes, frame.at, frame, 0, Number.POSITIVE_INFINITY))
          found.push({ ...record, partition: frame.partition })
        return undefined
      })
      closeSync(fd)
      return found
    })
  }

  sizeOf(base: number): number {
    return statSync(segmentPath(this.dir, base)).size
  }
}

/** Bytes of the preamble of the segment at `base`. */
export function preambleBytes(dir: string, base = 0): number {
  const fd = openSync(segmentPath(dir, base), 'r')
  const { frames, next } = readChunk(fd, 0, 1 << 20)
  closeSync(fd)
  return frames[1]?.at ?? next
}

export const value = (text: string): LogRecord => ({ value: Buffer.from(text) })
