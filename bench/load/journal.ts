import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/**
 * What a load run sent and what was answered, hit by hit. File: magic, seed, then entries of eight bytes (first hit
 * number, count, kind). The generator is not the process that is killed, so the file is written without fsync.
 */
const MAGIC = 0x4d4c4a31
const HEADER_BYTES = 8
const ENTRY_BYTES = 8
const KINDS = { sent: 1, answered: 2, refused: 4 } as const
export type JournalKind = keyof typeof KINDS

/** Writes a journal; entries reach the file when 64 KB are full and at `close`. */
export class JournalWriter {
  readonly #fd: number
  readonly #buffer = Buffer.alloc(64 * 1024)
  #used = 0

  constructor(path: string, seed: number) {
    this.#fd = openSync(path, 'w')
    this.#buffer.writeUInt32LE(MAGIC, 0)
    this.#buffer.writeUInt32LE(seed >>> 0, 4)
    this.#used = HEADER_BYTES
  }

  add(kind: JournalKind, first: number, count: number): void {
    if (this.#used + ENTRY_BYTES > this.#buffer.length) this.#flush()
    this.#buffer.writeUInt32LE(first, this.#used)
    this.#buffer.writeUInt16LE(count, this.#used + 4)
    this.#buffer.writeUInt16LE(KINDS[kind], this.#used + 6)
    this.#used += ENTRY_BYTES
  }

  #flush(): void {
    writeSync(this.#fd, this.#buffer, 0, this.#used)
    this.#used = 0
  }

  close(): void {
    this.#flush()
    closeSync(this.#fd)
  }
}

/** What became of the hits of a run, by number (0 to `size` - 1). */
export interface Journal {
  readonly seed: number
  readonly size: number
  was(kind: JournalKind, n: number): boolean
  count(kind: JournalKind): number
}

/** Reads the journal of a finished run. @throws Error when the file is none */
export function readJournal(path: string): Journal {
  const bytes = readFileSync(path)
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC)
    throw new Error(`${path} is no journal of a load run`)
  let size = 0
  const entries = (each: (first: number, count: number, kind: number) => void): void => {
    for (let at = HEADER_BYTES; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
      each(bytes.readUInt32LE(at), bytes.readUInt16LE(at + 4), bytes.readUInt16LE(at + 6))
    }
  }
  entries((first, count) => {
    size = Math.max(size, first + count)
  })
  const flags = new Uint8Array(size)
  entries((first, count, kind) => {
    for (let n = first; n < first + count; n++) flags[n]! |= kind
  })
  return {
    seed: bytes.readUInt32LE(4),
    size,
    was: (kind, n) => (flags[n]! & KINDS[kind]) !== 0,
    count: (kind) => flags.reduce((sum, flag) => sum + ((flag & KINDS[kind]) !== 0 ? 1 : 0), 0),
  }
}
