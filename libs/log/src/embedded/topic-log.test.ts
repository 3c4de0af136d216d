import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { encodeAppend } from './record.ts'
import { countExpired } from './retention.ts'
import { DISK, type SegmentIo } from './segment.ts'
import { segmentPath } from './topic-files.ts'
import { removeTemporaryFolders, TopicFolder, value } from './topic-log.fixture.ts'

/** The real disk, on which the chosen operations fail. */
class FailingDisk implements SegmentIo {
  readonly fails = new Set<keyof SegmentIo>()
  /** Bytes that a failing write still writes. */
  partial = 0
  onSync = (): void => {}

  write(fd: number, buffers: readonly Buffer[], position: number): number {
    if (!this.fails.has('write')) return DISK.write(fd, buffers, position)
    if (this.partial === 0) throw new Error('ENOSPC')
    const part = Buffer.concat(buffers).subarray(0, this.partial)
    this.partial = 0
    return DISK.write(fd, [part], position)
  }
  sync(fd: number): void {
    this.onSync()
    if (this.fails.has('sync')) throw new Error('EIO')
    DISK.sync(fd)
  }
  truncate(fd: number, size: number): void {
    if (this.fails.has('truncate')) throw new Error('EIO')
    DISK.truncate(fd, size)
  }
}

const texts = (folder: TopicFolder, log: Parameters<TopicFolder['records']>[0]) =>
  folder.records(log).map((record) => `${record.partition}:${record.offset}:${record.value}`)

afterAll(removeTemporaryFolders)

