/**
 * ClickHouse's Native format, as far as our rows need it: blocks of columns, each with its name and type, so that any
 * ClickHouse reads them and older blocks stay readable. Layout: https://clickhouse.com/docs/interfaces/formats/Native;
 * LowCardinality: a version, then flags, dictionary and indexes. Keys of maps travel as plain strings.
 */
import type { ColumnType } from './columns.ts'

/** Bytes that grow by doubling. */
class Bytes {
  buffer: Buffer
  length = 0
  constructor(capacity: number) {
    this.buffer = Buffer.allocUnsafeSlow(capacity)
  }
  /** Makes room for `count` more bytes and returns where they start. The caller writes them. */
  reserve(count: number): number {
    const start = this.length
    const end = start + count
    if (end > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, this.buffer.length * 2))
      this.buffer.copy(larger, 0, 0, start)
      this.buffer = larger
    }
    this.length = end
    return start
  }
  varint(value: number): void {
    let at = this.reserve(varintSize(value))
    while (value > 127) {
      this.buffer[at++] = (value % 128) | 128
      value = Math.floor(value / 128)
    }
    this.buffer[at] = value
  }
  text(value: string): void {
    const length = value.length
    if (length < 32 && this.#shortAscii(value, length)) return
    const bytes = length < 128 ? length * 3 : Buffer.byteLength(value)
    const start = this.reserve(bytes + 5)
    const prefix = length < 128 ? 1 : varintSize(bytes)
    const written = this.buffer.write(value, start + prefix)
    this.length = start
    if (varintSize(written) !== prefix) {
      this.buffer.copyWithin(start + varintSize(written), start + prefix, start + prefix + written)
    }
    this.varint(written)
    this.length += written
  }
  /** Most texts are short and ASCII: a loop beats the call into C++. */
  #shortAscii(value: string, length: number): boolean {
    const start = this.reserve(length + 1)
    const buffer = this.buffer
    buffer[start] = length
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 127) {
        this.length = start
        return false
      }
      buffer[start + 1 + i] = code
    }
    return true
  }
  uint64(value: number): void {
    const start = this.reserve(8)
    this.buffer.writeUInt32LE(value % 4294967296, start)
    this.buffer.writeUInt32LE(Math.floor(value / 4294967296), start + 4)
  }
  append(other: Buffer): void {
    const at = this.reserve(other.length)
    other.copy(this.buffer, at)
  }
  get view(): Buffer {
    return this.buffer.subarray(0, this.length)
  }
}

/** Bytes of a varint below 2^35. */
const varintSize = (value: number): number =>
  value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : value < 268435456 ? 4 : 5

interface ColumnWriter {
  add(value: never): void
  /** Writes the column's data and empties it. */
  flush(out: Bytes): void
}

