import { randomUUID } from 'node:crypto'
import { closeSync, linkSync, mkdirSync, openSync, readSync, rmSync, unlinkSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'

/** How long after a failure nothing is put aside: a full disk is not asked for every batch. */
const PAUSE_MS = 60_000

/**
 * Where a process puts aside what it remembers but seldom asks for: in files without a name, which are gone with it, or, if the
 * folder is its own, in files with one, of which checkpoints keep those that they need. Where a folder cannot be written
 * everything stays in memory.
 */
export class ColdFolder {
  readonly path: string
  readonly #onFailure: (error: unknown) => void
  readonly #isOwn: boolean
  #pausedUntil = Number.NEGATIVE_INFINITY

  /**
   * `onFailure` is told why nothing can be put aside for a while. The folder is made when it is first needed. `isOwn`: no other
   * process uses it.
   */
  constructor(path: string, onFailure: (error: unknown) => void, isOwn = false) {
    this.path = path
    this.#onFailure = onFailure
    this.#isOwn = isOwn
  }

  /** Does what writes into files of this folder; false = it failed, or failed lately: all has to stay where it is. */
  try(work: () => void): boolean {
    if (performance.now() < this.#pausedUntil) return false
    try {
      work()
      return true
    } catch (error) {
      this.#pausedUntil = performance.now() + PAUSE_MS
      this.#onFailure(error)
      return false
    }
  }

  /** A new file. @throws Error when there cannot be one */
  create(): ColdFile {
    mkdirSync(this.path, { recursive: true })
    const path = this.#newPath()
    const fd = openSync(path, 'wx+', 0o600)
    if (this.#isOwn) return new ColdFile(fd, path)
    unlinkSync(path)
    return new ColdFile(fd)
  }

  /** The first `size` bytes of a file that is kept elsewhere, to be read and gone on with. @throws Error of the file system */
  adopt(kept: string, size: number): ColdFile {
    const path = this.#newPath()
    linkSync(kept, path)
    return new ColdFile(openSync(path, 'r+'), path, size)
  }

  #newPath(): string {
    return join(this.path, `remembered-${randomUUID()}`)
  }
}

/** What a checkpoint was saved into, to be read. */
export interface Kept {
  readonly arrays: ColdFile
  /** The first `size` bytes of a file that was put aside, by its name. @throws Error of the file system */
  open(name: string, size: number): ColdFile
}

/** The name of a file in a folder of the process's own. */
export const nameOf = ({ path }: ColdFile): string => basename(path!)

/** Where bytes lie in a file. */
export type Place = readonly [at: number, bytes: number]

/** Bytes on disk, written once, behind one another. */
export class ColdFile {
  readonly #fd: number
  /** null = it has no name. */
  readonly path: string | null
  #size: number

  /** `size`: of what is in it already. */
  constructor(fd: number, path: string | null = null, size = 0) {
    this.#fd = fd
    this.path = path
    this.#size = size
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size
  }

  /** Returns where they begin. After a failure what was written of them is written over. @throws Error of the file system */
  append(bytes: Uint8Array): number {
    const at = this.#size
    let written = 0
    while (written < bytes.length) written += writeSync(this.#fd, bytes, written, bytes.length - written, at + written)
    this.#size = at + written
    return at
  }

  /** Fills `into` with the bytes from `at` on; with fewer, where the file ends before. Returns how many. */
  read(at: number, into: Uint8Array): number {
    let read = 0
    while (read < into.length) {
      const count = readSync(this.#fd, into, read, into.length - read, at + read)
      if (count === 0) break
      read += count
    }
    return read
  }

  /** Appends what an array holds. */
  put({ buffer, byteOffset, byteLength }: ArrayBufferView): Place {
    return [this.append(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength)), byteLength]
  }

  /** What lies at a place, for an array of its own. @throws RangeError when the file ends before */
  take([at, bytes]: Place): ArrayBuffer {
    const into = new ArrayBuffer(bytes)
    if (this.read(at, new Uint8Array(into)) < bytes) throw new RangeError('a file ends before what was put into it')
    return into
  }

  /** Frees it, and takes its name away. */
  close(): void {
    closeSync(this.#fd)
    if (this.path !== null) rmSync(this.path, { force: true })
  }
}
