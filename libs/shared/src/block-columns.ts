/**
 * Columns of a block in the making. They gather their values in typed arrays whose bytes are those of ClickHouse's Native
 * format: little endian, as every machine that Node runs on.
 */
import { Bytes } from './block-bytes.ts'
import { type ColumnType, NO_ENTRIES, NO_UUID } from './columns.ts'
import { EMPTY_TEXT, ENCODED_TEXTS } from './encoded-texts.ts'
import type { Hash64, Uuid } from './ids.ts'

/** A column of the block in the making. The compiled append() of the writer says which value goes where. */
export interface Column {
  /** Makes room for twice as many rows. */
  grow(): void
  /** Writes the values of the first `rows` rows and empties the column. */
  flush(out: Bytes, rows: number): void
}

/** A column whose values are shared by many rows: each is kept under a number until `forget`, for as many blocks as there are. */
export interface SharedColumn extends Column {
  /**
   * As `flush`, with the value number `used[of[row]]` for each of the first `rows` rows. Each of `used` is there once, in the
   * order of its first row.
   */
  spread(out: Bytes, of: Uint32Array, used: readonly number[], rows: number): void
  /** Forgets the values; numbers begin at 0 again. */
  forget(): void
}

/** What columns have room for at first. */
export const FIRST_ROWS = 32

type Numbers = Uint8Array | Uint16Array | Uint32Array | Float32Array

/** Numbers as they stand in the block, `perRow` elements a row. */
class NumberColumn<Values extends Numbers = Numbers> implements SharedColumn {
  values: Values
  readonly #perRow: number
  constructor(values: Values, perRow = 1) {
    this.values = values
    this.#perRow = perRow
  }
  grow(): void {
    const { values } = this
    this.values = new (values.constructor as new (length: number) => Values)(values.length * 2)
    this.values.set(values)
  }
  flush(out: Bytes, rows: number): void {
    const { buffer, BYTES_PER_ELEMENT } = this.values
    out.append(new Uint8Array(buffer, 0, rows * this.#perRow * BYTES_PER_ELEMENT))
  }
  spread(out: Bytes, of: Uint32Array, used: readonly number[], rows: number): void {
    const { values } = this
    const spread = new (values.constructor as new (length: number) => Values)(rows)
    for (let row = 0; row < rows; row++) spread[row] = values[used[of[row]!]!]!
    out.append(new Uint8Array(spread.buffer))
  }
  forget(): void {}
}
class EnumColumn extends NumberColumn<Uint8Array> {
  readonly #codes: ReadonlyMap<string, number>
  constructor(codes: ReadonlyMap<string, number>) {
    super(new Uint8Array(FIRST_ROWS))
    this.#codes = codes
  }
  add(value: string, row: number): void {
    const code = this.#codes.get(value)
    if (code === undefined) throw new RangeError(`no such enum value: ${value}`)
    this.values[row] = code
  }
}
/** 64 bits as two words, the lower one first. */
class WordsColumn extends NumberColumn<Uint32Array> {
  constructor(words: number) {
    super(new Uint32Array(FIRST_ROWS * words), words)
  }
}
/** Non-negative whole numbers below 2^53, or a hash: as words, or as 16 hex digits. */
class UInt64Column extends WordsColumn {
  constructor() {
    super(2)
  }
  add(value: number | Hash64 | string, row: number): void {
    const { values } = this
    if (typeof value === 'number') {
      values[row * 2] = value
      values[row * 2 + 1] = value / 4294967296
    } else if (typeof value === 'object') {
      values[row * 2] = value.low
      values[row * 2 + 1] = value.high
    } else {
      values[row * 2] = hexWord(value, 8)
      values[row * 2 + 1] = hexWord(value, 0)
    }
  }
}
/** Epoch milliseconds; times before 1970 are legal. A typed array keeps the lower 32 bits of what it is given. */
class DateTime64Column extends WordsColumn {
  constructor() {
    super(2)
  }
  add(value: number, row: number): void {
    this.values[row * 2] = value
    this.values[row * 2 + 1] = Math.floor(value / 4294967296)
  }
}
class DecimalColumn extends WordsColumn {
  constructor() {
    super(2)
  }
  add(value: number, row: number): void {
    const { values } = this
    if (value === 0) {
      values[row * 2] = values[row * 2 + 1] = 0
      return
    }
    const scaled = BigInt.asUintN(64, tenThousandths(value))
    values[row * 2] = Number(scaled & 0xffffffffn)
    values[row * 2 + 1] = Number(scaled >> 32n)
  }
}
/** Four decimals, half away from zero, by the shortest decimal text of the number: 1.00005 is 1.0001 and 0.1 is 0.1. */
function tenThousandths(value: number): bigint {
  const scaled = value * 10_000
  if (Math.abs(scaled) < 2 ** 50) return BigInt(Math.sign(scaled) * Math.round(Math.abs(scaled) + 1e-9))
  return BigInt(Math.trunc(value)) * 10_000n + BigInt(Math.round((value - Math.trunc(value)) * 10_000))
}
/** Two halves of 64 bits; the digits of a text stand at 0-7, 9-12, 14-17, 19-22 and 24-35. */
class UuidColumn extends WordsColumn {
  constructor() {
    super(4)
  }
  add(value: Uuid | string, row: number): void {
    const { values } = this
    const at = row * 4
    if (typeof value === 'object') {
      values[at] = value.word1
      values[at + 1] = value.word0
      values[at + 2] = value.word3
      values[at + 3] = value.word2
      return
    }
    if (value === NO_UUID) {
      values[at] = values[at + 1] = values[at + 2] = values[at + 3] = 0
      return
    }
    values[at] = (hexHalf(value, 9) << 16) | hexHalf(value, 14)
    values[at + 1] = hexWord(value, 0)
    values[at + 2] = hexWord(value, 28)
    values[at + 3] = (hexHalf(value, 19) << 16) | hexHalf(value, 24)
  }
}
const HEX = new Uint8Array(128)
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}
const hexHalf = (text: string, at: number): number =>
  (HEX[text.charCodeAt(at)]! << 12) |
  (HEX[text.charCodeAt(at + 1)]! << 8) |
  (HEX[text.charCodeAt(at + 2)]! << 4) |
  HEX[text.charCodeAt(at + 3)]!
const hexWord = (text: string, at: number): number => (hexHalf(text, at) << 16) | hexHalf(text, at + 4)

/** Texts, each behind its length. */
class StringColumn implements Column {
  readonly #bytes = new Bytes(512)
  add(value: string): void {
    const start = value === '' ? EMPTY_TEXT : ENCODED_TEXTS.startOf(value)
    if (start < 0) this.#bytes.text(value)
    else this.#bytes.copy(ENCODED_TEXTS.view, start, ENCODED_TEXTS.view.getUint8(start) + 1)
  }
  grow(): void {}
  flush(out: Bytes): void {
    out.append(this.#bytes.view)
    this.#bytes.length = 0
  }
}

/** Texts that rows share: encoded when they are spread. */
class SharedStringColumn implements SharedColumn {
  readonly #texts: string[] = []
  readonly #spread = new StringColumn()
  add(value: string, at: number): void {
    this.#texts[at] = value
  }
  grow(): void {}
  flush(out: Bytes, rows: number): void {
    for (let row = 0; row < rows; row++) this.#spread.add(this.#texts[row]!)
    this.#spread.flush(out)
  }
  spread(out: Bytes, of: Uint32Array, used: readonly number[], rows: number): void {
    for (let row = 0; row < rows; row++) this.#spread.add(this.#texts[used[of[row]!]!]!)
    this.#spread.flush(out)
  }
  forget(): void {
    this.#texts.length = 0
  }
}

/** Distinct texts that a dictionary column remembers from block to block. */
const MAX_CODES = 8_192

/**
 * LowCardinality(String): the distinct values of a block once, then one index a row. Texts have codes that last longer than
 * a block, so that a text that comes again is looked up in an array and not by its characters.
 */
class DictionaryColumn implements SharedColumn {
  readonly #codes = new Map<string, number>()
  readonly #texts: string[] = []
  /** By code: 1 + its index in this block's dictionary; 0 = it is not in it. */
  #places = new Uint32Array(FIRST_ROWS)
  /** This block's dictionary, in codes. */
  readonly #used: number[] = []
  readonly #keys = new StringColumn()
  /** Of each row, or of each shared value: its code. */
  #rows = new Uint32Array(FIRST_ROWS)
  #last: string | undefined
  #lastCode = 0

