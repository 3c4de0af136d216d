/**
 * `npm run bench -- log`: the embedded log alone. Appends of one record each with so many in flight, and records in hundreds;
 * every append is fsynced before it resolves. Records/s, time to the acknowledgement, CPU a record; then reading all of it.
 * Options: --seconds (5, each step) --bytes (532, a record).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type EmbeddedLog, openEmbeddedLog } from '@millrace/log'
import { HITS_RAW } from '@millrace/shared'

const { values: args } = parseArgs({
  options: { seconds: { type: 'string', default: '5' }, bytes: { type: 'string', default: '532' } },
})
const SECONDS = Number(args.seconds)
const PARTITIONS = 4
const STEPS = [
  { inFlight: 1, records: 1 },
  { inFlight: 64, records: 1 },
  { inFlight: 256, records: 1 },
  { inFlight: 8, records: 100 },
]

async function measure(log: EmbeddedLog, step: (typeof STEPS)[number]): Promise<void> {
  const producer = log.producer()
  const records = Array.from({ length: step.records }, () => ({ value: Buffer.alloc(Number(args.bytes), 97) }))
  const waits: number[] = []
  let written = 0
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const endsAt = startedAt + SECONDS * 1_000
  // An append holds its partition until it is durable: with more in flight they are gathered, as the collector does.
  const lanes = Array.from({ length: Math.min(step.inFlight, PARTITIONS) }, async (_, partition) => {
    const gathered = Array.from({ length: Math.ceil(step.inFlight / PARTITIONS) }, () => records).flat()
    while (performance.now() < endsAt) {
      const asked = performance.now()
      await producer.append(HITS_RAW.name, new Map([[partition, gathered]]))
      waits.push(performance.now() - asked)
      written += gathered.length
    }
  })
  await Promise.all(lanes)
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  waits.sort((a, b) => a - b)
  const at = (share: number): string => waits[Math.floor((waits.length - 1) * share)]!.toFixed(1)
  console.log(
    `${step.records} a request, ${step.inFlight} in flight: ${Math.round(written / seconds).toLocaleString('en')} records/s, ` +
      `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${((user + system) / written).toFixed(1)} µs CPU a record`,
  )
  await producer.close()
}

async function measureReading(log: EmbeddedLog): Promise<void> {
  const reader = log.reader()
  const admin = log.admin()
  const ends = await admin.endOffsets(HITS_RAW.name)
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  let read = 0
  for (const [partition, end] of ends)
    for await (const batch of reader.read(HITS_RAW.name, partition, 0, end)) read += batch.length
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  console.log(
    `reading: ${Math.round(read / seconds).toLocaleString('en')} records/s, ${((user + system) / read).toFixed(1)} µs CPU a record`,
  )
}

const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-log-'))
const log = await openEmbeddedLog({ dir, topics: [HITS_RAW], hitPartitions: PARTITIONS })
for (const step of STEPS) await measure(log, step)
await measureReading(log)
await log.close()
rmSync(dir, { recursive: true })