class FixedColumn {
  protected readonly bytes: Bytes
  protected readonly width: number
  constructor(width: number) {
    this.width = width
    this.bytes = new Bytes(width * 512)
  }
  flush(out: Bytes): void {
    out.append(this.bytes.view)
    this.bytes.length = 0
  }
}
class UInt8Column extends FixedColumn {
  add(value: number | boolean): void {
    const at = this.bytes.reserve(1)
    this.bytes.buffer[at] = value as number
  }
}
class EnumColumn extends FixedColumn {
  readonly #codes: ReadonlyMap<string, number>
  constructor(codes: ReadonlyMap<string, number>) {
    super(1)
    this.#codes = codes
  }
  add(value: string): void {
    const code = this.#codes.get(value)
    if (code === undefined) throw new RangeError(`no such enum value: ${value}`)
    const at = this.bytes.reserve(1)
    this.bytes.buffer[at] = code
  }
}
class UInt16Column extends FixedColumn {
  add(value: number): void {
    const at = this.bytes.reserve(2)
    this.bytes.buffer[at] = value
    this.bytes.buffer[at + 1] = value >>> 8
  }
}
class UInt32Column extends FixedColumn {
  add(value: number): void {
    const at = this.bytes.reserve(4)
    this.bytes.buffer.writeUInt32LE(value, at)
  }
}
class Float32Column extends FixedColumn {
  add(value: number): void {
    const at = this.bytes.reserve(4)
    this.bytes.buffer.writeFloatLE(value, at)
  }
}
/** Non-negative whole numbers below 2^53, or 16 hex digits of a hash. */
class UInt64Column extends FixedColumn {
  add(value: number | string): void {
    if (typeof value === 'number') {
      this.bytes.uint64(value)
      return
    }
    const at = this.bytes.reserve(8)
    const { buffer } = this.bytes
    for (let i = 0; i < 8; i++) buffer[at + 7 - i] = hexByte(value, i * 2)
  }
}
/** Epoch milliseconds; times before 1970 are legal. */
class DateTime64Column extends FixedColumn {
  add(value: number): void {
    const at = this.bytes.reserve(8)
    const high = Math.floor(value / 4294967296)
    this.bytes.buffer.writeUInt32LE(value - high * 4294967296, at)
    this.bytes.buffer.writeInt32LE(high, at + 4)
  }
}
class DecimalColumn extends FixedColumn {
  add(value: number): void {
    const at = this.bytes.reserve(8)
    if (value === 0) this.bytes.buffer.fill(0, at, at + 8)
    else this.bytes.buffer.writeBigInt64LE(tenThousandths(value), at)
  }
}
/** Four decimals, half away from zero, by the shortest decimal text of the number: 1.00005 is 1.0001 and 0.1 is 0.1. */
function tenThousandths(value: number): bigint {
  const scaled = value * 10_000
  if (Math.abs(scaled) < 2 ** 50) return BigInt(Math.sign(scaled) * Math.round(Math.abs(scaled) + 1e-9))
  return BigInt(Math.trunc(value)) * 10_000n + BigInt(Math.round((value - Math.trunc(value)) * 10_000))
}
class UuidColumn extends FixedColumn {
  add(value: string): void {
    const at = this.bytes.reserve(16)
    const { buffer } = this.bytes
    // Two little-endian halves; the digits stand at 0-7, 9-12, 14-17, 19-22 and 24-35.
    for (let i = 0; i < 4; i++) buffer[at + 7 - i] = hexByte(value, i * 2)
    buffer[at + 3] = hexByte(value, 9)
    buffer[at + 2] = hexByte(value, 11)
    buffer[at + 1] = hexByte(value, 14)
    buffer[at] = hexByte(value, 16)
    buffer[at + 15] = hexByte(value, 19)
    buffer[at + 14] = hexByte(value, 21)
    for (let i = 0; i < 6; i++) buffer[at + 13 - i] = hexByte(value, 24 + i * 2)
  }
}
const HEX = new Uint8Array(128)
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}
const hexByte = (text: string, at: number): number => (HEX[text.charCodeAt(at)]! << 4) | HEX[text.charCodeAt(at + 1)]!

class StringColumn {
  readonly #bytes = new Bytes(16 * 1024)
  add(value: string): void {
    this.#bytes.text(value)
  }
  flush(out: Bytes): void {
    out.append(this.#bytes.view)
    this.#bytes.length = 0
  }
}

/** LowCardinality(String): the distinct values once, then one index a row. */
class DictionaryColumn {
  readonly #indexes = new Map<string, number>()
  readonly #keys = new Bytes(1024)
  #rows = new Uint32Array(512)
  #count = 0
  #last: string | undefined
  #lastIndex = 0

