/**
 * States of partitions as they were at an accepted record, on the disk of this process: who starts again reads what came since instead
 * of an hour of hits.enriched. They are never needed: without one, or with one that is not of this log, program or boot (files are
 * not synced), the state is made of the records, as it always can be.
 */
import { createHash, randomUUID } from 'node:crypto'
import {
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { bootId, type LogRecord, type StoredRecord } from '@millrace/log'
import { ColdFile, type ColdFolder, type Kept, nameOf } from '../cold/cold-folder.ts'
import type { PartitionState, SavedState } from '../sessions/partition-state.ts'
import { AcceptedRecords, type SavedAccepted } from './accepted.ts'

/** Of what is written; another one is not read. */
const FORMAT = 1
/** What is older says little that the log does not say as fast. */
const MAX_AGE_MS = 2 * 3_600_000
const FOLDER = /^partition-\d+$/
const ARRAYS = 'arrays'
const PLAIN = 'state.json'

/** When a checkpoint is worth its writing: both. */
export interface Pace {
  /** Rows that a restart would read, about 7 µs each. */
  readonly rows: number
  readonly ms: number
}
const PACE: Pace = { rows: 20_000, ms: 60_000 }

/** A state, and where it stands. */
export interface Standpoint {
  /** Of the epoch and the partition. */
  readonly kp: number
  readonly partition: number
  /** Offset of the last accepted record. */
  readonly head: number
  /** Next offset of hits.raw. */
  readonly nextRaw: number
  readonly state: PartitionState
  readonly accepted: AcceptedRecords
}

interface SavedPoint {
  readonly format: number
  readonly boot: string
  readonly build: string
  readonly kp: number
  readonly head: number
  readonly hash: string
  readonly nextRaw: number
  readonly state: SavedState
  readonly accepted: SavedAccepted
}

/** A checkpoint that may be of the log as it is. */
export interface Checkpoint {
  readonly head: number
  readonly nextRaw: number
  /** Whether the record at `head` is the one of then. */
  isAt(record: StoredRecord): boolean
  /** Fills an empty state; null = it cannot be read, and the state is of no use. */
  load(into: PartitionState): AcceptedRecords | null
}

export class Checkpoints {
  readonly pace: Pace
  readonly #folder: ColdFolder
  readonly #build: string
  readonly #onUnreadable: (error: unknown) => void

  /** `folder`: the process's own. `build`: what other programs wrote is not read. `onUnreadable` is told why one is not of use. */
  constructor(folder: ColdFolder, build: string, onUnreadable: (error: unknown) => void, pace = PACE) {
    this.#folder = folder
    this.#build = build
    this.#onUnreadable = onUnreadable
    this.pace = pace
  }

  /** Replaces the partition's checkpoint. `record`: the one at its head. A disk that does not take it is left alone for a while. */
  save(point: Standpoint, record: LogRecord): void {
    this.#folder.try(() => {
      // A name of its own: should the lock ever fail, no two processes write into one.
      const draft = join(this.#folder.path, `draft-${randomUUID()}`)
      try {
        mkdirSync(draft, { recursive: true })
        this.#write(draft, point, record)
        rmSync(this.#pathOf(point.partition), { recursive: true, force: true })
        renameSync(draft, this.#pathOf(point.partition))
      } catch (error) {
        rmSync(draft, { recursive: true, force: true })
        throw error
      }
    })
  }

  #write(draft: string, { kp, head, nextRaw, state, accepted }: Standpoint, record: LogRecord): void {
    const arrays = new ColdFile(openSync(join(draft, ARRAYS), 'wx+', 0o600))
    try {
      const saved: SavedPoint = {
        ...{ format: FORMAT, boot: bootId(), build: this.#build, kp, head, hash: hashOf(record), nextRaw },
        ...{ state: state.save(arrays, (files) => link(files, draft)), accepted: accepted.save(arrays) },
      }
      writeFileSync(join(draft, PLAIN), JSON.stringify(saved), { mode: 0o600 })
    } finally {
      arrays.close()
    }
  }

  /** The partition's checkpoint; null = there is none of this log, program and boot. */
  find(partition: number, kp: number): Checkpoint | null {
    const path = this.#pathOf(partition)
    const saved = this.#read(join(path, PLAIN))
    if (saved === null || saved.kp !== kp) return null
    return {
      head: saved.head,
      nextRaw: saved.nextRaw,
      isAt: (record) => hashOf(record) === saved.hash,
      load: (into) => this.#load(path, saved, into),
    }
  }

  #read(path: string): SavedPoint | null {
    if (!existsSync(path)) return null
    return this.#orNull(() => {
      const saved = JSON.parse(readFileSync(path, 'utf8')) as SavedPoint
      const isOurs = saved.format === FORMAT && saved.boot === bootId() && saved.build === this.#build
      return isOurs ? saved : null
    })
  }

  #load(path: string, { state, accepted }: SavedPoint, into: PartitionState): AcceptedRecords | null {
    return this.#orNull(() => {
      const arrays = new ColdFile(openSync(join(path, ARRAYS), 'r'))
      const kept: Kept = { arrays, open: (name, size) => this.#folder.adopt(join(path, name), size) }
      try {
        into.load(kept, state)
        return AcceptedRecords.load(arrays, accepted)
      } finally {
        arrays.close()
      }
    })
  }

  #orNull<T>(read: () => T): T | null {
    try {
      return read()
    } catch (error) {
      this.#onUnreadable(error)
      return null
    }
  }

  #pathOf(partition: number): string {
    return join(this.#folder.path, `partition-${partition}`)
  }
}

/** Removes all but checkpoints from a folder that nobody else uses: files of a process that was killed. */
export function removeLeftovers(path: string): void {
  for (const name of readdirSync(path))
    if (!FOLDER.test(name) && name !== 'lock') rmSync(join(path, name), { recursive: true })
  removeOld(path)
}

/** Removes checkpoints of partitions that have had little to do since, or are others' by now. What they keep on disk goes with them. */
export function removeOld(path: string): void {
  for (const name of readdirSync(path)) {
    const checkpoint = join(path, name)
    if (FOLDER.test(name) && statSync(checkpoint).mtimeMs < Date.now() - MAX_AGE_MS)
      rmSync(checkpoint, { recursive: true })
  }
}

function link(files: readonly ColdFile[], folder: string): void {
  for (const file of files) linkSync(file.path!, join(folder, nameOf(file)))
}

function hashOf({ value, headers = {} }: Pick<LogRecord, 'value' | 'headers'>): string {
  const hash = createHash('sha256').update(value ?? '')
  for (const name of Object.keys(headers).sort()) hash.update(`\0${name}\0`).update(headers[name]!)
  return hash.digest('hex')
}
