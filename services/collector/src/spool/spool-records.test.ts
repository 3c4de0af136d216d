import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedLog } from '@millrace/log'
import { HITS_RAW, type RawLine } from '@millrace/shared'
import { describe, expect, it, onTestFinished } from 'vitest'
import { addLine, type RecordDrafts } from '../record-drafts.ts'
import { Arrivals } from './arrivals.ts'
import { encodeFrames } from './encode-frames.ts'
import { SpoolFiles, type SpoolRead, START } from './spool-files.ts'
import { deliveryOf } from './spool-records.ts'

const LINE: RawLine = {
  v: 1,
  collected_at: 5,
  config_at: -1,
  site: 'blog',
  trust: 'public',
  ip: '203.0.113.9',
  user_agent: 'anna',
  headers: {},
  hits: [],
}
const id = (n: number): string => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`
const lineOf = (ids: readonly number[], more: Partial<RawLine> = {}): string =>
  JSON.stringify({
    ...LINE,
    ...more,
    hits: ids.map((n) => ({ hit_id: id(n), title: '"hit_id":"', url: 'https://e.com/' })),
  })

/** Lines, each a frame of its own in partition 0, as they are read from a spool. */
function spooled(...lines: string[]): SpoolRead {
  const dir = folder()
  const files = new SpoolFiles({ dir, partitions: 4, segmentBytes: 1 << 20 })
  for (const [seq, text] of lines.entries()) {
    const drafts: RecordDrafts = new Map()
    addLine(drafts, { partition: 0, text, hits: (JSON.parse(text) as RawLine).hits.length })
    files.append(encodeFrames(drafts, seq, 1).bytes)
  }
  const read = files.read(START)!
  files.close()
  return read
}

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'spool-records-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

const never = (): boolean => false
const idsOf = (value: Buffer | null): string[] =>
  value!
    .toString()
    .split('\n')
    .slice(0, -1)
    .flatMap((text) => (JSON.parse(text) as RawLine).hits.map(({ hit_id }) => hit_id))

describe('deliveryOf', () => {
  it('it joins neighbours into one record, byte for byte', () => {
    const lines = [lineOf([1]), lineOf([2, 3])]
    const { records, hits, leftOut } = deliveryOf(spooled(...lines), 4, never, null)
    expect([...records.values()].flat().map(({ value }) => value!.toString())).toEqual([`${lines.join('\n')}\n`])
    expect([hits, leftOut]).toEqual([3, 0])
  })

  it('it keeps records within 1,000 hits and 256 KB', () => {
    const many = [...Array(12).keys()].map((n) => lineOf([...Array(100).keys()].map((i) => n * 100 + i)))
    const records = deliveryOf(spooled(...many), 4, never, null).records.get(0)!
    expect(records.map(({ value }) => idsOf(value!).length)).toEqual([1_000, 200])
    const large = [1, 2, 3].map((n) => lineOf([n], { user_agent: 'x'.repeat(100_000) }))
    expect(deliveryOf(spooled(...large), 4, never, null).records.get(0)).toHaveLength(2)
  })

  it('it leaves out frames that the log has acknowledged', () => {
    const delivery = deliveryOf(spooled(lineOf([1]), lineOf([2]), lineOf([3])), 4, (seq) => seq === 1, null)
    expect(delivery.records.get(0)!.flatMap(({ value }) => idsOf(value!))).toEqual([id(1), id(3)])
    expect([delivery.hits, delivery.leftOut]).toEqual([2, 1])
  })
})

describe('arrivals', () => {
  it('it finds exactly the hits of the same sender that are in the log, look after look', async () => {
    const log = await openEmbeddedLog({ dir: folder(), topics: [HITS_RAW], hitPartitions: 4 })
    onTestFinished(() => log.close())
    const producer = log.producer()
    const append = (...values: string[]): Promise<unknown> =>
      producer.append(HITS_RAW.name, new Map([[0, values.map((value) => ({ value: Buffer.from(value) }))]]))

    const read = spooled(lineOf([1, 2]), lineOf([3]), lineOf([4]))
    const arrivals = new Arrivals(log, HITS_RAW.name, 0)
    for (const ids of [[1, 2], [3], [4]]) arrivals.add(0, JSON.parse(lineOf(ids)) as RawLine, 0)
    await append(
      `${lineOf([9])}\n${lineOf([2, 8], { spooled: true })}\n`,
      // Of somebody else, and of nobody.
      `${lineOf([3], { user_agent: 'berta' })}\n`,
      `{"hits":[null,{"hit_id":"${id(4)}"}]}\n not JSON "hit_id":"${id(4)}"`,
    )
    await arrivals.look()
    const first = deliveryOf(read, 4, never, arrivals)
    expect(first.records.get(0)!.flatMap(({ value }) => idsOf(value!))).toEqual([id(1), id(3), id(4)])
    expect([first.hits, first.leftOut]).toEqual([3, 1])

    await append(`${lineOf([4])}\n${lineOf([1])}\n`)
    await arrivals.look()
    const second = deliveryOf(read, 4, never, arrivals)
    expect(second.records.get(0)!.flatMap(({ value }) => idsOf(value!))).toEqual([id(3)])
  })

  it('it does not look at what is older than the hits, but for the skew of clocks', async () => {
    const clock = new Float64Array(new SharedArrayBuffer(8))
    const log = await openEmbeddedLog({ dir: folder(), topics: [HITS_RAW], hitPartitions: 4, clock })
    onTestFinished(() => log.close())
    clock[0] = 1_000_000
    const value = Buffer.from(`${lineOf([1])}\n`)
    await log.producer().append(HITS_RAW.name, new Map([[0, [{ value }]]]))
    const found = async (since: number): Promise<boolean> => {
      const arrivals = new Arrivals(log, HITS_RAW.name, 60_000)
      arrivals.add(0, JSON.parse(lineOf([1])) as RawLine, since)
      await arrivals.look()
      return arrivals.any
    }
    expect([await found(1_060_000), await found(1_060_001)]).toEqual([true, false])
  })
})
