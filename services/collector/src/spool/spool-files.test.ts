import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DISK, encodePreamble, type SegmentIo } from '@millrace/log'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { addLine, type RecordDrafts } from '../record-drafts.ts'
import { encodeFrames } from './encode-frames.ts'
import { type Place, SpoolFiles, START } from './spool-files.ts'

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'spool-files-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

const open = (dir: string, io: SegmentIo = DISK, segmentBytes = 1 << 20): SpoolFiles =>
  new SpoolFiles({ dir, partitions: 4, segmentBytes, io })

/** A group of one frame for each text. */
function group(seq: number, ...texts: string[]): Buffer {
  const drafts: RecordDrafts = new Map()
  for (const [partition, text] of texts.entries()) addLine(drafts, { partition, text, hits: 1 })
  return encodeFrames(drafts, seq, 1_000 + seq).bytes
}

/** Texts of all frames from a place on, and where they end. */
function textsOf(files: SpoolFiles, from: Place = START): { texts: string[]; next: Place } {
  const texts: string[] = []
  let next = from
  for (let read = files.read(next); read; read = files.read(next)) {
    for (const frame of read.frames)
      texts.push(Buffer.from(read.bytes.subarray(frame.from, frame.to)).toString().trim())
    next = read.next
  }
  return { texts, next }
}

const filesIn = (dir: string): string[] => readdirSync(dir).sort()

it('it reads what was written, in order, also while more is written', () => {
  const files = open(folder())
  files.append(group(1, 'a', 'b'))
  const first = files.read(START)!
  expect(first.frames.map(({ seq, partition, hits, timestamp }) => [seq, partition, hits, timestamp])).toEqual([
    [1, 0, 1, 1_001],
    [2, 1, 1, 1_001],
  ])
  expect(first.end).toBe(true)
  expect(files.read(first.next)).toBeNull()
  files.append(group(3, 'c'))
  expect(textsOf(files, first.next).texts).toEqual(['c'])
  files.close()
})

it('it begins another segment when one is full, and removes those that are passed', () => {
  const dir = folder()
  const files = open(dir, DISK, 400)
  for (let seq = 1; seq <= 4; seq++) files.append(group(seq, `${seq}`.repeat(200)))
  expect(filesIn(dir)).toHaveLength(4)
  const second = files.read(files.read(START)!.next)!
  files.drop(second.next, false)
  expect(filesIn(dir)).toHaveLength(2)
  const { texts, next } = textsOf(files, second.next)
  expect(texts.map((text) => text[0])).toEqual(['3', '4'])
  files.drop(next, false)
  expect(filesIn(dir)).toHaveLength(1)
  files.drop(next, true)
  expect(filesIn(dir)).toEqual([])
  expect(files.bytes).toBe(0)
  files.append(group(5, 'e'))
  expect(textsOf(files, next).texts).toEqual(['e'])
  files.close()
})

it('it does not remove a segment that has grown behind the place', () => {
  const dir = folder()
  const files = open(dir)
  files.append(group(1, 'a'))
  const { next } = files.read(START)!
  files.append(group(2, 'b'))
  files.drop(next, true)
  expect(textsOf(files, next).texts).toEqual(['b'])
  files.close()
})

it('it says what an earlier run left, and goes on behind it', () => {
  const dir = folder()
  const before = open(dir)
  before.append(group(7, 'a', 'b'))
  before.append(group(9, 'c'))
  const { bytes } = before
  before.close()
  const files = open(dir)
  expect(files.found).toEqual({ segments: 1, frames: 3, hits: 3, bytes, oldest: 1_007, nextSeq: 10, cutBytes: 0 })
  files.append(group(10, 'd'))
  expect(textsOf(files).texts).toEqual(['a', 'b', 'c', 'd'])
  files.close()
})

it('it refuses a file of a newer version', () => {
  const dir = folder()
  writeFileSync(join(dir, '000000000001.spool'), encodePreamble(Buffer.from('{"v":2,"partitions":4}'), 1))
  expect(() => open(dir)).toThrow('newer version')
})

