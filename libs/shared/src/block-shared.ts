import type { Bytes } from './block-bytes.ts'
import { doubled, FIRST_ROWS, type SharedColumn, sharedColumnOf } from './block-columns.ts'
import type { ColumnType } from './columns.ts'

/** Columns that follow from one value of a row, each with the property that it holds: `{ os_version: 'osVersion' }`. */
export type SharedColumns = Readonly<Record<string, string>>

type Take = (value: object, at: number) => void

/** Values that are remembered from block to block. */
const MAX_KNOWN = 8_192

/**
 * Values that many rows have in common, such as a browser with its version and system. A row has one as a whole, told by
 * its identity; its columns are filled once a value instead of once a row, and a value that comes again in a later block is
 * still known.
 */
export class SharedValues {
  readonly columns: ReadonlyMap<string, SharedColumn>
  readonly #known = new Map<object, number>()
  readonly #take: Take
  /** Numbers of the values of this block, once each in the order of their first row. */
  readonly #used: number[] = []
  /** By number: 1 + its place among #used; 0 = it is not there. */
  #places = new Uint32Array(FIRST_ROWS)
  /** Of each row of this block: the place of its value among #used. */
  #rows = new Uint32Array(FIRST_ROWS)
  #last: object | undefined
  #lastPlace = 0

  constructor(properties: SharedColumns, types: Readonly<Record<string, ColumnType>>) {
    this.columns = new Map(Object.keys(properties).map((name) => [name, sharedColumnOf(types[name]!)]))
    this.#take = compileTake(Object.values(properties), [...this.columns.values()])
  }

  add(value: object, row: number): void {
    if (value !== this.#last) {
      const number = this.#known.get(value) ?? this.#learn(value)
      if (this.#places[number] === 0) this.#places[number] = this.#used.push(number)
      this.#last = value
      this.#lastPlace = this.#places[number]! - 1
    }
    this.#rows[row] = this.#lastPlace
  }

  grow(): void {
    this.#rows = doubled(this.#rows)
  }

  /** Writes one of the columns. */
  flush(column: SharedColumn, out: Bytes, rows: number): void {
    column.spread(out, this.#rows, this.#used, rows)
  }

  /** To be called after all columns were written. */
  clear(): void {
    for (const number of this.#used) this.#places[number] = 0
    this.#used.length = 0
    this.#last = undefined
    if (this.#known.size <= MAX_KNOWN) return
    this.#known.clear()
    for (const column of this.columns.values()) column.forget()
  }

  #learn(value: object): number {
    const number = this.#known.size
    if (number === this.#places.length) {
      for (const column of this.columns.values()) column.grow()
      this.#places = doubled(this.#places)
    }
    this.#known.set(value, number)
    this.#take(value, number)
    return number
  }
}

/** Puts a value's properties into the columns; compiled for the reason that the writer's append is. */
function compileTake(properties: readonly string[], columns: readonly SharedColumn[]): Take {
  const constants = columns.map((_, i) => `const c${i} = columns[${i}]`)
  const body = properties.map((property, i) => {
    const value = `value[${JSON.stringify(property)}]`
    return 'add' in columns[i]! ? `c${i}.add(${value}, at)` : `c${i}.values[at] = ${value}`
  })
  return new Function('columns', `${constants.join('\n')}\nreturn (value, at) => {\n${body.join('\n')}\n}`)(columns)
}
