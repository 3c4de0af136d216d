/** A hole of hits.raw, as an outage of the enricher leaves it that is longer than the log keeps raw hits. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfigBook, type ConfigWriter, openConfigBook, openConfigWriter } from '@millrace/config'
import { type Enricher, startEnricher } from '@millrace/enricher'
import { type EmbeddedLog, openEmbeddedLog } from '@millrace/log'
import { createLogger, Registry } from '@millrace/server'
import { decodeEnriched, HITS_ENRICHED, HITS_RAW, TOPICS } from '@millrace/shared'
import { hitId, pageView, rawLine, rawValue, waitUntil } from '@millrace/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { SETTINGS } from '../verify/counted-folder.suite.ts'
import { acceptHoles } from './accept-holes.ts'

const HOUR_MS = 3_600_000
let dir: string
let log: EmbeddedLog
let config: ConfigBook
let writer: ConfigWriter
let enricher: Enricher | undefined
let sent = 0
const clock = new Float64Array(new SharedArrayBuffer(8))

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-hole-'))
  clock[0] = Date.now()
  log = await openEmbeddedLog({ dir, hitPartitions: 2, topics: TOPICS, clock })
  config = await openConfigBook(log)
  writer = openConfigWriter(log, config)
})
afterEach(async () => {
  await enricher?.close()
  enricher = undefined
  await writer.close()
  await config.close()
  await log.close()
  rmSync(dir, { recursive: true })
})

async function start(): Promise<void> {
  const parts = { logger: createLogger('fatal', 'test'), registry: new Registry(), settings: SETTINGS, build: 'test' }
  enricher = await startEnricher({ ...parts, log, config, clock: () => clock[0]!, batchEveryMs: 1, commitEveryMs: 10 })
}

async function send(count: number): Promise<void> {
  const producer = log.producer()
  for (let n = 0; n < count; n++) {
    const value = rawValue([rawLine([{ ...pageView(), hit_id: hitId(sent++) }], { collected_at: clock[0]! })])
    await producer.append(
      HITS_RAW.name,
      new Map([
        [0, [{ value }]],
        [1, [{ value }]],
      ]),
    )
  }
  await producer.close()
}

async function pass(hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour++) {
    clock[0]! += HOUR_MS
    await log.maintain()
  }
}

/** First and last raw offset of each enriched record of a partition. */
async function enrichedOf(partition: number): Promise<[number, number][]> {
  const found: [number, number][] = []
  const reader = log.reader()
  for await (const records of reader.read(HITS_ENRICHED.name, partition, 0, Number.MAX_SAFE_INTEGER))
    for (const record of records) {
      const { srcFrom, srcTo } = decodeEnriched(record)
      found.push([srcFrom, srcTo])
    }
  await reader.close()
  return found
}
const lastOf = async (partition: number): Promise<number> => (await enrichedOf(partition)).at(-1)?.[1] ?? -1

it('stops the enricher until somebody accepts it, and then it goes on by itself, behind it, each partition on its own', async () => {
  await start()
  await send(3)
  await waitUntil('three are enriched', async () => (await lastOf(0)) === 2 && (await lastOf(1)) === 2)
  expect(await acceptHoles({ log, config, writer }, false, null)).toEqual([])
  await enricher!.close()
  await send(4) // which nobody reads before they expire
  await pass(60)
  await send(2)
  expect((await log.admin().lowOffsets(HITS_RAW.name)).get(0)).toBe(7)

  await start()
  await waitUntil('both stand still', async () => enricher!.problems().size === 2)
  expect(enricher!.problems().get(0)).toContain('the next record to enrich is 3, but the log goes on at 7')
  const holes = [0, 1].map((partition) => ({ partition, from: 3, to: 7 }))
  expect(await acceptHoles({ log, config, writer }, false, null)).toEqual(holes)
  expect(enricher!.problems().size).toBe(2)

  expect(await acceptHoles({ log, config, writer }, true, 1)).toEqual([holes[1]])
  await waitUntil('partition 1 goes on', async () => (await lastOf(1)) === 8)
  expect([...enricher!.problems().keys()]).toEqual([0])
  expect(await acceptHoles({ log, config, writer }, true, null)).toEqual([holes[0]])
  await waitUntil('partition 0 goes on', async () => (await lastOf(0)) === 8)
  expect(enricher!.problems().size).toBe(0)
  expect(await enrichedOf(0)).toContainEqual([7, expect.any(Number)])
  expect(config.gapAt(0, 3)).toBe(7)

  await send(1)
  await waitUntil('the next is enriched', async () => (await lastOf(0)) === 9)
  await enricher!.close()
  await start()
  await send(1)
  await waitUntil('and after a restart', async () => (await lastOf(0)) === 10)
  expect(await acceptHoles({ log, config, writer }, false, null)).toEqual([])
}, 120_000)

it('does not take one acceptance for another hole', async () => {
  await start()
  await send(1)
  await waitUntil('one is enriched', async () => (await lastOf(0)) === 0)
  await enricher!.close()
  await send(1)
  await pass(60)
  await send(1)
  await writer.acceptGap(0, 1, 1) // smaller
  await writer.acceptGap(0, 0, 2) // of another place
  await start()
  await waitUntil('both stand still', async () => enricher!.problems().size === 2)
  await writer.acceptGap(0, 1, 2)
  await waitUntil('partition 0 goes on', async () => (await lastOf(0)) === 2)
}, 120_000)
