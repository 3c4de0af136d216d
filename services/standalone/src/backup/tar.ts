/** Archives in the ustar format of POSIX.1-1988, written and read as streams: files, folders and symbolic links. */
import { createReadStream } from 'node:fs'
import type { Readable, Writable } from 'node:stream'

const BLOCK = 512
const END = Buffer.alloc(2 * BLOCK)

type EntryType = 'file' | 'folder' | 'link'
const TYPES = { file: '0', folder: '5', link: '2' } as const

/** Writes an archive. Whoever reads it knows by end() alone that it is whole. */
export class TarWriter {
  readonly #out: Writable
  constructor(out: Writable) {
    this.#out = out
  }

  async bytes(name: string, content: Buffer): Promise<void> {
    await this.#write(header('file', name, content.length))
    await this.#write(content)
    await this.#pad(content.length)
  }

  /** Copies a file of a known size. @throws Error when it is shorter by now */
  async file(name: string, path: string, size: number): Promise<void> {
    await this.#write(header('file', name, size))
    let written = 0
    if (size > 0) {
      for await (const chunk of createReadStream(path, { end: size - 1, highWaterMark: 1 << 20 })) {
        await this.#write(chunk as Buffer)
        written += (chunk as Buffer).length
      }
    }
    if (written !== size) throw new Error(`${path} has ${written} bytes, not ${size}`)
    await this.#pad(size)
  }

  folder(name: string): Promise<void> {
    return this.#write(header('folder', `${name}/`, 0))
  }

  link(name: string, target: string): Promise<void> {
    return this.#write(header('link', name, 0, target))
  }

  end(): Promise<void> {
    return this.#write(END)
  }

  #pad(size: number): Promise<void> {
    const rest = size % BLOCK
    return rest === 0 ? Promise.resolve() : this.#write(Buffer.alloc(BLOCK - rest))
  }

  /** @throws the stream's error, or that it was closed */
  async #write(bytes: Buffer): Promise<void> {
    const out = this.#out
    if (out.destroyed) throw out.errored ?? new Error('whoever reads the archive went away')
    if (out.write(bytes)) return
    await new Promise<void>((resolve, reject) => {
      const onDrain = (): void => {
        out.off('close', onClose)
        resolve()
      }
      const onClose = (): void => {
        out.off('drain', onDrain)
        reject(out.errored ?? new Error('whoever reads the archive went away'))
      }
      out.once('drain', onDrain)
      out.once('close', onClose)
    })
  }
}

function header(type: EntryType, path: string, size: number, target = ''): Buffer {
  const block = Buffer.alloc(BLOCK)
  const [name, prefix] = splitName(path)
  const octal = (value: number, at: number, length: number): void =>
    void block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1')
  if (Buffer.byteLength(target) > 100) throw new Error(`the link ${path} cannot be archived: its target is too long`)
  block.write(name, 0)
  octal(type === 'folder' ? 0o700 : 0o600, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  // Sizes of 8 GB and more in binary, as GNU and POSIX.1-2001 readers know it.
  if (size < 8 ** 11) octal(size, 124, 12)
  else {
    block.writeUInt32BE(0x80000000, 124)
    block.writeBigUInt64BE(BigInt(size), 128)
  }
  octal(0, 136, 12)
  block.write('        ', 148, 'latin1')
  block.write(TYPES[type], 156, 'latin1')
  block.write(target, 157)
  block.write('ustar\x0000', 257, 'latin1')
  block.write(prefix, 345)
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  )
  return block
}

/** A name of up to 100 bytes, and a folder of up to 155 before it. @throws Error for a path that does not fit */
function splitName(path: string): [name: string, prefix: string] {
  if (Buffer.byteLength(path) <= 100) return [path, '']
  for (let at = path.indexOf('/'); at >= 0 && at < path.length - 1; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)]
    if (Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return [name, prefix]
  }
  throw new Error(`the path ${path} is too long for the archive`)
}

/** What stands in an archive, one after the other. `content` has to be read before the next is asked for. */
export interface TarEntry {
  readonly type: EntryType
  readonly name: string
  readonly size: number
  /** Of a link. */
  readonly target: string
  readonly content: AsyncIterable<Buffer>
}

/** @throws Error when it is no archive of ours, or ends early */
export async function* readTar(from: Readable): AsyncGenerator<TarEntry> {
  const source = new Bytes(from)
  for (;;) {
    const block = await source.take(BLOCK)
    if (block.every((byte) => byte === 0)) return
    const entry = parseHeader(block)
    yield { ...entry, content: source.pieces(entry.size) }
    await source.skipTo(entry.size)
  }
}

function parseHeader(block: Buffer): Omit<TarEntry, 'content'> {
  const text = (at: number, length: number): string => block.toString('utf8', at, at + length).split('\0', 1)[0]!
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0)
  if (text(257, 5) !== 'ustar' || Number.parseInt(text(148, 8), 8) !== sum)
    throw new Error('it is no archive, or damaged')
  const size = block[124]! & 0x80 ? Number(block.readBigUInt64BE(128)) : Number.parseInt(text(124, 12), 8)
  const found = Object.entries(TYPES).find(([, type]) => type === text(156, 1))
  if (!found || !Number.isSafeInteger(size)) throw new Error('the archive holds what no backup has')
  const prefix = text(345, 155)
  const name = (prefix === '' ? '' : `${prefix}/`) + text(0, 100)
  return { type: found[0] as EntryType, name: name.replace(/\/$/, ''), size, target: text(157, 100) }
}

/** Bytes of a stream, taken by count. */
class Bytes {
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)
  /** Of the entry at hand. */
  #taken = 0

  constructor(from: Readable) {
    this.#chunks = from[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  async take(count: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let left = count; left > 0; ) {
      const part = await this.#some(left)
      parts.push(part)
      left -= part.length
    }
    this.#taken = 0
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  async *pieces(size: number): AsyncGenerator<Buffer> {
    while (this.#taken < size) {
      const part = await this.#some(size - this.#taken)
      this.#taken += part.length
      yield part
    }
  }

  /** To the end of an entry and its padding. */
  async skipTo(size: number): Promise<void> {
    for await (const _ of this.pieces(Math.ceil(size / BLOCK) * BLOCK));
  }

  /** Between 1 and `most` bytes. */
  async #some(most: number): Promise<Buffer> {
    if (this.#rest.length === 0) {
      const { done, value } = await this.#chunks.next()
      if (done) throw new Error('the archive is cut off')
      this.#rest = value
      if (value.length === 0) return this.#some(most)
    }
    const part = this.#rest.subarray(0, most)
    this.#rest = this.#rest.subarray(part.length)
    return part
  }
}