  add(value: string, row: number): void {
    if (value !== this.#last) {
      this.#lastCode = this.#codes.get(value) ?? this.#learn(value)
      this.#last = value
    }
    this.#rows[row] = this.#lastCode
  }

  grow(): void {
    this.#rows = doubled(this.#rows)
  }

  flush(out: Bytes, count: number): void {
    const rows = this.#rows
    for (let row = 0; row < count; row++) this.#use(rows[row]!)
    this.#writeDictionary(out)
    this.#writeIndexes(out, rows, this.#places, count)
    this.#end()
    if (this.#texts.length > MAX_CODES) this.forget()
  }

  spread(out: Bytes, of: Uint32Array, used: readonly number[], count: number): void {
    const places = new Uint32Array(used.length)
    for (let i = 0; i < used.length; i++) {
      const code = this.#rows[used[i]!]!
      this.#use(code)
      places[i] = this.#places[code]!
    }
    this.#writeDictionary(out)
    this.#writeIndexes(out, of, places, count)
    this.#end()
  }

  forget(): void {
    this.#codes.clear()
    this.#texts.length = 0
    this.#last = undefined
  }

  #learn(value: string): number {
    const code = this.#texts.length
    this.#codes.set(value, code)
    this.#texts.push(value)
    if (code === this.#places.length) this.#places = doubled(this.#places)
    return code
  }

  #use(code: number): void {
    if (this.#places[code] !== 0) return
    this.#places[code] = this.#used.push(code)
  }

  #writeDictionary(out: Bytes): void {
    const distinct = this.#used.length
    const width = distinct <= 256 ? 0 : distinct <= 65536 ? 1 : 2
    out.uint64(1) //                   SharedDictionariesWithAdditionalKeys
    out.uint64(0x600 | width) //       has additional keys, dictionary to be updated
    out.uint64(distinct)
    for (const code of this.#used) this.#keys.add(this.#texts[code]!)
    this.#keys.flush(out)
  }

  /** `places`: 1 + the index in the dictionary, by what `of` says of each row. */
  #writeIndexes(out: Bytes, of: Uint32Array, places: Uint32Array, count: number): void {
    const distinct = this.#used.length
    out.uint64(count)
    if (distinct <= 256) {
      const start = out.reserve(count)
      const bytes = out.buffer
      if (distinct === 1) bytes.fill(0, start, start + count)
      else for (let row = 0; row < count; row++) bytes[start + row] = places[of[row]!]! - 1
      return
    }
    const indexes = distinct <= 65536 ? new Uint16Array(count) : new Uint32Array(count)
    for (let row = 0; row < count; row++) indexes[row] = places[of[row]!]! - 1
    out.append(new Uint8Array(indexes.buffer))
  }