describe('a topic of the embedded log', () => {
  it('shows nothing to readers before it is synced', () => {
    const disk = new FailingDisk()
    const folder = new TopicFolder({}, disk)
    const log = folder.create()
    const before = log.shared.durable
    const seen: number[] = []
    disk.onSync = () => seen.push(log.shared.durable, log.shared.end(0))
    folder.append(log, 0, [value('a')])
    expect(seen).toEqual([before, 0])
    expect(log.shared.durable).toBe(before + readFileSync(segmentPath(folder.dir, 0)).length - before)
    expect(log.shared.end(0)).toBe(1)
    log.close()
  })

  it('writes the requests of a group in order, with one sync', () => {
    const disk = new FailingDisk()
    const folder = new TopicFolder({}, disk)
    const log = folder.create()
    let syncs = 0
    disk.onSync = () => {
      syncs++
    }
    const request = (entries: [number, string][]) =>
      encodeAppend(new Map(entries.map(([partition, text]) => [partition, [value(text)]])), folder.spec, 0)
    const bases = log.append(
      [
        request([
          [0, 'a'],
          [1, 'b'],
        ]),
        request([[0, 'c']]),
      ],
      1,
    )
    expect(bases).toEqual([
      new Map([
        [0, 0],
        [1, 0],
      ]),
      new Map([[0, 1]]),
    ])
    expect(syncs).toBe(1)
    expect(texts(folder, log)).toEqual(['0:0:a', '1:0:b', '0:1:c'])
    log.close()
  })

  it.each([
    ['a write that fails', ['write'], 0],
    ['a write that fails half way', ['write'], 70],
    ['a write that fails half way and cannot be cut off', ['write', 'truncate'], 70],
    ['a sync that fails', ['sync'], 0],
    ['a sync that fails and cannot be cut off', ['sync', 'truncate'], 0],
  ] as const)('appends cleanly after %s, also after a restart', (_title, fails, partial) => {
    const disk = new FailingDisk()
    const folder = new TopicFolder({}, disk)
    const log = folder.create()
    folder.append(log, 0, [value('before')])
    for (const each of fails) disk.fails.add(each)
    disk.partial = partial
    expect(() => folder.append(log, 0, [value('in doubt')])).toThrow()
    expect(() => folder.append(log, 0, [value('in doubt')])).toThrow()
    expect([log.shared.end(0), texts(folder, log)]).toEqual([1, ['0:0:before']])
    disk.fails.clear()
    expect(folder.append(log, 0, [value('after')])).toBe(1)
    expect(texts(folder, log)).toEqual(['0:0:before', '0:1:after'])
    log.close()
    const again = folder.open()
    expect(texts(folder, again)).toEqual(['0:0:before', '0:1:after'])
    expect(again.ends[0]).toBe(2)
    again.close()
  })

  it('never goes on in a file whose sync failed', () => {
    const disk = new FailingDisk()
    const folder = new TopicFolder({}, disk)
    const log = folder.create()
    folder.append(log, 0, [value('before')])
    const [first] = log.bases
    disk.fails.add('sync')
    expect(() => folder.append(log, 0, [value('lost')])).toThrow('EIO')
    disk.fails.clear()
    folder.append(log, 0, [value('after')])
    expect(log.bases).toEqual([first, log.segments[0]!.size])
    log.close()
  })

  it('gives append times that never go back, over a restart and an expired segment neither', () => {
    const folder = new TopicFolder()
    const log = folder.create(100)
    folder.append(log, 0, [value('a')], 500)
    folder.append(log, 0, [value('b')], 300)
    folder.append(log, 1, [value('c')], 300)
    expect(folder.records(log).map(({ timestamp }) => timestamp)).toEqual([500, 500, 300])
    log.roll(500)
    log.removeOldest(1)
    log.close()
    const again = folder.open()
    folder.append(again, 0, [value('d')], 200)
    folder.append(again, 1, [value('e')], 350)
    expect(folder.records(again).map(({ timestamp }) => timestamp)).toEqual([500, 350])
    again.close()
  })

  it('keeps its offsets when all records expired', () => {
    const folder = new TopicFolder()
    const log = folder.create()
    folder.append(log, 0, [value('a'), value('b')])
    log.roll(1)
    log.removeOldest(9)
    expect([...log.lows, ...log.ends]).toEqual([2, 0, 2, 0])
    log.close()
    const again = folder.open()
    expect([...again.lows, ...again.ends]).toEqual([2, 0, 2, 0])
    expect(folder.append(again, 0, [value('c')])).toBe(2)
    again.close()
  })

  it('closes a segment by size and by the age of its first record, never an empty one', () => {
    const folder = new TopicFolder()
    folder.segmentBytes = 1_000
    const log = folder.create(0)
    expect(log.isOverdue(99_000)).toBe(false)
    folder.append(log, 0, [value('a')], 50_000)
    folder.append(log, 0, [value('b')], 50_999)
    expect([log.bases.length, log.isOverdue(50_999), log.isOverdue(51_000)]).toEqual([1, false, true])
    folder.append(log, 0, [value('c')], 51_000)
    expect(log.bases.length).toBe(2)
    for (let i = 0; i < 10; i++) folder.append(log, 1, [value('x'.repeat(300))], 51_000)
    expect(log.bases.length).toBeGreaterThan(4)
    for (const { base } of log.segments) expect(folder.sizeOf(base)).toBeLessThanOrEqual(1_000)
    folder.append(log, 1, [value('x'.repeat(5_000))], 51_000)
    expect(folder.records(log)).toHaveLength(14)
    log.close()
  })

  it('counts a segment as expired when its newest record is, the active one never', () => {
    const folder = new TopicFolder()
    const log = folder.create(0)
    folder.append(log, 0, [value('a')], 1_000)
    folder.append(log, 1, [value('b')], 1_500)
    log.roll(2_000)
    folder.append(log, 0, [value('c')], 2_500)
    expect([countExpired(log, 11_499), countExpired(log, 11_501), countExpired(log, 99_999)]).toEqual([0, 1, 1])
    log.close()
  })

  it('lets no record from the future keep its segment', () => {
    const folder = new TopicFolder({ timestamps: 'create' })
    const log = folder.create(0)
    folder.append(log, 0, [{ value: null, timestamp: 2 ** 45 }], 1_000)
    log.roll(2_000)
    expect([countExpired(log, 11_999), countExpired(log, 12_001)]).toEqual([0, 1])
    log.close()
  })
})
