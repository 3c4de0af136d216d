import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { indexPath, segmentPath } from './topic-files.ts'
import { preambleBytes, removeTemporaryFolders, TopicFolder, value } from './topic-log.fixture.ts'

interface Written {
  readonly end: number
  readonly partition: number
  readonly values: readonly string[]
}

const appends = fc.array(
  fc.record({ partition: fc.nat(1), values: fc.array(fc.string({ maxLength: 60 }), { minLength: 1, maxLength: 4 }) }),
  { minLength: 1, maxLength: 12 },
)

/** Fills a topic, with a roll in the middle if asked, and notes where each append ended. */
function fill(folder: TopicFolder, list: readonly { partition: number; values: readonly string[] }[], rollAt = -1) {
  const log = folder.create()
  const written: Written[] = []
  for (const [i, { partition, values }] of list.entries()) {
    if (i === rollAt) log.roll(0)
    folder.append(log, partition, values.map(value))
    written.push({ end: log.durable, partition, values })
  }
  const { bases } = log
  log.close()
  return { written, base: bases.at(-1)!, end: written.at(-1)!.end }
}

function flipBit(path: string, bit: number): void {
  const fd = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(fd, byte, 0, 1, bit >> 3)
  writeSync(fd, Buffer.from([byte[0]! ^ (1 << (bit & 7))]), 0, 1, bit >> 3)
  closeSync(fd)
}

/** What must be there when the first damaged byte is at position `damage` of the topic; `cut`: something stands behind the last whole frame. */
function expectRecovered(folder: TopicFolder, written: readonly Written[], damage: number, cut: boolean): void {
  const whole = written.filter(({ end }) => end <= damage)
  const log = folder.open()
  const found = folder.records(log).map((record) => `${record.partition}:${record.offset}:${record.value}`)
  const next = [0, 0]
  const expected = whole.flatMap(({ partition, values }) =>
    values.map((each) => `${partition}:${next[partition]!++}:${each}`),
  )
  expect(found).toEqual(expected)
  expect([...log.ends]).toEqual(next)
  expect(folder.notices.map(({ kind }) => kind)).toEqual(cut ? ['tail_cut'] : [])
  // And it goes on from there, and finds the same the next time.
  expect(folder.append(log, 1, [value('next')])).toBe(next[1])
  log.close()
  folder.notices.length = 0
  const again = folder.open()
  expect(folder.records(again)).toHaveLength(expected.length + 1)
  expect(folder.notices).toEqual([])
  again.close()
}

afterAll(removeTemporaryFolders)

