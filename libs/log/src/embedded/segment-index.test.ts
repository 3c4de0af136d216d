import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { SegmentIndex } from './segment-index.ts'
import { removeTemporaryFolders, temporaryFolder } from './topic-log.fixture.ts'

const frames = fc.array(
  fc.record({
    partition: fc.nat(2),
    count: fc.integer({ min: 1, max: 5 }),
    bytes: fc.integer({ min: 100, max: 400_000 }),
    maxTimestamp: fc.nat(1000),
  }),
  { minLength: 1, maxLength: 80 },
)

function build(list: readonly { partition: number; count: number; bytes: number; maxTimestamp: number }[]) {
  const index = new SegmentIndex(Float64Array.from([0, 10, 20]))
  const next = [0, 10, 20]
  let position = 64
  const placed = list.map(({ partition, count, bytes, maxTimestamp }) => {
    const baseOffset = next[partition]!
    next[partition] = baseOffset + count
    const lastOffset = baseOffset + count - 1
    const timestamp = maxTimestamp
    const header = {
      partition,
      baseOffset,
      lastOffset,
      count,
      timestamp,
      maxTimestamp,
      timestamped: false,
      payloadBytes: bytes,
    }
    index.add(header, position)
    const frame = { ...header, position }
    position += bytes
    return frame
  })
  return { index, placed }
}

/** The position that is given must not be behind the frame, nor needlessly far before it. */
function expectNear(given: number, wanted: number, largest: number): void {
  expect(given).toBeLessThanOrEqual(wanted)
  expect(wanted - given).toBeLessThanOrEqual(256 * 1024 + largest)
}

afterAll(removeTemporaryFolders)

describe('the index of a segment', () => {
  it('leads to the frame of an offset, at most 256 KB and a frame before it, also when loaded', () => {
    const path = join(temporaryFolder(), 'index')
    fc.assert(
      fc.property(frames, (list) => {
        const { index, placed } = build(list)
        index.save(path, 1)
        const largest = Math.max(...list.map(({ bytes }) => bytes))
        for (const each of [index, SegmentIndex.load(path, 1, 3)!])
          for (const { partition, baseOffset, lastOffset, position } of placed)
            for (const offset of [baseOffset, lastOffset]) {
              const given = each.positionOf(partition, offset)
              expectNear(given, position, largest)
            }
      }),
    )
  })

  it('leads to the first frame with a time, at most 256 KB and a frame before it', () => {
    fc.assert(
      fc.property(frames, fc.nat(1000), (list, time) => {
        const { index, placed } = build(list)
        const largest = Math.max(...list.map(({ bytes }) => bytes))
        for (const partition of [0, 1, 2]) {
          const first = placed.find((frame) => frame.partition === partition && frame.maxTimestamp >= time)
          if (first) expectNear(index.positionOfTime(partition, time), first.position, largest)
        }
      }),
    )
  })

  it('is not loaded for a segment of another size or number of partitions', () => {
    const path = join(temporaryFolder(), 'index')
    build([{ partition: 0, count: 1, bytes: 100, maxTimestamp: 1 }]).index.save(path, 77)
    expect(SegmentIndex.load(path, 78, 3)).toBeNull()
    expect(SegmentIndex.load(path, 77, 2)).toBeNull()
    expect(SegmentIndex.load(path, 77, 3)?.ends).toEqual(Float64Array.from([1, 10, 20]))
  })
})
