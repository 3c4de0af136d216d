import type { Bucket } from './buckets.ts'
import { CYCLES, type Dimension } from './dimensions.ts'
import { emptyValue, type MetricName } from './metrics.ts'
import type { ReportQuery } from './parse-query.ts'
import { fullOrder, type Plan, unitOf } from './planner.ts'
import { alias } from './question.ts'
import { bucketKey } from './rows-of.ts'

export type Key = string | number
export type Values = Record<string, number | null>
/** A row before it is shown: `keys[i]` belongs to dimension i; a bucket is its index. */
export interface Row {
  readonly keys: readonly Key[]
  readonly values: Values
}
export type StoredRow = Record<string, Key | number | null>

/** The numbers of a row of the store. */
export function valuesOf(stored: StoredRow, metrics: readonly MetricName[]): Values {
  return Object.fromEntries(metrics.map((name) => [name, stored[name] as number | null]))
}

export function emptyValues(metrics: readonly MetricName[]): Values {
  return Object.fromEntries(metrics.map((name) => [name, emptyValue(name)]))
}

/** Things of which it is known how many there are; each time they are gone through, each is made anew. */
export interface Sized<T> extends Iterable<T> {
  readonly length: number
}

export function mapSized<T, U>(list: Sized<T>, make: (one: T) => U): Sized<U> {
  return {
    length: list.length,
    *[Symbol.iterator]() {
      for (const one of list) yield make(one)
    },
  }
}

/** Rows as the store gave them, buckets by index. */
export function readRows(stored: readonly StoredRow[], query: ReportQuery, plan: Plan): Sized<Row> {
  const unit = unitOf(query)
  const indices = new Map(unit ? plan.buckets.map((bucket, i) => [bucketKey(bucket, unit, plan.byDay), i]) : [])
  return mapSized(stored, (row) => ({
    keys: query.dimensions.map((dimension, i) => {
      const key = row[alias(i)] as Key
      return dimension.kind === 'bucket' ? indices.get(key as number)! : key
    }),
    values: valuesOf(row, query.metrics),
  }))
}

/** A row for every bucket (weekday, hour of day) of a query by time alone, except buckets that have not begun. */
export function fillRows(rows: readonly Row[], query: ReportQuery, buckets: readonly Bucket[], nowMs: number): Row[] {
  const found = new Map(rows.map((row) => [row.keys.join(), row]))
  const begun = buckets.flatMap((bucket, i) =>
    bucket.start * 1000 <= nowMs || rows.some(({ keys }) => keys.includes(i)) ? [i] : [],
  )
  return product(query.dimensions.map((dimension) => keysOf(dimension, begun))).map(
    (keys) => found.get(keys.join()) ?? { keys, values: emptyValues(query.metrics) },
  )
}

function keysOf(dimension: Dimension, begun: readonly number[]): readonly number[] {
  if (dimension.kind !== 'cycle') return begun
  const [first, last] = CYCLES[dimension.name]
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

const product = (lists: readonly (readonly number[])[]): number[][] =>
  lists.reduce<number[][]>((rows, list) => rows.flatMap((row) => list.map((key) => [...row, key])), [[]])

/** The same order as ORDER BY in SQL, for rows that were filled here. Buckets are ordered by time. */
export function sortRows(rows: Row[], query: ReportQuery): Row[] {
  const order = fullOrder(query).map(({ field, direction }) => {
    const at = query.dimensions.findIndex(({ name }) => name === field)
    const sign = direction === 'asc' ? 1 : -1
    return { sign, value: (row: Row) => (at === -1 ? row.values[field]! : (row.keys[at] as number)) }
  })
  return rows.sort((a, b) => {
    for (const { sign, value } of order) {
      const [x, y] = [value(a), value(b)]
      if (x === y) continue
      if (x === null || y === null) return x === null ? 1 : -1
      return (x - y) * sign
    }
    return 0
  })
}

/** What a row says of its dimensions. */
export function showKeys(row: Row, query: ReportQuery, buckets: readonly Bucket[]): Record<string, Key> {
  return Object.fromEntries(
    query.dimensions.map(({ kind, name }, i) => {
      const key = row.keys[i]!
      return [name, kind === 'bucket' ? buckets[key as number]!.label : key]
    }),
  )
}
