import { describe, expect, it } from 'vitest'
import { BlockView } from './block-view.ts'
import { BlockWriter } from './block-writer.ts'
import { type ColumnType, NO_UUID } from './columns.ts'

const columns = {
  flag: 'Bool',
  small: 'Int8',
  day: 'Date',
  count: 'UInt32',
  ratio: 'Float32',
  time: "DateTime64(3, 'UTC')",
  id: 'UUID',
  visitor_id: 'UInt64',
  verdict: "Enum8('keep' = 1, 'duplicate' = 2, 'dead' = 3, 'marker' = 4)",
  props_text: 'Map(LowCardinality(String), String)',
  props_number: 'Map(LowCardinality(String), Float64)',
  site: 'LowCardinality(String)',
  path: 'String',
  value: 'Decimal(18, 4)',
} as const satisfies Record<string, ColumnType>

const rows = Array.from({ length: 700 }, (_, i) => ({
  flag: i % 2 === 1,
  small: i % 2 === 1 ? -1 : 1,
  day: 20_000 + i,
  count: 4_294_967_295 - i,
  ratio: i / 2,
  time: i === 0 ? -5 : 1_795_219_200_000 + i,
  id: i === 0 ? NO_UUID : `01932c07-0000-7000-8000-${i.toString(16).padStart(12, 'a')}`,
  visitor_id: i.toString(16).padStart(16, 'f'),
  verdict: i % 2 === 1 ? 'keep' : 'dead',
  props_text: i % 3 === 0 ? { a: 'ä', b: '' } : {},
  props_number: i % 3 === 1 ? { n: i } : {},
  site: `site ${i % 300}`,
  path: i % 5 === 0 ? '' : `/ä/${'x'.repeat(i)}`,
  value: i,
}))

describe('BlockView', () => {
  const writer = new BlockWriter<object>(columns)
  for (const row of rows) writer.append(row)
  const bytes = writer.finish()
  const view = new BlockView(bytes)

  it('reads any value of any row', () => {
    expect(view.rows).toBe(rows.length)
    for (const i of [0, 1, 299, 300, 699]) {
      const row = rows[i]!
      expect({
        flag: view.fixed('flag').uint8(i) === 1,
        small: view.fixed('small').int8(i),
        day: view.fixed('day').uint16(i),
        count: view.fixed('count').uint32(i),
        ratio: view.fixed('ratio').float32(i),
        time: view.fixed('time').int64(i),
        id: view.fixed('id').uuid(i).toString(),
        visitor_id: view.fixed('visitor_id').hash(i).toString(),
        verdict: view.fixed('verdict').uint8(i) === 1 ? 'keep' : 'dead',
        props_text: row.props_text,
        props_number: row.props_number,
        site: view.text('site').at(i),
        path: view.text('path').at(i),
        value: view.fixed('value').int64(i) / 10_000,
      }).toEqual(row)
    }
  })

  it('reads a column that is not there as nothing', () => {
    expect([view.fixed('new').int64(5), `${view.fixed('new').uuid(5)}`, view.text('new').at(5)]).toEqual([
      0,
      NO_UUID,
      '',
    ])
  })

  it('reads no bytes as no rows', () => {
    expect(new BlockView(Buffer.alloc(0)).rows).toBe(0)
  })

  it('refuses what ends early', () => {
    for (let cut = 1; cut < bytes.length; cut += 997)
      expect(() => new BlockView(bytes.subarray(0, cut))).toThrow(RangeError)
  })
})