  add(value: string): void {
    if (value !== this.#last) {
      let index = this.#indexes.get(value)
      if (index === undefined) {
        index = this.#indexes.size
        this.#indexes.set(value, index)
        this.#keys.text(value)
      }
      this.#last = value
      this.#lastIndex = index
    }
    if (this.#count === this.#rows.length) {
      const larger = new Uint32Array(this.#count * 2)
      larger.set(this.#rows)
      this.#rows = larger
    }
    this.#rows[this.#count++] = this.#lastIndex
  }

  flush(out: Bytes): void {
    const distinct = this.#indexes.size
    const width = distinct <= 256 ? 0 : distinct <= 65536 ? 1 : 2
    out.uint64(1) //                   SharedDictionariesWithAdditionalKeys
    if (this.#count === 0) return
    out.uint64(0x600 | width) //       has additional keys, dictionary to be updated
    out.uint64(distinct)
    out.append(this.#keys.view)
    out.uint64(this.#count)
    const rows = this.#rows.subarray(0, this.#count)
    const indexes = width === 0 ? Uint8Array.from(rows) : width === 1 ? Uint16Array.from(rows) : rows
    out.append(Buffer.from(indexes.buffer, indexes.byteOffset, indexes.byteLength))
    this.#indexes.clear()
    this.#keys.length = 0
    this.#count = 0
    this.#last = undefined
  }
}

class MapColumn {
  readonly #ends = new Bytes(4096)
  readonly #keys = new Bytes(1024)
  readonly #values = new Bytes(1024)
  readonly #numbers: boolean
  #entries = 0
  constructor(numbers: boolean) {
    this.#numbers = numbers
  }
  add(value: Readonly<Record<string, string | number>>): void {
    for (const key in value) {
      this.#keys.text(key)
      const item = value[key]!
      if (!this.#numbers) this.#values.text(item as string)
      else {
        const at = this.#values.reserve(8)
        this.#values.buffer.writeDoubleLE(item as number, at)
      }
      this.#entries++
    }
    this.#ends.uint64(this.#entries)
  }
  flush(out: Bytes): void {
    for (const bytes of [this.#ends, this.#keys, this.#values]) {
      out.append(bytes.view)
      bytes.length = 0
    }
    this.#entries = 0
  }
}

/** Codes of `Enum8('a' = 1, 'b' = 2)`. */
function enumCodes(type: string): Map<string, number> {
  const codes = new Map<string, number>()
  for (const [, name, code] of type.matchAll(/'([^']*)' = (-?\d+)/g)) codes.set(name!, Number(code))
  return codes
}

/** The type as it stands in a block: dictionary keys of maps are not worth their bytes there. */
const wireType = (type: ColumnType): string => type.replace('Map(LowCardinality(String)', 'Map(String')

function writerOf(type: ColumnType): ColumnWriter {
  if (type.startsWith('Enum8')) return new EnumColumn(enumCodes(type))
  switch (type) {
    case 'LowCardinality(String)':
      return new DictionaryColumn()
    case 'String':
      return new StringColumn()
    case 'UUID':
      return new UuidColumn(16)
    case 'Date':
    case 'UInt16':
      return new UInt16Column(2)
    case "DateTime64(3, 'UTC')":
      return new DateTime64Column(8)
    case 'Bool':
    case 'Int8':
    case 'UInt8':
      return new UInt8Column(1)
    case 'UInt32':
      return new UInt32Column(4)
    case 'UInt64':
      return new UInt64Column(8)
    case 'Float32':
      return new Float32Column(4)
    case 'Decimal(18, 4)':
      return new DecimalColumn(8)
    case 'Map(LowCardinality(String), String)':
      return new MapColumn(false)
    case 'Map(LowCardinality(String), Float64)':
      return new MapColumn(true)
  }
  throw new TypeError(`no writer for ${type}`)
}

/** Gathers rows by column and makes Native blocks of them. Values must fit their types: numbers in range, UUIDs and hashes well formed. */
export class BlockWriter<Row extends object> {
  rows = 0
  /** Blocks of one writer tend to be of one size. */
  #capacity = 64 * 1024
  readonly #headers: Buffer[]
  readonly #writers: ColumnWriter[]
  readonly #addTo: (writers: ColumnWriter[], row: Row) => void

  constructor(columns: Readonly<Record<string, ColumnType>>) {
    const names = Object.keys(columns)
    this.#writers = names.map((name) => writerOf(columns[name]!))
    this.#headers = names.map((name) => {
      const header = new Bytes(64)
      header.text(name)
      header.text(wireType(columns[name]!))
      return Buffer.from(header.view)
    })
    // Compiled, so that every property access and add() has a call site of its own: a loop over names is five times slower.
    const body = names.map((name, i) => `writers[${i}].add(row[${JSON.stringify(name)}])`).join('\n')
    this.#addTo = new Function('writers', 'row', body) as (writers: ColumnWriter[], row: Row) => void
  }

  append(row: Row): void {
    this.#addTo(this.#writers, row)
    this.rows++
  }

  /** The rows since the last call as one block; no bytes when there are none. */
  finish(): Buffer {
    if (this.rows === 0) return Buffer.alloc(0)
    const out = new Bytes(this.#capacity)
    out.varint(this.#writers.length)
    out.varint(this.rows)
    for (let i = 0; i < this.#writers.length; i++) {
      out.append(this.#headers[i]!)
      this.#writers[i]!.flush(out)
    }
    this.rows = 0
    this.#capacity = Math.ceil(out.length * 1.25)
    return out.view
  }
}

/** A decoded block: its columns by name. Values as in HitRow and SessionRow; UInt64 as 16 hex digits. */
export interface Block {
  readonly rows: number
  readonly columns: ReadonlyMap<string, readonly unknown[]>
}

class Reader {
  readonly buffer: Buffer
  at = 0
  constructor(buffer: Buffer) {
    this.buffer = buffer
  }
  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.buffer[this.at++]
      if (byte === undefined) throw new RangeError('Native block ends early')
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  text(): string {
    const length = this.varint()
    return this.buffer.toString('utf8', this.at, this.skip(length))
  }
  /** Moves on by `count` bytes and returns the new position. */
  skip(count: number): number {
    this.at += count
    if (this.at > this.buffer.length) throw new RangeError('Native block ends early')
    return this.at
  }
  uint64(): number {
    const at = this.at
    this.skip(8)
    return this.buffer.readUInt32LE(at) + this.buffer.readUInt32LE(at + 4) * 4294967296
  }
}

type Decode = (buffer: Buffer, at: number) => unknown
const hexAt = (buffer: Buffer, from: number, to: number): string => {
  let text = ''
  for (let i = to - 1; i >= from; i--) text += (buffer[i]! + 256).toString(16).slice(1)
  return text
}
function uuidAt(buffer: Buffer, at: number): string {
  const a = hexAt(buffer, at, at + 8)
  const b = hexAt(buffer, at + 8, at + 16)
  return `${a.slice(0, 8)}-${a.slice(8, 12)}-${a.slice(12)}-${b.slice(0, 4)}-${b.slice(4)}`
}
const FIXED: Record<string, readonly [width: number, decode: Decode]> = {
  Bool: [1, (b, at) => b[at] === 1],
  Int8: [1, (b, at) => b.readInt8(at)],
  UInt8: [1, (b, at) => b[at]],
  Date: [2, (b, at) => b.readUInt16LE(at)],
  UInt16: [2, (b, at) => b.readUInt16LE(at)],
  UInt32: [4, (b, at) => b.readUInt32LE(at)],
  Float32: [4, (b, at) => b.readFloatLE(at)],
  Float64: [8, (b, at) => b.readDoubleLE(at)],
  UInt64: [8, (b, at) => hexAt(b, at, at + 8)],
  "DateTime64(3, 'UTC')": [8, (b, at) => b.readUInt32LE(at) + b.readInt32LE(at + 4) * 4294967296],
  'Decimal(18, 4)': [8, (b, at) => Number(b.readBigInt64LE(at)) / 10_000],
  UUID: [16, uuidAt],
}

/** Reads one column of `rows` rows; null where it is not wanted (its bytes are skipped all the same). */
function readColumn(reader: Reader, type: string, rows: number, wanted: boolean): unknown[] | null {
  const fixed = FIXED[type]
  if (fixed) return readFixed(reader, fixed[0], fixed[1], rows, wanted)
  if (type.startsWith('Enum8')) {
    const names = new Map([...enumCodes(type)].map(([name, code]) => [code, name]))
    return readFixed(reader, 1, (b, at) => names.get(b.readInt8(at)), rows, wanted)
  }
  if (type === 'String') return readTexts(reader, rows, wanted)
  if (type === 'LowCardinality(String)') return readDictionary(reader, rows, wanted)
  const map = /^Map\(String, (String|Float64)\)$/.exec(type)
  if (map) return readMaps(reader, map[1]!, rows, wanted)
  throw new TypeError(`Native block: no reader for ${type}`)
}

function readFixed(reader: Reader, width: number, decode: Decode, rows: number, wanted: boolean): unknown[] | null {
  const start = reader.at
  reader.skip(width * rows)
  return wanted ? Array.from({ length: rows }, (_, i) => decode(reader.buffer, start + i * width)) : null
}

function readTexts(reader: Reader, rows: number, wanted: boolean): string[] | null {
  if (wanted) return Array.from({ length: rows }, () => reader.text())
  for (let i = 0; i < rows; i++) reader.skip(reader.varint())
  return null
}

function readDictionary(reader: Reader, rows: number, wanted: boolean): string[] | null {
  reader.uint64()
  if (rows === 0) return []
  const width = [1, 2, 4, 8][reader.uint64() & 0xff]!
  const keys = readTexts(reader, reader.uint64(), wanted)
  const count = reader.uint64()
  const start = reader.at
  reader.skip(width * count)
  return (
    keys &&
    Array.from({ length: rows }, (_, i) => keys[reader.buffer.readUIntLE(start + i * width, Math.min(width, 6))]!)
  )
}

function readMaps(reader: Reader, valueType: string, rows: number, wanted: boolean): Record<string, unknown>[] | null {
  const ends = Array.from({ length: rows }, () => reader.uint64())
  const entries = ends.at(-1) ?? 0
  const keys = readColumn(reader, 'String', entries, wanted)
  const values = readColumn(reader, valueType, entries, wanted)
  if (!keys || !values) return null
  return ends.map((end, row) => {
    const from = row === 0 ? 0 : ends[row - 1]!
    return Object.fromEntries(keys.slice(from, end).map((key, i) => [key as string, values[from + i]]))
  })
}

/** Every block in `buffer`, decoded; only the columns `names` if given. @throws RangeError, TypeError when it is no Native block of ours */
export function readBlocks(buffer: Buffer, names?: ReadonlySet<string>): Block[] {
  const reader = new Reader(buffer)
  const blocks: Block[] = []
  while (reader.at < buffer.length) {
    const columnCount = reader.varint()
    const rows = reader.varint()
    const columns = new Map<string, readonly unknown[]>()
    for (let i = 0; i < columnCount; i++) {
      const name = reader.text()
      const values = readColumn(reader, reader.text(), rows, names?.has(name) ?? true)
      if (values) columns.set(name, values)
    }
    blocks.push({ rows, columns })
  }
  return blocks
}

/** Every row of every block as an object. `numbers` names UInt64 columns to give as numbers (offsets); the others are hashes in hex. */
export function readRows<Row>(buffer: Buffer, numbers: ReadonlySet<string> = new Set(['ko'])): Row[] {
  return readBlocks(buffer).flatMap(({ rows, columns }) =>
    Array.from({ length: rows }, (_, row) => {
      const object: Record<string, unknown> = {}
      for (const [name, values] of columns) {
        const value = values[row]
        object[name] = numbers.has(name) ? Number(BigInt(`0x${value as string}`)) : value
      }
      return object as Row
    }),
  )
}
