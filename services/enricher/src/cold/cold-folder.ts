import { randomUUID } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** How long after a failure nothing is put aside: a full disk is not asked for every batch. */
const PAUSE_MS = 60_000

/**
 * Where a process puts aside what it remembers but seldom asks for: in files without a name, which are gone with it. Nothing
 * in them is needed after a restart. Where a folder cannot be written everything stays in memory.
 */
export class ColdFolder {
  readonly #path: string
  readonly #onFailure: (error: unknown) => void
  #pausedUntil = Number.NEGATIVE_INFINITY

  /** `onFailure` is told why nothing can be put aside for a while. The folder is made when it is first needed. */
  constructor(path: string, onFailure: (error: unknown) => void) {
    this.#path = path
    this.#onFailure = onFailure
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
    mkdirSync(this.#path, { recursive: true })
    const path = join(this.#path, `remembered-${randomUUID()}`)
    const fd = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    return new ColdFile(fd)
  }
}

/** Bytes on disk, written once, behind one another. */
export class ColdFile {
  readonly #fd: number
  #size = 0

  constructor(fd: number) {
    this.#fd = fd
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

  close(): void {
    closeSync(this.#fd)
  }
}
