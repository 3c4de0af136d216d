import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readBlocks, readRows } from './block-reader.ts'
import { BlockWriter } from './block-writer.ts'
import { type ColumnType, HIT_COLUMNS, type HitRow, NO_UUID, SESSION_BLOCK_COLUMNS } from './columns.ts'
import { Hash64, Uuid } from './ids.ts'

const hash64 = fc.stringMatching(/^[0-9a-f]{16}$/)
const wellFormed = fc.string({ unit: 'grapheme', maxLength: 300 })
const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((k) => k !== '__proto__')
const float32 = fc.float({ noNaN: true, noDefaultInfinity: true })

function arbitrary(name: string, type: ColumnType): fc.Arbitrary<unknown> {
  if (name === 'visitor_id' || name === 'session_id') return hash64
  if (type.startsWith('Enum8')) return fc.constantFrom(...[...type.matchAll(/'(\w+)'/g)].map((m) => m[1]))
  switch (type) {
    case 'Bool':
      return fc.boolean()
    case 'UInt8':
      return fc.integer({ min: 0, max: 255 })
    case 'Int8':
      return fc.integer({ min: -128, max: 127 })
    case 'UInt16':
    case 'Date':
      return fc.integer({ min: 0, max: 65535 })
    case 'UInt32':
      return fc.integer({ min: 0, max: 0xffffffff })
    case 'UInt64':
      return fc.maxSafeNat()
    case 'Float32':
      return float32
    case 'UUID':
      return fc.uuid()
    case 'Decimal(18, 4)':
      return fc.integer({ min: -1e12, max: 1e12 }).map((n) => n / 10_000)
    case "DateTime64(3, 'UTC')":
      return fc.integer({ min: -2_000_000_000_000, max: 9_000_000_000_000 })
    case 'Map(LowCardinality(String), String)':
      return fc.dictionary(key, wellFormed, { noNullPrototype: true })
    case 'Map(LowCardinality(String), Float64)':
      return fc.dictionary(key, fc.double({ noNaN: true }), { noNullPrototype: true })
    default:
      return wellFormed
  }
}
const rowsOf = (columns: Record<string, ColumnType>) =>
  fc.array(fc.record(Object.fromEntries(Object.entries(columns).map(([n, t]) => [n, arbitrary(n, t)]))), {
    maxLength: 8,
  })

