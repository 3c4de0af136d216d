import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedLog } from '@millrace/log'
import { createLogger, createServer } from '@millrace/server'
import { AGGREGATOR_GROUP, ENRICHER_GROUP, HITS_ENRICHED, HITS_RAW } from '@millrace/shared'
import { afterEach, expect, it, vi } from 'vitest'
import { followBacklog } from './follow-backlog.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

async function parts() {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-backlog-'))
  folders.push(dir)
  const logger = createLogger('silent', 'test')
  const log = await openEmbeddedLog({ dir, topics: [HITS_RAW, HITS_ENRICHED], hitPartitions: 2 })
  const server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger })
  return { log, server, logger }
}

const quarter = [{ value: Buffer.alloc(200_000, 'x') }]
const both = new Map([
  [0, quarter],
  [1, quarter],
])

it('counts what a group has not committed, in bytes', async () => {
  const { log, server } = await parts()
  const backlog = () => log.backlogOf(ENRICHER_GROUP, HITS_RAW.name)
  const empty = await backlog()
  expect(empty).toBeLessThan(1_000)
  const producer = log.producer()
  for (let i = 0; i < 4; i++) await producer.append(HITS_RAW.name, both)
  const whole = await backlog()
  expect(whole).toBeGreaterThan(1_600_000)
  expect(whole).toBeLessThan(1_700_000)

  const consumer = log.consumer(ENRICHER_GROUP)
  await consumer.run([HITS_RAW.name], { onAssigned: async () => {}, onBatch: async () => {}, onLost: async () => {} })
  const at = (partition: number, offset: number) => ({ topic: HITS_RAW.name, partition, offset, metadata: '' })
  await consumer.commit([at(0, 4)])
  expect(await backlog()).toBe(whole)
  await consumer.commit([at(1, 3)])
  expect(await backlog()).toBeGreaterThan(100_000)
  expect(await backlog()).toBeLessThan(800_000)
  await consumer.commit([at(1, 4)])
  expect(await backlog()).toBe(0)
  await log.close()
  await server.close()
})

it.each([ENRICHER_GROUP, AGGREGATOR_GROUP])('is full while too much waits for %s, and says so', async (group) => {
  const { log, server, logger } = await parts()
  const backlog = followBacklog(log, server, logger, 1)
  const topic = group === ENRICHER_GROUP ? HITS_RAW.name : HITS_ENRICHED.name
  const producer = log.producer()
  expect(backlog.isFull()).toBe(false)
  for (let i = 0; i < 4; i++) await producer.append(topic, both)
  await vi.waitFor(() => expect(backlog.isFull()).toBe(true), 20_000)
  expect(server.readiness.problems()).toEqual(['backlog: more than 1 MiB of hits wait to be stored'])
  expect(await server.registry.metrics()).toMatch(/millrace_backlog_bytes 1[0-9]{6}\n/)

  const consumer = log.consumer(group)
  await consumer.run([topic], { onAssigned: async () => {}, onBatch: async () => {}, onLost: async () => {} })
  await consumer.commit([0, 1].map((partition) => ({ topic, partition, offset: 4, metadata: '' })))
  await vi.waitFor(() => expect(backlog.isFull()).toBe(false), 20_000)
  expect(server.readiness.ready).toBe(true)
  backlog.close()
  await log.close()
  await server.close()
})
