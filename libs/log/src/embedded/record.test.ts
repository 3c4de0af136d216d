import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AppendRefused, type LogRecord } from '../event-log.ts'
import { HEADER_BYTES, PREAMBLE, parseHeader, payloadIntact, stampFrame } from './frame.ts'
import { decodeRecords, encodeAppend, encodeSurvivors } from './record.ts'

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
const nullable = fc.oneof(fc.constant(null), bytes)
const headers = fc.dictionary(fc.string({ maxLength: 12, unit: 'binary' }), bytes, { maxKeys: 4 })
const records = fc.array(
  fc.record({ key: nullable, value: nullable, headers, timestamp: fc.integer({ min: 0, max: 2 ** 45 }) }),
  { minLength: 1, maxLength: 20 },
)
const ALL = Number.POSITIVE_INFINITY

/** Stamps all frames of an append from offset `base` on, and reads them back. */
function roundTrip(appended: Buffer, base: number, from = 0, to = ALL) {
  const read = []
  let next = base
  for (let at = 0; at < appended.length; ) {
    stampFrame(appended, at, next, null)
    const frame = parseHeader(appended, at)!
    expect(payloadIntact(appended, at, frame.payloadBytes)).toBe(true)
    read.push(...decodeRecords(appended, at, frame, from, to))
    next = frame.lastOffset + 1
    at += HEADER_BYTES + frame.payloadBytes
  }
  return read
}

const plain = (list: readonly LogRecord[]) =>
  list.map(({ key, value, headers: own, timestamp }) => ({ key, value, headers: { ...own }, timestamp }))

describe('records in frames', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(records, fc.nat(2 ** 40), (list, base) => {
        const appended = encodeAppend(new Map([[3, list]]), { timestamps: 'create', maxRecordBytes: 1e6 }, 0)
        const read = roundTrip(appended, base)
        expect(plain(read)).toEqual(plain(list))
        expect(read.map(({ offset }) => offset - base)).toEqual(list.map((_, i) => i))
      }),
    )
  })

  it('are found by offset', () => {
    fc.assert(
      fc.property(records, fc.nat(25), fc.nat(25), (list, from, to) => {
        const appended = encodeAppend(new Map([[0, list]]), { timestamps: 'create', maxRecordBytes: 1e6 }, 0)
        expect(plain(roundTrip(appended, 0, from, to))).toEqual(plain(list).slice(from, Math.max(from, to)))
      }),
    )
  })

  it('keep offsets and times when compaction takes some away, in no more bytes', () => {
    fc.assert(
      fc.property(
        records,
        fc.infiniteStream(fc.boolean()),
        fc.constantFrom('append', 'create'),
        (list, keep, times) => {
          const appended = encodeAppend(new Map([[0, list]]), { timestamps: times, maxRecordBytes: 1e6 }, 7)
          const all = roundTrip(appended, 100)
          const kept = all.filter(() => keep.next().value)
          if (kept.length === 0) return
          const rewritten = encodeSurvivors(parseHeader(appended, 0)!, kept)
          expect(rewritten.length).toBeLessThanOrEqual(appended.length)
          const frame = parseHeader(rewritten, 0)!
          expect(decodeRecords(rewritten, 0, frame, 0, ALL)).toEqual(kept)
          expect([frame.baseOffset, frame.lastOffset]).toEqual([kept[0]!.offset, kept.at(-1)!.offset])
        },
      ),
    )
  })

  it('are split over frames that a reader can take in', () => {
    const list = Array.from({ length: 40 }, () => ({ value: Buffer.alloc(100_000) }))
    const appended = encodeAppend(new Map([[0, list]]), { timestamps: 'append', maxRecordBytes: 1e6 }, 0)
    for (let at = 0; at < appended.length; ) {
      stampFrame(appended, at, 0, 1)
      const { payloadBytes } = parseHeader(appended, at)!
      expect(payloadBytes).toBeLessThan(1 << 20)
      at += HEADER_BYTES + payloadBytes
    }
    expect(roundTrip(appended, 0)).toHaveLength(40)
  })

  it('are refused above the limit, key and headers counted', () => {
    const value = Buffer.alloc(6)
    const record = { key: Buffer.alloc(2), value, headers: { x: Buffer.alloc(1) } }
    const encode = (maxRecordBytes: number) =>
      encodeAppend(new Map([[0, [record]]]), { timestamps: 'append', maxRecordBytes }, 0)
    expect(encode(10).length).toBeGreaterThan(10)
    expect(() => encode(9)).toThrow(AppendRefused)
  })

  it('are of no partition that a preamble could be taken for', () => {
    expect(PREAMBLE).toBeGreaterThan(4096)
  })
})
