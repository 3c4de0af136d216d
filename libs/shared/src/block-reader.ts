import { enumCodes } from './block-columns.ts'

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
