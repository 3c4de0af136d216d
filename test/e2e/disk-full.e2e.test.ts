import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Product } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { buildFaults } from './killpoints/build-faults.ts'
import { FullDisk, HITS, preloadedDisk, runOn, type Shortage, smallDisk } from './killpoints/disk-full.ts'

const faults = buildFaults()
const library = 'library' in faults ? faults.library : ''
const why = 'missing' in faults ? ` (skipped: ${faults.missing})` : ''
afterAll(() => library && rmSync(dirname(library), { recursive: true, force: true }))

const RAW = ['log/topics/hits.raw']
const BOTH = ['log', 'spool']
const WAITING: readonly (Shortage & { readonly said: RegExp })[] = [
  { title: 'hits.raw', paths: RAW, how: 'full', said: /appending to hits\.raw failed/ },
  { title: 'hits.raw in mid-write', paths: RAW, how: 'half', said: /appending to hits\.raw failed/ },
  { title: 'hits.raw at a sync', paths: RAW, how: 'sync', said: /appending to hits\.raw failed/ },
  { title: 'hits.enriched in mid-write', paths: ['log/topics/hits.enriched'], how: 'half', said: /append in doubt/ },
  { title: 'the positions', paths: ['log/offsets'], how: 'full', said: /plan not committed/ },
  { title: 'the store', paths: ['clickhouse', 'inserts'], how: 'full', said: /recovery failed/ },
  { title: 'the store in mid-write', paths: ['clickhouse'], how: 'half', said: /recovery failed/ },
  {
    title: 'the store, where files can still be made',
    paths: ['clickhouse'],
    how: 'byte',
    said: /could not write a file/,
  },
]
const REFUSING: readonly Shortage[] = [
  { title: 'log and spool', paths: BOTH, how: 'full' },
  { title: 'log and spool in mid-write', paths: BOTH, how: 'half' },
  { title: 'log and spool at a sync', paths: BOTH, how: 'sync' },
  { title: 'everything', paths: [''], how: 'full' },
  { title: 'everything in mid-write', paths: [''], how: 'half' },
]

describe.skipIf(why !== '')(`with a full disk${why}`, { timeout: 300_000 }, () => {
  let disk: FullDisk
  let product: Product

  beforeAll(async () => {
    disk = new FullDisk(preloadedDisk(library))
    product = await disk.start()
    await product.ready()
    await disk.goOn(product)
  }, 300_000)
  afterAll(() => disk?.clean())

  for (const shortage of WAITING) {
    it(`for ${shortage.title} it takes hits all the same, and counts them when there is room`, async () => {
      await disk.wait(product, shortage)
    })
  }

  for (const shortage of REFUSING) {
    it(`for ${shortage.title} it answers 503 with Retry-After, and takes hits again when there is room`, async () => {
      expect(await disk.refuse(product, shortage)).toEqual({ 503: HITS })
    })
  }

  it('says why it cannot start, and starts when there is room', async () => {
    expect(await disk.startFull()).toMatch(/^1: .*no space left on device/)
    product = await disk.start()
    await disk.goOn(product)
  })

  it('has every accepted hit once, and all numbers equal an independent recount', async () => {
    expect(await disk.stopAndCheck()).toEqual([])
  })
})

it.skipIf(why !== '')(
  `keeps nothing of an insert and loses nothing by a merge whose files cannot be written${why}`,
  { timeout: 120_000 },
  (test) => {
    const disk = preloadedDisk(library)
    test.onTestFinished(() => disk.remove())
    const rows = [{ rows: '300', different: '300', site: 'blog' }]
    const notice = expect.stringMatching(/^[1-9][0-9]* writes to files of the embedded ClickHouse failed/)
    expect(runOn(disk, './store.child.ts')).toEqual({
      failing: expect.stringContaining('FUNCTION_THROW_IF_VALUE_IS_NON_ZERO'),
      told: expect.stringContaining('could not write a file'),
      ...{ afterFailing: rows, afterStatement: rows, afterMerge: rows },
      notices: [notice, notice, notice],
    })
  },
)

describe('on a small file system', { timeout: 300_000 }, () => {
  it('answers 503 with Retry-After when it is full, goes on by itself, and has every accepted hit once', async (test) => {
    const small = smallDisk()
    if ('missing' in small) return test.skip(small.missing)
    const disk = new FullDisk(small)
    onTestFinished(() => disk.clean())
    const product = await disk.start()
    await product.ready()
    for (let round = 0; round < 2; round++) await disk.refuseSome(product)
    expect(await disk.stopAndCheck()).toEqual([])
  })

  it('begins no statement that a full disk could cut off', async (test) => {
    const small = smallDisk()
    if ('missing' in small) return test.skip(small.missing)
    onTestFinished(() => small.remove())
    expect(runOn(small, './room.child.ts')).toEqual({
      full: expect.stringMatching(/^Less than 16 MB are free in /),
      room: 'nothing',
    })
  })
})