describe('recovery of a topic', () => {
  it('finds everything before the place where the last segment was cut off, and goes on from there', () => {
    fc.assert(
      fc.property(appends, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(6), (list, where, rollAt) => {
        const folder = new TopicFolder()
        const { written, base, end } = fill(folder, list, rollAt)
        const keep = Math.floor(where * (end - base))
        const boundaries = [base + preambleBytes(folder.dir, base), ...written.map((each) => each.end)]
        truncateSync(segmentPath(folder.dir, base), keep)
        expectRecovered(folder, written, base + keep, keep === 0 || !boundaries.includes(base + keep))
      }),
      { numRuns: 100 },
    )
  })

  it('finds everything before a flipped bit in the last segment, and goes on from there', () => {
    fc.assert(
      fc.property(
        appends,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.nat(6),
        (list, where, rollAt) => {
          const folder = new TopicFolder()
          const { written, base, end } = fill(folder, list, rollAt)
          const begin = preambleBytes(folder.dir, base)
          if (base + begin === end) return
          const bit = Math.floor((begin + where * (end - base - begin)) * 8)
          flipBit(segmentPath(folder.dir, base), bit)
          expectRecovered(folder, written, base + Math.floor(bit / 8), true)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('refuses a segment whose preamble is damaged while records follow it, and touches nothing', () => {
    fc.assert(
      fc.property(appends, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (list, where) => {
        const folder = new TopicFolder()
        fill(folder, list)
        const path = segmentPath(folder.dir, 0)
        flipBit(path, Math.floor(where * preambleBytes(folder.dir) * 8))
        const before = readFileSync(path)
        expect(() => folder.open()).toThrow('damaged')
        expect(readFileSync(path).equals(before)).toBe(true)
      }),
      { numRuns: 50 },
    )
  })

  it('cuts garbage of any kind behind the last frame', () => {
    fc.assert(
      fc.property(appends, fc.uint8Array({ minLength: 1, maxLength: 300 }), (list, garbage) => {
        const folder = new TopicFolder()
        const { written, base, end } = fill(folder, list)
        const path = segmentPath(folder.dir, base)
        writeFileSync(path, Buffer.concat([readFileSync(path), garbage]))
        const log = folder.open()
        expect(log.durable).toBe(end)
        expect(folder.records(log)).toHaveLength(written.flatMap(({ values }) => values).length)
        expect(folder.notices).toEqual([
          { kind: 'tail_cut', topic: 'test', text: expect.stringContaining(`${garbage.length} bytes`) },
        ])
        log.close()
        expect(folder.sizeOf(base)).toBe(end)
      }),
      { numRuns: 50 },
    )
  })

  it('takes no frame twice: one with an offset that was there already ends the segment', () => {
    const folder = new TopicFolder()
    const { end } = fill(folder, [{ partition: 0, values: ['once'] }])
    const path = segmentPath(folder.dir, 0)
    const whole = readFileSync(path)
    writeFileSync(path, Buffer.concat([whole, whole.subarray(preambleBytes(folder.dir))]))
    const log = folder.open()
    expect(log.durable).toBe(end)
    log.close()
  })

  it.each([
    ['is missing', (path: string) => rmSync(path)],
    ['is cut off', (path: string) => truncateSync(path, 21)],
    ['has a flipped bit', (path: string) => flipBit(path, 333)],
    ['is of another segment', (path: string) => writeFileSync(path, Buffer.alloc(64))],
  ])('scans a closed segment when its index %s', (_title, damage) => {
    const folder = new TopicFolder()
    const log = folder.create()
    folder.append(log, 0, [value('a'), value('b')], 5)
    log.roll(6)
    folder.append(log, 1, [value('c')], 7)
    const before = [...log.segments[0]!.index.maxTimestamps, ...log.segments[0]!.index.ends]
    log.close()
    damage(indexPath(folder.dir, 0))
    const again = folder.open()
    expect([...again.segments[0]!.index.maxTimestamps, ...again.segments[0]!.index.ends]).toEqual(before)
    expect(existsSync(indexPath(folder.dir, 0))).toBe(true)
    expect(folder.notices).toEqual([])
    again.close()
  })

  it('reports damage in a closed segment and keeps the rest', () => {
    const folder = new TopicFolder()
    const log = folder.create()
    folder.append(log, 0, [value('a')])
    const good = log.durable
    folder.append(log, 0, [value('b')])
    log.roll(1)
    folder.append(log, 0, [value('c')])
    log.close()
    rmSync(indexPath(folder.dir, 0))
    flipBit(segmentPath(folder.dir, 0), good * 8 + 9)
    const again = folder.open()
    expect(folder.notices.map(({ kind }) => kind)).toEqual(['segment_damaged'])
    expect(folder.records(again).map((record) => String(record.value))).toEqual(['a', 'c'])
    expect(again.ends[0]).toBe(3)
    again.close()
  })

  it('removes what a crash left unfinished', () => {
    const folder = new TopicFolder()
    fill(folder, [{ partition: 0, values: ['a'] }])
    const left = `${segmentPath(folder.dir, 0)}.tmp`
    writeFileSync(left, 'half')
    folder.open().close()
    expect(existsSync(left)).toBe(false)
  })
})
