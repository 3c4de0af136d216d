import { Hash64, Uuid } from './ids.ts'

/**
 * A Native block as it lies in its bytes: any value of any row, without decoding the others. For readers that need a few
 * columns of very many rows; `readBlocks` (block-reader.ts; the layout is described in block-writer.ts) is for all else. A column that the
 * block does not have reads as zeros and empty texts, so that older blocks stay readable.
 */
export class BlockView {
  readonly rows: number
  readonly #buffer: Buffer
  readonly #columns = new Map<string, FixedView | TextView>()
  #at = 0

  /** The first block of `buffer`; no bytes are a block without rows. @throws RangeError, TypeError when it is none of ours */
  constructor(buffer: Buffer) {
    this.#buffer = buffer
    const columns = buffer.length === 0 ? 0 : this.#varint()
    this.rows = buffer.length === 0 ? 0 : this.#varint()
    for (let i = 0; i < columns; i++) {
      const name = this.#shortText()
      this.#columns.set(name, this.#column(this.#shortText()))
    }
  }

  /** A column of numbers, flags, times, UUIDs or hashes. @throws TypeError when it holds texts */
  fixed(name: string): FixedView {
    const column = this.#columns.get(name) ?? NO_FIXED
    if (!(column instanceof FixedView)) throw new TypeError(`column ${name} holds texts`)
    return column
  }

  /** A column of texts. @throws TypeError when it holds none */
  text(name: string): TextView {
    const column = this.#columns.get(name) ?? NO_TEXT
    if (!(column instanceof TextView)) throw new TypeError(`column ${name} holds no texts`)
    return column
  }

  #column(type: string): FixedView | TextView {
    const width = WIDTHS[type] ?? (type.startsWith('Enum8') ? 1 : 0)
    if (width > 0) return new FixedView(this.#buffer, this.#skip(width * this.rows), width)
    if (type === 'String') return this.#texts(this.rows)
    if (type === 'LowCardinality(String)') return this.#dictionary()
    const map = /^Map\(String, (String|Float64)\)$/.exec(type)
    if (!map) throw new TypeError(`Native block: no reader for ${type}`)
    return this.#skipMaps(map[1] === 'Float64')
  }

  #texts(count: number): TextView {
    const starts = new Uint32Array(count)
    const ends = new Uint32Array(count)
    for (let i = 0; i < count; i++) {
      const length = this.#varint()
      starts[i] = this.#skip(length)
      ends[i] = this.#at
    }
    return new TextView(this.#buffer, starts, ends)
  }

  #dictionary(): TextView {
    this.#skip(8)
    if (this.rows === 0) return NO_TEXT
    const width = [1, 2, 4, 8][this.#buffer[this.#skip(8)]!]!
    const keys = this.#texts(this.#uint64())
    return keys.indexedBy(this.#skip(width * this.#uint64()), width)
  }

  /** Maps are passed over: nobody asks for them one by one. */
  #skipMaps(numbers: boolean): TextView {
    let entries = 0
    for (let i = 0; i < this.rows; i++) entries = this.#uint64()
    this.#texts(entries)
    if (numbers) this.#skip(8 * entries)
    else this.#texts(entries)
    return NO_TEXT
  }

  /** Moves on by `count` bytes; returns where they start. */
  #skip(count: number): number {
    const start = this.#at
    this.#at += count
    if (this.#at > this.#buffer.length) throw new RangeError('Native block ends early')
    return start
  }

  #varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#buffer[this.#skip(1)]!
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }

  #uint64(): number {
    const at = this.#skip(8)
    return this.#buffer.readUInt32LE(at) + this.#buffer.readUInt32LE(at + 4) * 4294967296
  }

  #shortText(): string {
    const length = this.#varint()
    const start = this.#skip(length)
    return this.#buffer.toString('utf8', start, start + length)
  }
}

