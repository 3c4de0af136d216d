import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hash64, Uuid } from '@millrace/shared'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ColdFile, ColdFolder } from '../cold/cold-folder.ts'
import { KeyFilter } from './key-filter.ts'
import { RecentTable } from './recent.ts'
import { SealedRun } from './sealed-run.ts'
import { SeenHits } from './seen-hits.ts'
import { SHARDS, Shard, shardOf } from './shard.ts'

const HOUR = 3_600_000
/** The beginning of a generation. */
const T = 1_795_219_783_680
const DESCRIPTORS = '/proc/self/fd'

let path: string
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'sealed-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(path, { recursive: true })
})

const folder = (): ColdFolder =>
  new ColdFolder(path, (error) => {
    throw error
  })

/** Files of the folder that this process has open. */
const openFiles = (): number => readdirSync(DESCRIPTORS).filter((fd) => targetOf(fd).startsWith(path)).length

function targetOf(fd: string): string {
  try {
    return readlinkSync(join(DESCRIPTORS, fd))
  } catch {
    return '' // what read the folder itself
  }
}

/** A number's 32 bits in disorder, no two numbers' the same. */
function scatter(n: number): number {
  let h = Math.imul(n ^ (n >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return (h ^ (h >>> 16)) >>> 0
}
const lowOf = (n: number): number => scatter(n)
const highOf = (n: number): number => scatter(n ^ 0x5bd1e995)

function tableOf(entries: number, sealTo: ColdFolder, sealFrom?: number): RecentTable {
  const table = new RecentTable(false, sealTo, sealFrom)
  for (let n = 0; n < entries; n++) table.add(lowOf(n), highOf(n), T)
  return table
}

/** How many of the keys `from` to `to` the table has. */
function known(table: RecentTable, from: number, to: number): number {
  let count = 0
  for (let n = from; n < to; n++) if (table.has(lowOf(n), highOf(n), T)) count++
  return count
}

describe('KeyFilter', () => {
  it('knows all its keys and takes less than 1 in 100 absent ones for known', () => {
    const filter = KeyFilter.for(100_000)
    for (let n = 0; n < 100_000; n++) filter.add(lowOf(n), highOf(n))
    const foundOf = (from: number): number => {
      let found = 0
      for (let n = from; n < from + 100_000; n++) if (filter.mayHold(lowOf(n), highOf(n))) found++
      return found
    }
    expect(foundOf(0)).toBe(100_000)
    expect(foundOf(100_000)).toBeLessThan(1_000)
  })
})

describe('SealedRun', () => {
  it('goes on at the beginning of a shard as probing does, for longer than it reads at a time', () => {
    const shard = new Shard(24, true)
    const high = 0x1c000001
    for (let n = 0; n < 200; n++) shard.add(0xffff_ffff - n, high, n, 1_000 + n)
    const shards: (Shard | undefined)[] = new Array(SHARDS).fill(undefined)
    shards[shardOf(high)] = shard
    const run = SealedRun.write(folder().create(), shards, 200, true)
    for (let n = 0; n < 200; n++) {
      expect(run.mayHold(0xffff_ffff - n, high)).toBe(true)
      expect(run.largest(0xffff_ffff - n, high, n)).toBe(1_000 + n)
      expect(run.largest(0xffff_ffff - n, high, n + 1)).toBe(-1)
      expect(run.largest(0xffff_ffff - n, high + 1, 0)).toBe(-1)
    }
    expect(run.largest(5, 0, 0)).toBe(-1)
    run.close()
  })

  it('reports a file that is shorter than it was', () => {
    const file = folder().create()
    const shards = [new Shard(24, false)]
    shards[0]!.add(5, 5, 1, 0)
    const run = SealedRun.write(file, shards, 1, false)
    vi.spyOn(file, 'read').mockReturnValue(0)
    expect(() => run.largest(5, 5, 0)).toThrow('shorter')
    run.close()
  })
})

describe('RecentTable.putAside', () => {
  it('leaves less than 2 bytes of a million entries in memory each', () => {
    const table = tableOf(1_000_000, folder())
    table.putAside()
    expect(table.size).toBe(1_000_000)
    expect(table.bytes / table.size).toBeLessThan(2)
    expect(known(table, 0, 100_000)).toBe(100_000)
    expect(known(table, 1_000_000, 1_100_000)).toBe(0)
    table.close()
  })

  it('knows the fingerprint of zeros', () => {
    const table = new RecentTable(true, folder(), 8)
    table.add(0, 0, T, 7)
    for (let n = 2; n < 10; n++) table.add(n, 0, T, n)
    table.putAside()
    expect(table.bytes).toBeLessThan(1_000)
    expect([0, 1, 2, 10].map((low) => table.largest(low, 0, T))).toEqual([7, 7, 2, -1])
    table.close()
  })

  it.skipIf(!existsSync(DESCRIPTORS))('waits for many entries, and for an eighth as many of what came before', () => {
    const table = tableOf(7, folder(), 8)
    table.putAside()
    expect(openFiles()).toBe(0)
    table.add(lowOf(7), highOf(7), T + HOUR)
    table.putAside()
    expect(openFiles()).toBe(1)
    for (let n = 8; n < 15; n++) table.add(lowOf(n), highOf(n), T + HOUR)
    table.putAside()
    expect(openFiles()).toBe(2)
    table.putAside()
    expect(openFiles()).toBe(2)
    expect(known(table, 0, 20)).toBe(15)
    table.close()
  })

  it.skipIf(!existsSync(DESCRIPTORS))('closes the files of what is forgotten, and all at the end', () => {
    const table = tableOf(20, folder(), 8)
    table.putAside()
    for (let n = 20; n < 40; n++) table.add(lowOf(n), highOf(n), T + HOUR)
    table.putAside()
    expect(openFiles()).toBe(2)
    table.forget(T + HOUR)
    expect(openFiles()).toBe(1)
    expect(known(table, 0, 40)).toBe(20)
    table.close()
    table.close()
    expect(openFiles()).toBe(0)
    expect(table.size).toBe(0)
  })

  it('keeps everything in memory where the folder cannot be written', () => {
    const below = join(path, 'a-file')
    writeFileSync(below, '')
    const failures: unknown[] = []
    const table = tableOf(1_000, new ColdFolder(join(below, 'folder'), (error) => failures.push(error)), 8)
    const { bytes } = table
    table.putAside()
    expect(failures).toHaveLength(1)
    expect(table.bytes).toBe(bytes)
    expect(known(table, 0, 2_000)).toBe(1_000)
    table.close()
  })

  it.skipIf(!existsSync(DESCRIPTORS))('loses nothing when the disk fills up meanwhile, and tries again later', () => {
    let now = performance.now()
    vi.spyOn(performance, 'now').mockImplementation(() => now)
    const failures: unknown[] = []
    const filling = new FillingFolder(path, (error) => failures.push(error))
    const table = tableOf(1_000, filling, 8)
    const { bytes } = table
    for (let again = 0; again < 2; again++) table.putAside()
    expect(failures).toEqual([new Error('no space left on device')])
    expect(openFiles()).toBe(0)
    expect(table.bytes).toBe(bytes)
    expect(known(table, 0, 2_000)).toBe(1_000)

    filling.appends = Number.POSITIVE_INFINITY
    now += 61_000
    table.putAside()
    expect(openFiles()).toBe(1)
    expect(table.bytes / 1_000).toBeLessThan(3)
    expect(known(table, 0, 2_000)).toBe(1_000)
    table.close()
  })
})

/** A folder whose files take so many appends and no more. */
class FillingFolder extends ColdFolder {
  appends = 5

  override create(): ColdFile {
    const file = super.create()
    const append = file.append.bind(file)
    let left = this.appends
    file.append = (bytes) => {
      if (left-- === 0) throw new Error('no space left on device')
      return append(bytes)
    }
    return file
  }
}

describe('SeenHits', () => {
  it.skipIf(!existsSync(DESCRIPTORS))('puts hit_ids aside, and tells them as before', () => {
    const id = Uuid.of('01932c07-0000-7000-8000-00000000000a')
    const visitor = Hash64.of('00000000000000ff')
    const seen = new SeenHits(folder(), 1)
    seen.add(id, visitor, T, 5, 5)
    seen.putAside()
    expect(openFiles()).toBe(1)
    expect(seen.size).toBe(1)
    expect(seen.has(id, visitor, T)).toBe(true)
    expect(seen.has(id, Hash64.of('00000000000000fe'), T)).toBe(false)
    seen.close()
    expect(openFiles()).toBe(0)
  })
})