describe('BlockWriter and readRows', () => {
  test('it writes a text that came before as it wrote it first, however many came in between', () => {
    const writer = new BlockWriter<{ text: string }>({ text: 'String' })
    const lengths = [0, 1, 2, 41, 42, 43, 63, 64, 126, 127, 128, 300]
    const texts = [...lengths.map((n) => 'x'.repeat(n)), ...lengths.map((n) => 'ä'.repeat(n)), '日本']
    // More than are remembered, by their number and then by their bytes.
    for (const more of [[], Array.from({ length: 9_000 }, (_, i) => `${i}`), texts.map((_, i) => 'z'.repeat(i))]) {
      const all = [...texts, ...more, ...Array.from({ length: 5_000 }, (_, i) => `${i}`.padEnd(120)), ...texts]
      for (const text of all) writer.append({ text })
      const found = readRows<{ text: string }>(writer.finish()).map(({ text }) => text)
      expect(found).toHaveLength(all.length)
      expect(found.filter((text, i) => text !== all[i])).toHaveLength(0)
    }
  })

  for (const [what, columns] of [
    ['hits', HIT_COLUMNS],
    ['sessions', SESSION_BLOCK_COLUMNS],
  ] as const) {
    test(`it reads back every row of ${what}`, () => {
      const writer = new BlockWriter<object>(columns)
      fc.assert(
        fc.property(rowsOf(columns), (rows) => {
          for (const row of rows) writer.append(row)
          expect(readRows(writer.finish())).toEqual(rows)
        }),
        { numRuns: 60 },
      )
    })
  }

  test('it reads several blocks in a row and only the columns asked for', () => {
    const writer = new BlockWriter<{ a: string; b: number }>({ a: 'LowCardinality(String)', b: 'UInt32' })
    writer.append({ a: 'x', b: 1 })
    const first = Buffer.from(writer.finish())
    writer.append({ a: 'y', b: 2 })
    const blocks = readBlocks(Buffer.concat([first, writer.finish()]), new Set(['b']))
    expect(blocks.map((block) => block.columns)).toEqual([new Map([['b', [1]]]), new Map([['b', [2]]])])
  })

  test('it writes the same block whether rows share values or each has its own', () => {
    const columns = { a: 'LowCardinality(String)', n: 'UInt32', b: 'String', w: 'UInt16', r: 'Float32' } as const
    const shared = { place: { a: 'x', b: 'y' }, screen: { w: 'width', r: 'ratio' } }
    const plain = new BlockWriter<object>(columns)
    const sharing = new BlockWriter<object>(columns, shared)
    const places = fc.array(fc.record({ x: wellFormed, y: wellFormed }), { minLength: 1, maxLength: 300 })
    const screens = fc.array(fc.record({ width: fc.nat(65_535), ratio: float32 }), { minLength: 1, maxLength: 5 })
    const picks = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(0xffffffff)), { maxLength: 400 })
    fc.assert(
      fc.property(places, screens, picks, (ofPlaces, ofScreens, rows) => {
        for (const [p, s, n] of rows) {
          const [place, screen] = [ofPlaces[p % ofPlaces.length]!, ofScreens[s % ofScreens.length]!]
          sharing.append({ n, place, screen })
          plain.append({ n, a: place.x, b: place.y, w: screen.width, r: screen.ratio })
        }
        expect(sharing.finish()).toEqual(plain.finish())
      }),
      { numRuns: 60 },
    )
  })

  test('it keeps 300 shared values apart and tells equal ones by their content', () => {
    const writer = new BlockWriter<object>({ a: 'LowCardinality(String)' }, { value: { a: 'text' } })
    const values = Array.from({ length: 300 }, (_, i) => ({ text: `value ${i % 290}` }))
    for (const value of [...values, ...values]) writer.append({ value })
    const texts = values.map(({ text }) => ({ a: text }))
    expect(readRows(writer.finish())).toEqual([...texts, ...texts])
  })

  test('it writes a shared value into every block that uses it', () => {
    const writer = new BlockWriter<object>({ a: 'LowCardinality(String)', b: 'String' }, { value: { a: 'x', b: 'y' } })
    const [first, second] = [
      { x: 'first', y: '1' },
      { x: 'second', y: '2' },
    ]
    const blocks = [[first, second], [second, first], [first]].map((values) => {
      for (const value of values) writer.append({ value })
      return readRows(writer.finish())
    })
    const [one, two] = [
      { a: 'first', b: '1' },
      { a: 'second', b: '2' },
    ]
    expect(blocks).toEqual([[one, two], [two, one], [one]])
  })

  test('it keeps texts and shared values apart after it has forgotten many', () => {
    const columns = { a: 'LowCardinality(String)', b: 'LowCardinality(String)', c: 'String', n: 'UInt16' } as const
    const writer = new BlockWriter<object>(columns, { value: { b: 'x', c: 'y', n: 'z' } })
    for (let block = 0; block < 8; block++) {
      const values = Array.from({ length: 4_000 }, (_, i) => ({
        x: `x${block % 3} ${i}`,
        y: `y${block} ${i % 7}`,
        z: i,
      }))
      for (const [i, value] of values.entries()) writer.append({ a: `a${block} ${i}`, value })
      for (const value of values.slice(0, 50)) writer.append({ a: `a${block} 0`, value })
      const rows = [...values.entries()].map(([i, { x, y, z }]) => ({ a: `a${block} ${i}`, b: x, c: y, n: z }))
      expect(readRows(writer.finish())).toEqual([
        ...rows,
        ...rows.slice(0, 50).map((row) => ({ ...row, a: `a${block} 0` })),
      ])
    }
  })

  test('it refuses to share what it has no column for', () => {
    expect(() => new BlockWriter<object>({ a: 'UUID' }, { value: { a: 'id' } })).toThrow(TypeError)
  })

  test.each([0, 127, 128, 255, 256, 257, 65535, 65536, 65537])('it keeps %i distinct texts apart', (count) => {
    const writer = new BlockWriter<{ a: string }>({ a: 'LowCardinality(String)' })
    const rows = Array.from({ length: count }, (_, i) => ({ a: `value ${i}` }))
    for (const row of rows) writer.append(row)
    expect(readRows(writer.finish())).toEqual(rows)
  })

  test.each([
    '',
    'a'.repeat(31),
    'a'.repeat(127),
    'ä'.repeat(64),
    'ä'.repeat(127),
    '🦀'.repeat(40),
    'a'.repeat(5000),
    'ä'.repeat(9000),
  ])('it keeps a text of any length (%#)', (text) => {
    const writer = new BlockWriter<{ a: string; b: string }>({ a: 'String', b: 'String' })
    for (let i = 0; i < 3; i++) writer.append({ a: text, b: `${i}` })
    expect(readRows(writer.finish())).toEqual([0, 1, 2].map((i) => ({ a: text, b: `${i}` })))
  })

  test('it writes a lone surrogate as the replacement character', () => {
    const writer = new BlockWriter<{ a: string }>({ a: 'String' })
    writer.append({ a: 'x\ud800y' })
    expect(readRows(writer.finish())).toEqual([{ a: 'x\ufffdy' }])
  })

  test.each([
    [0.1, 0.1],
    [19.99, 19.99],
    [1.00005, 1.0001],
    [-1.5, -1.5],
    [12345678901234.5, 12345678901234.5],
  ])('it keeps four decimals of %d', (given, kept) => {
    const writer = new BlockWriter<{ a: number }>({ a: 'Decimal(18, 4)' })
    writer.append({ a: given })
    expect(readRows(writer.finish())).toEqual([{ a: kept }])
  })

  test('it writes ids the same, as words or as text', () => {
    const [words, text] = [1, 2].map(() => new BlockWriter<object>({ id: 'UUID', visitor_id: 'UInt64' })) as [
      BlockWriter<object>,
      BlockWriter<object>,
    ]
    fc.assert(
      fc.property(fc.uuid(), hash64, (id, visitor_id) => {
        words.append({ id: Uuid.of(id), visitor_id: Hash64.of(visitor_id) })
        text.append({ id, visitor_id })
        expect(words.finish()).toEqual(text.finish())
      }),
    )
  })

  test('it refuses an unknown enum value and a damaged block', () => {
    const writer = new BlockWriter<Pick<HitRow, 'verdict' | 'page_id'>>({
      verdict: HIT_COLUMNS.verdict,
      page_id: 'UUID',
    })
    expect(() => writer.append({ verdict: 'nothing' as never, page_id: NO_UUID })).toThrow(RangeError)
    expect(() => readBlocks(Buffer.from([1, 1, 1, 97, 5, 66, 111, 111, 108, 115]))).toThrow()
  })
})
