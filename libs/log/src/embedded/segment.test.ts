import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { draftFrame, HEADER_BYTES, stampFrame } from './frame.ts'
import { payloadOf, readChunk } from './segment.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-segment-'))
afterAll(() => rmSync(dir, { recursive: true }))

const CHUNK = 4_096

/** Frames one behind another: of a partition, with a payload of so many bytes that are its number. */
function fileOf(frames: readonly (readonly [partition: number, payloadBytes: number])[]): {
  path: string
  size: number
} {
  const bytes = frames.map(([partition, payloadBytes], i) => {
    const frame = Buffer.alloc(HEADER_BYTES + payloadBytes, i)
    const times = { timestamped: false, timestamp: 1, maxTimestamp: 1 }
    draftFrame(frame, 0, { payloadBytes, partition, count: 1, ...times })
    stampFrame(frame, 0, i, null)
    return frame
  })
  const path = join(dir, 'segment')
  writeFileSync(path, Buffer.concat(bytes))
  return { path, size: Buffer.concat(bytes).length }
}

describe('readChunk', () => {
  it.each([
    [
      'small ones',
      [
        [0, 10],
        [1, 10],
        [0, 20],
        [1, 30],
      ],
    ],
    [
      'large ones of another partition',
      [
        [1, 9_000],
        [0, 10],
        [1, 5_000],
        [1, 4_097],
        [0, 6_000],
        [1, 20_000],
      ],
    ],
    [
      'one that begins behind others',
      [
        [0, 3_000],
        [1, 3_000],
        [0, 3_000],
        [1, 100_000],
        [0, 1],
      ],
    ],
  ] as const)(
    'finds every frame of a partition among %s, and reads no more of the others than a chunk',
    (_, frames) => {
      const { path, size } = fileOf(frames)
      const fd = openSync(path, 'r')
      const found: number[] = []
      for (let from = 0; from < size; ) {
        const chunk = readChunk(fd, from, size, (partition) => partition === 0, CHUNK)
        expect(chunk.state).toBe('more')
        expect(chunk.next).toBeGreaterThan(from)
        for (const frame of chunk.frames) {
          found.push(frame.baseOffset)
          expect(payloadOf(chunk, frame).every((byte) => byte === frame.baseOffset)).toBe(true)
        }
        const wholeFrame = chunk.frames[0] ? HEADER_BYTES + chunk.frames[0].payloadBytes : 0
        expect(chunk.bytes.length).toBeLessThanOrEqual(Math.max(CHUNK, wholeFrame))
        from = chunk.next
      }
      closeSync(fd)
      expect(found).toEqual(frames.flatMap(([partition], i) => (partition === 0 ? [i] : [])))
    },
  )

  it('does not pass over a frame of another partition that is cut off', () => {
    const { path, size } = fileOf([[1, 9_000]])
    const fd = openSync(path, 'r')
    expect(readChunk(fd, 0, size - 1, () => false, CHUNK)).toMatchObject({ state: 'damaged', next: 0 })
    closeSync(fd)
  })
})
