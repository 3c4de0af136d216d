import { type LogReader, PositionLost, type StoredRecord } from '@millrace/log'
import { encodeEnriched, Hash64, ROW_SCHEMA } from '@millrace/shared'
import { hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import { describe, expect, it } from 'vitest'
import { Lab, MINUTE, NOON, RULES, rawRecord } from '../testing/lab.ts'
import { AcceptedRecords } from './accepted.ts'
import type { Checkpoint } from './checkpoints.ts'
import { type CommittedHead, parseCommittedHead, restorePartition } from './restore.ts'

/** Hits of one visitor, 20 minutes apart: one session that never ends. */
const raw = Array.from({ length: 12 }, (_, i) =>
  rawRecord(
    i,
    NOON + i * 20 * MINUTE,
    rawValue([rawLine([{ ...pageView({ url: `https://example.com/${i}` }), hit_id: hitId(i) }])]),
  ),
)
const lab = new Lab()
for (const record of raw.slice(0, 11)) lab.enrich([record])

/** A record of hits.enriched with the lab's batch `batch`. */
function stored(offset: number, prev: number, batch: number, from = -1): StoredRecord {
  const record = lab.records[batch]!
  const encoded = encodeEnriched({
    ...record,
    schema: ROW_SCHEMA,
    prev,
    from,
    hitRows: {},
    sessionRows: {},
    build: '',
    geo: '',
    config: -1,
  })
  return { offset, timestamp: encoded.timestamp, key: null, value: encoded.value, headers: encoded.headers }
}

async function restore(
  records: readonly StoredRecord[],
  committed: CommittedHead | null,
  ends: { low?: number; end?: number } = {},
  checkpoint: Checkpoint | null = null,
) {
  const reader = {
    async *read(_topic: string, _partition: number, from: number, to: number) {
      yield records.filter(({ offset }) => offset >= from && offset < to)
    },
  } as unknown as LogReader
  const { low = records[0]?.offset ?? 0, end = (records.at(-1)?.offset ?? -1) + 1 } = ends
  return restorePartition({ reader, partition: 0, low, end }, committed, RULES.sessionTimeoutMs, null, checkpoint)
}

/** Enriched record n at offset n, each naming the one before. */
const straight = lab.records.map((_, i) => stored(i, i - 1, i, i < 5 ? -1 : i - 5))
/** The session as a state knows it. */
const viewsOf = ({ state }: Awaited<ReturnType<typeof restore>>): number | undefined =>
  state.sessionsOf(Hash64.of(lab.rows()[0]!.visitor_id))?.pageViews

describe('a restore', () => {
  it('begins at the committed `from` and follows the chain to its end', async () => {
    const point = await restore(straight, { head: 9, from: 5 })
    expect(point).toMatchObject({ head: 10, nextRaw: 11, rows: 5 })
    expect(viewsOf(point)).toBe(11)
  })

  it('leaves out what was not accepted', async () => {
    const records = [
      stored(0, -1, 0),
      stored(1, -1, 0),
      stored(2, 0, 1),
      stored(3, 1, 2),
      stored(4, 0, 1),
      stored(5, 2, 2),
    ]
    const point = await restore(records, { head: 0, from: -1 })
    expect(point).toMatchObject({ head: 5, nextRaw: 3, rows: 3 })
  })

  it('finds the chain that reaches the furthest when nothing was committed', async () => {
    // 6 and 8 follow a record that is gone and was never accepted; 7, 9 and 10 are the chain.
    const records = [stored(6, 3, 4), stored(7, 5, 5), stored(8, 6, 5), stored(9, 7, 6), stored(10, 9, 7, 7)]
    const point = await restore(records, null)
    expect(point).toMatchObject({ head: 10, nextRaw: 8, rows: 2 })
    expect(viewsOf(point)).toBe(8)
  })

  it('finds backwards what was accepted when the start of the chain has expired', async () => {
    const records = [stored(6, 3, 4), stored(7, 5, 5), stored(8, 6, 5), stored(9, 7, 6), stored(10, 9, 7)]
    const point = await restore(records, { head: 9, from: 2 })
    expect(point).toMatchObject({ head: 10, nextRaw: 8, rows: 3 })
  })

  it('keeps the committed head when all records have expired', async () => {
    expect(await restore([], { head: 57, from: 40 }, { low: 58, end: 58 })).toMatchObject({
      head: 57,
      nextRaw: -1,
      rows: 0,
    })
  })

  it('begins with nothing in an empty topic', async () => {
    expect(await restore([], null)).toMatchObject({ head: -1, nextRaw: -1 })
  })

  it('skips a record that is none of ours', async () => {
    const strange = { offset: 1, timestamp: 0, key: null, value: Buffer.from('x'), headers: {} }
    expect(await restore([straight[0]!, strange, stored(2, 0, 1)], { head: 0, from: -1 })).toMatchObject({ head: 2 })
  })

  it('refuses a topic that was truncated or made anew', async () => {
    await expect(restore(straight, { head: 11, from: 5 })).rejects.toThrow(PositionLost)
  })

  it('refuses a chain that does not reach the committed head', async () => {
    await expect(restore([straight[0]!, stored(1, 7, 1), stored(2, 1, 2)], { head: 2, from: -1 })).rejects.toThrow(
      PositionLost,
    )
  })
})

describe('a restore from a checkpoint', () => {
  const at = (head: number, changes: Partial<Checkpoint> = {}): Checkpoint => ({
    head,
    nextRaw: head + 1,
    isAt: ({ offset }) => offset === head,
    load: (state) => {
      state.advance(lab.records[head]!.streamTime)
      return new AcceptedRecords(head)
    },
    ...changes,
  })

  it.each([
    ['that nobody committed', null],
    ['before the committed head', { head: 9, from: 5 }],
    ['behind the committed head', { head: 6, from: 1 }],
  ])('reads what came after a head %s', async (_title, committed) => {
    const point = await restore(straight, committed, {}, at(8))
    expect(point).toMatchObject({ head: 10, nextRaw: 11, rows: 2 })
  })

  it('goes on where it was made when nothing came after it', async () => {
    expect(await restore(straight, null, {}, at(10))).toMatchObject({ head: 10, nextRaw: 11, rows: 0 })
  })

  it('leaves out what was not accepted after it', async () => {
    const records = [...straight.slice(0, 9), stored(9, 7, 8), stored(10, 8, 9)]
    expect(await restore(records, null, {}, at(8))).toMatchObject({ head: 10, nextRaw: 10, rows: 1 })
  })

  it('refuses a chain that does not lead from it to the committed head', async () => {
    const records = [...straight.slice(0, 9), stored(9, 7, 8)]
    await expect(restore(records, { head: 9, from: 5 }, {}, at(8))).rejects.toThrow(PositionLost)
  })

  it.each([
    ['of a record that has expired', at(3), { low: 5 }],
    ['of a record that is not there yet', at(10), { end: 10 }],
    ['of another record', at(8, { isAt: () => false }), {}],
    ['that cannot be read', at(8, { load: () => null }), {}],
    ['older than what is read anyway', at(4), {}],
  ])('does without one %s', async (_title, checkpoint, ends) => {
    const { state, ...without } = await restore(straight, { head: 9, from: 5 }, ends)
    const point = await restore(straight, { head: 9, from: 5 }, ends, checkpoint)
    expect(point).toMatchObject({ head: without.head, nextRaw: without.nextRaw, rows: without.rows })
    expect(viewsOf(point)).toBe(viewsOf({ state, ...without }))
  })
})

describe('parseCommittedHead', () => {
  it.each([
    ['{"head":5,"from":-1}', { head: 5, from: -1 }],
    ['{"head":5,"from":6}', null],
    ['{"head":"5","from":1}', null],
    ['null', null],
    ['', null],
  ])('reads %s', (text, expected) => {
    expect(parseCommittedHead(text)).toEqual(expected)
  })
})

describe('AcceptedRecords', () => {
  it('tells the last record below a time, in any number of records', () => {
    const accepted = new AcceptedRecords(-1)
    for (let i = 0; i < 5_000; i++) {
      accepted.add(i * 2, i * 10)
      expect(accepted.lastBelow(i * 10 - 95)).toBe(i < 10 ? -1 : (i - 10) * 2)
    }
  })

  it('knows where the last restore began', () => {
    const accepted = new AcceptedRecords(7)
    accepted.add(9, 1_000)
    expect([accepted.lastBelow(500), accepted.lastBelow(1_001)]).toEqual([7, 9])
  })
})
