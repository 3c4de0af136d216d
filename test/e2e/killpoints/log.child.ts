/** One life of the embedded log: appends over many segments, commits, lets segments expire, compacts. */
import { openEmbeddedLog } from '@millrace/log'
import { thisLife } from './life.ts'
import { APPENDED, COMMITTED_BY, LAST_VALUES, surveyLog, valueAt } from './log-load.ts'

const STEPS = 6
const MINUTE = 60_000

const life = thisLife()
const clock = new Float64Array(new SharedArrayBuffer(8))
clock[0] = Date.UTC(2026, 10, 1) + life.number * STEPS * MINUTE
const log = await openEmbeddedLog({
  dir: `${life.dir}/log`,
  hitPartitions: 2,
  topics: [APPENDED, LAST_VALUES],
  segmentBytes: 3_000,
  clock,
})
for (const line of await surveyLog(log)) life.note(line)
life.begin()
const producer = log.producer()
const consumer = log.consumer(COMMITTED_BY)
await consumer.run([APPENDED.name], {
  onAssigned: async () => consumer.pause(APPENDED.name, [0, 1]),
  onBatch: async () => {},
  onLost: async () => {},
})

/** One append of both partitions; the records of a partition are known by their offsets. */
async function append(count: number): Promise<void> {
  const ends = await log.admin().endOffsets(APPENDED.name)
  const valuesFrom = (partition: number, end: number) =>
    Array.from({ length: count }, (_, i) => ({ value: valueAt(partition, end + i) }))
  const records = new Map([...ends].map(([partition, end]) => [partition, valuesFrom(partition, end)]))
  const bases = await producer.append(APPENDED.name, records)
  for (const [partition, base] of bases) life.note(`appended ${partition} ${base} ${count} ${clock[0]}`)
}

async function commit(name: string): Promise<void> {
  const ends = await log.admin().endOffsets(APPENDED.name)
  life.note(`commits ${name}`)
  const metadata = `${name} ${'x'.repeat(500)}`
  await consumer.commit([...ends].map(([partition, offset]) => ({ topic: APPENDED.name, partition, offset, metadata })))
  life.note(`committed ${name}`)
}

async function set(key: string, name: string): Promise<void> {
  life.note(`sets ${key} ${name}`)
  const value = Buffer.from(`${name} ${'.'.repeat(900)}`)
  await producer.append(LAST_VALUES.name, new Map([[0, [{ key: Buffer.from(key), value }]]]))
  life.note(`set ${key} ${name}`)
}

for (let step = 0; step < STEPS; step++) {
  const name = `${life.number}.${step}`
  await append(1 + (step % 3))
  await commit(name)
  await set(`key${step % 2}`, name)
  clock[0]! += MINUTE
  if (step % 3 === 2) await log.maintain()
}
await producer.close()
await consumer.close()
for (const line of await surveyLog(log)) life.note(line)
await log.close()
life.note('finished')