/** A file of three groups, and where each of its frames ends. */
function written(): { bytes: Buffer; ends: { at: number; text: string }[]; preamble: number } {
  const dir = folder()
  const files = open(dir)
  const ends: { at: number; text: string }[] = []
  let preamble = 0
  for (const [seq, ...texts] of [
    [1, 'a', 'bb'],
    [3, 'ccc'],
    [4, 'dddd', 'e'.repeat(50)],
  ] as [number, ...string[]][]) {
    const frames = group(seq, ...texts)
    files.append(frames)
    preamble ||= files.bytes - frames.length
    let at = files.bytes - frames.length
    for (const text of texts) {
      at += 56 + text.length + 1
      ends.push({ at, text })
    }
  }
  files.close()
  return { bytes: readFileSync(join(dir, filesIn(dir)[0]!)), ends, preamble }
}

it('it finds exactly the whole frames of a file that was cut at any byte, and goes on', () => {
  const { bytes, ends, preamble } = written()
  const dir = folder()
  const path = join(dir, '000000000001.spool')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: bytes.length }), (length) => {
      for (const name of filesIn(dir)) rmSync(join(dir, name))
      writeFileSync(path, bytes)
      truncateSync(path, length)
      const files = open(dir)
      const whole = ends.filter(({ at }) => at <= length)
      const end = whole.at(-1)?.at ?? 0
      const cutBytes = length - (end || (length >= preamble ? preamble : 0))
      expect(textsOf(files).texts).toEqual(whole.map(({ text }) => text))
      expect(files.found).toMatchObject({ frames: whole.length, bytes: end, cutBytes })
      if (whole.length > 0) expect(statSync(path).size).toBe(end)
      files.append(group(100, 'new'))
      expect(textsOf(files).texts.at(-1)).toBe('new')
      files.close()
      const again = open(dir)
      expect(again.found).toMatchObject({ frames: whole.length + 1, cutBytes: 0 })
      again.close()
    }),
    { numRuns: 300 },
  )
})

it('it takes the frames before a damaged byte, and nothing that was not written', () => {
  const { bytes, ends, preamble } = written()
  const dir = folder()
  const path = join(dir, '000000000001.spool')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Buffer.from(bytes)
      damaged[at]! ^= flip
      for (const name of filesIn(dir)) rmSync(join(dir, name))
      writeFileSync(path, damaged)
      const files = open(dir)
      const whole = at < preamble ? [] : ends.filter((end) => end.at <= at)
      expect(textsOf(files).texts).toEqual(whole.map(({ text }) => text))
      files.close()
    }),
    { numRuns: 300 },
  )
})

it('it keeps what it has when the disk is full, and goes on when there is room again', () => {
  const dir = folder()
  let full = false
  const io: SegmentIo = {
    ...DISK,
    write(fd, buffers, position) {
      if (!full) return DISK.write(fd, buffers, position)
      DISK.write(fd, [buffers[0]!.subarray(0, 10)], position)
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
    },
  }
  const files = open(dir, io)
  full = true
  expect(() => files.append(group(1, 'never'))).toThrow('no space')
  expect(filesIn(dir)).toEqual([])
  full = false
  files.append(group(2, 'a'))
  full = true
  expect(() => files.append(group(3, 'never'))).toThrow('no space')
  full = false
  files.append(group(4, 'b'))
  expect(textsOf(files).texts).toEqual(['a', 'b'])
  files.close()
  expect(open(dir).found).toMatchObject({ hits: 2, cutBytes: 0 })
})

it('it writes nothing more into a file whose sync failed', () => {
  const dir = folder()
  let fails = false
  const io: SegmentIo = {
    ...DISK,
    sync(fd) {
      if (fails) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      DISK.sync(fd)
    },
  }
  const files = open(dir, io)
  files.append(group(1, 'a'))
  fails = true
  expect(() => files.append(group(2, 'never'))).toThrow('EIO')
  fails = false
  files.append(group(3, 'b'))
  expect(filesIn(dir)).toHaveLength(2)
  expect(textsOf(files).texts).toEqual(['a', 'b'])
  files.close()
})

it('it tells by a trial whether the disk takes anything, and leaves nothing behind', () => {
  const dir = folder()
  const files = open(dir)
  files.append(group(1, 'a'))
  const before = filesIn(dir)
  files.tryOut()
  expect(filesIn(dir)).toEqual(before)
  rmSync(dir, { recursive: true })
  expect(() => files.tryOut()).toThrow('ENOENT')
  files.close()
})
