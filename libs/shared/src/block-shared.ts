import type { Bytes } from './block-bytes.ts'
import { FIRST_ROWS, type SharedColumn, sharedColumnOf } from './block-columns.ts'
import type { ColumnType } from './columns.ts'

/** Columns that follow from one value of a row, each with the property that it holds: `{ os_version: 'osVersion' }`. */
export type SharedColumns = Readonly<Record<string, string>>

type Take = (value: object, at: number) => void

/**
 * Values that many rows have in common, such as a browser with its version and system. A row has one as a whole, told by
 * its identity; its columns are filled once a value instead of once a row.
 */
export class SharedValues {
  readonly columns: ReadonlyMap<string, SharedColumn>
  readonly #known = new Map<object, number>()
  readonly #take: Take
  #rows = new Uint32Array(FIRST_ROWS)
  #maxKnown = FIRST_ROWS
  #last: object | undefined
  #lastIndex = 0

  constructor(properties: SharedColumns, types: Readonly<Record<string, ColumnType>>) {
    this.columns = new Map(Object.keys(properties).map((name) => [name, sharedColumnOf(types[name]!)]))
    this.#take = compileTake(Object.values(properties), [...this.columns.values()])
  }

  add(value: object, row: number): void {
    if (value !== this.#last) {
      this.#lastIndex = this.#known.get(value) ?? this.#learn(value)
      this.#last = value
    }
    this.#rows[row] = this.#lastIndex
  }

  grow(): void {
    const rows = this.#rows
    this.#rows = new Uint32Array(rows.length * 2)
    this.#rows.set(rows)
  }

  /** Writes one of the columns. */
  flush(column: SharedColumn, out: Bytes, rows: number): void {
    column.spread(out, this.#rows, rows)
  }

  /** To be called after all columns were written. */
  clear(): void {
    this.#known.clear()
    this.#last = undefined
  }

  #learn(value: object): number {
    const index = this.#known.size
    if (index === this.#maxKnown) {
      for (const column of this.columns.values()) column.grow()
      this.#maxKnown *= 2
    }
    this.#known.set(value, index)
    this.#take(value, index)
    return index
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
