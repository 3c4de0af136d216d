/**
 * Rows into blocks of ClickHouse's Native format, as far as our columns need it: each column with its name and type, so
 * that any ClickHouse reads them and older blocks stay readable. Layout: https://clickhouse.com/docs/interfaces/formats/Native;
 * LowCardinality: a version, then flags, dictionary and indexes. Keys of maps travel as plain strings.
 */
import { Bytes } from './block-bytes.ts'
import { type Column, columnOf, FIRST_ROWS, wireType } from './block-columns.ts'
import { type SharedColumns, SharedValues } from './block-shared.ts'
import type { ColumnType } from './columns.ts'

type Append<Row> = (row: Row, at: number) => void

/**
 * Puts a row's values into the columns. Compiled, so that every property access and every column has a place of its own in
 * the code: a loop over names is five times slower.
 */
function compileAppend<Row>(targets: ReadonlyMap<string, Column | SharedValues>): Append<Row> {
  const names = [...targets.keys()]
  const columns = [...targets.values()]
  const body = names.map((name, i) => {
    const value = `row[${JSON.stringify(name)}]`
    return 'add' in columns[i]! ? `c${i}.add(${value}, at)` : `c${i}.values[at] = ${value}`
  })
  const constants = names.map((_, i) => `const c${i} = columns[${i}]`)
  return new Function('columns', `${constants.join('\n')}\nreturn (row, at) => {\n${body.join('\n')}\n}`)(columns)
}

/** A column where it stands in the block. */
interface Place {
  readonly header: Buffer
  flush(out: Bytes, rows: number): void
}

/**
 * Gathers rows by column and makes Native blocks of them. Values must fit their types: numbers in range, UUIDs and hashes
 * well formed. A row has a property for each column, but one for all columns of `shared` under one name.
 */
export class BlockWriter<Row extends object> {
  rows = 0
  #maxRows = FIRST_ROWS
  /** Blocks of one writer tend to be of one size. */
  #capacity = 64 * 1024
  readonly #places: Place[]
  /** What `append` fills, by the name of a row's property. */
  readonly #targets = new Map<string, Column | SharedValues>()
  readonly #shared: SharedValues[]
  readonly #append: Append<Row>

  constructor(columns: Readonly<Record<string, ColumnType>>, shared: Readonly<Record<string, SharedColumns>> = {}) {
    const groups = Object.entries(shared).map(([name, properties]) => {
      const values = new SharedValues(properties, columns)
      this.#targets.set(name, values)
      return values
    })
    this.#shared = groups
    this.#places = Object.entries(columns).map(([name, type]) => this.#place(name, type))
    this.#append = compileAppend(this.#targets)
  }

  append(row: Row): void {
    if (this.rows === this.#maxRows) {
      for (const target of this.#targets.values()) target.grow()
      this.#maxRows *= 2
    }
    this.#append(row, this.rows)
    this.rows++
  }

  /** The rows since the last call as one block; no bytes when there are none. */
  finish(): Buffer {
    if (this.rows === 0) return Buffer.alloc(0)
    const out = new Bytes(this.#capacity)
    out.varint(this.#places.length)
    out.varint(this.rows)
    for (const place of this.#places) {
      out.append(place.header)
      place.flush(out, this.rows)
    }
    for (const values of this.#shared) values.clear()
    this.rows = 0
    this.#capacity = Math.ceil(out.length * 1.25)
    return out.view
  }

  #place(name: string, type: ColumnType): Place {
    const header = new Bytes(64)
    header.text(name)
    header.text(wireType(type))
    const values = this.#shared.find(({ columns }) => columns.has(name))
    if (values !== undefined) {
      const column = values.columns.get(name)!
      return { header: header.view, flush: (out, rows) => values.flush(column, out, rows) }
    }
    const column = columnOf(type)
    this.#targets.set(name, column)
    return { header: header.view, flush: (out, rows) => column.flush(out, rows) }
  }
}