  #end(): void {
    for (const code of this.#used) this.#places[code] = 0
    this.#used.length = 0
  }
}

/** A copy with room for twice as many. */
export function doubled(values: Uint32Array): Uint32Array<ArrayBuffer> {
  const copy = new Uint32Array(values.length * 2)
  copy.set(values)
  return copy
}

class MapColumn implements Column {
  readonly #keys = new StringColumn()
  readonly #texts = new StringColumn()
  readonly #numbers: Bytes | null
  readonly #ends = new WordsColumn(2)
  #entries = 0
  constructor(numbers: boolean) {
    this.#numbers = numbers ? new Bytes(1024) : null
  }
  add(value: Readonly<Record<string, string | number>>, row: number): void {
    if (value !== NO_ENTRIES) this.#addEntries(value)
    this.#ends.values[row * 2] = this.#entries
  }
  #addEntries(value: Readonly<Record<string, string | number>>): void {
    for (const key in value) {
      this.#keys.add(key)
      const item = value[key]!
      if (this.#numbers === null) this.#texts.add(item as string)
      else {
        const at = this.#numbers.reserve(8)
        this.#numbers.buffer.writeDoubleLE(item as number, at)
      }
      this.#entries++
    }
  }
  grow(): void {
    this.#ends.grow()
  }
  flush(out: Bytes, rows: number): void {
    this.#ends.flush(out, rows)
    this.#keys.flush(out)
    if (this.#numbers === null) this.#texts.flush(out)
    else {
      out.append(this.#numbers.view)
      this.#numbers.length = 0
    }
    this.#entries = 0
  }
}

/** Codes of `Enum8('a' = 1, 'b' = 2)`. */
export function enumCodes(type: string): Map<string, number> {
  const codes = new Map<string, number>()
  for (const [, name, code] of type.matchAll(/'([^']*)' = (-?\d+)/g)) codes.set(name!, Number(code))
  return codes
}

/** The type as it stands in a block: dictionary keys of maps are not worth their bytes there. */
export const wireType = (type: ColumnType): string => type.replace('Map(LowCardinality(String)', 'Map(String')

/** A column of its own for each row. @throws TypeError when no column of ours has this type */
export function columnOf(type: ColumnType): Column {
  if (type.startsWith('Enum8')) return new EnumColumn(enumCodes(type))
  switch (type) {
    case 'LowCardinality(String)':
      return new DictionaryColumn()
    case 'String':
      return new StringColumn()
    case 'UUID':
      return new UuidColumn()
    case 'Date':
    case 'UInt16':
      return new NumberColumn(new Uint16Array(FIRST_ROWS))
    case "DateTime64(3, 'UTC')":
      return new DateTime64Column()
    case 'Bool':
    case 'Int8':
    case 'UInt8':
      return new NumberColumn(new Uint8Array(FIRST_ROWS))
    case 'UInt32':
      return new NumberColumn(new Uint32Array(FIRST_ROWS))
    case 'UInt64':
      return new UInt64Column()
    case 'Float32':
      return new NumberColumn(new Float32Array(FIRST_ROWS))
    case 'Decimal(18, 4)':
      return new DecimalColumn()
    case 'Map(LowCardinality(String), String)':
      return new MapColumn(false)
    case 'Map(LowCardinality(String), Float64)':
      return new MapColumn(true)
  }
  throw new TypeError(`no column for ${type}`)
}

/** A column for values that rows share. @throws TypeError when no such column of ours has this type */
export function sharedColumnOf(type: ColumnType): SharedColumn {
  switch (type) {
    case 'LowCardinality(String)':
      return new DictionaryColumn()
    case 'String':
      return new SharedStringColumn()
    case 'UInt16':
      return new NumberColumn(new Uint16Array(FIRST_ROWS))
    case 'Float32':
      return new NumberColumn(new Float32Array(FIRST_ROWS))
  }
  throw new TypeError(`no shared column for ${type}`)
}