const WIDTHS: Readonly<Record<string, number>> = {
  Bool: 1,
  Int8: 1,
  UInt8: 1,
  Date: 2,
  UInt16: 2,
  UInt32: 4,
  Float32: 4,
  UInt64: 8,
  Float64: 8,
  "DateTime64(3, 'UTC')": 8,
  'Decimal(18, 4)': 8,
  UUID: 16,
}

/** Values of a fixed width. Ask for what the column's type holds: nothing is checked. */
export class FixedView {
  readonly #buffer: Buffer
  readonly #start: number
  readonly #width: number

  constructor(buffer: Buffer, start: number, width: number) {
    this.#buffer = buffer
    this.#start = start
    this.#width = width
  }

  /** UInt8, Bool and the code of an Enum8. */
  uint8(row: number): number {
    return this.#buffer[this.#start + row * this.#width]!
  }
  int8(row: number): number {
    return (this.uint8(row) << 24) >> 24
  }
  /** UInt16 and Date. */
  uint16(row: number): number {
    return this.#buffer.readUInt16LE(this.#start + row * this.#width)
  }
  /** UInt32, or the 32-bit word `word` of a wider value, as it lies there. */
  uint32(row: number, word = 0): number {
    return this.#buffer.readUInt32LE(this.#start + row * this.#width + word * 4)
  }
  float32(row: number): number {
    return this.#buffer.readFloatLE(this.#start + row * this.#width)
  }
  /** A time in epoch milliseconds, or a UInt64 below 2^53. */
  int64(row: number): number {
    const at = this.#start + row * this.#width
    return this.#buffer.readUInt32LE(at) + this.#buffer.readInt32LE(at + 4) * 4294967296
  }
  /** A UInt64 that is a hash. */
  hash(row: number): Hash64 {
    return new Hash64(this.uint32(row, 1), this.uint32(row))
  }
  /** Two little-endian halves. */
  uuid(row: number): Uuid {
    return new Uuid(this.uint32(row, 1), this.uint32(row), this.uint32(row, 3), this.uint32(row, 2))
  }
}

/** Texts, decoded when they are asked for; those of a dictionary once. */
export class TextView {
  readonly #buffer: Buffer
  readonly #starts: Uint32Array
  readonly #ends: Uint32Array
  /** Of a dictionary: where the index of the first row lies, and the width of each. 0 = a text a row. */
  readonly #indexStart: number
  readonly #indexWidth: number
  readonly #decoded: string[] = []

  constructor(buffer: Buffer, starts: Uint32Array, ends: Uint32Array, indexStart = 0, indexWidth = 0) {
    this.#buffer = buffer
    this.#starts = starts
    this.#ends = ends
    this.#indexStart = indexStart
    this.#indexWidth = indexWidth
  }

  at(row: number): string {
    if (this.#indexWidth === 0) return this.#decode(row)
    const index = this.#index(row)
    let text = this.#decoded[index]
    if (text === undefined) {
      text = this.#decode(index)
      this.#decoded[index] = text
    }
    return text
  }

  /** These texts as a dictionary. */
  indexedBy(indexStart: number, indexWidth: number): TextView {
    return new TextView(this.#buffer, this.#starts, this.#ends, indexStart, indexWidth)
  }

  #index(row: number): number {
    const at = this.#indexStart + row * this.#indexWidth
    if (this.#indexWidth === 1) return this.#buffer[at]!
    return this.#indexWidth === 2 ? this.#buffer.readUInt16LE(at) : this.#buffer.readUInt32LE(at)
  }

  #decode(i: number): string {
    const start = this.#starts[i]
    return start === undefined || start === this.#ends[i] ? '' : this.#buffer.toString('utf8', start, this.#ends[i])
  }
}

const NO_FIXED = new FixedView(Buffer.alloc(16), 0, 0)
const NO_TEXT = new TextView(Buffer.alloc(0), new Uint32Array(0), new Uint32Array(0))
