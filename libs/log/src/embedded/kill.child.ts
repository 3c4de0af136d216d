import { writeSync } from 'node:fs'
import { KILL_GROUP, KILL_TOPIC, killedValue } from './kill.load.ts'
import { openEmbeddedLog } from './open.ts'

/**
 * The process that `kill.contract.test.ts` kills: appends as fast as it can, and prints a line for everything that was
 * acknowledged: `a PARTITION BASE COUNT` and `c NUMBER`.
 */
const dir = process.argv[2]!
const print = (line: string): void => {
  writeSync(1, `${line}\n`)
}
const log = await openEmbeddedLog({ dir, hitPartitions: 4, topics: [KILL_TOPIC], segmentBytes: 3 << 20 })
for (const { kind } of log.startNotices) print(`n ${kind}`)
const ends = await log.admin().endOffsets(KILL_TOPIC.name)

/** One partition's appends, one after another; the partitions share groups as it happens. */
async function appendForEver(partition: number, next: { offset: number }): Promise<never> {
  const producer = log.producer()
  while (true) {
    const count = 1 + Math.floor(Math.random() * 20)
    const from = next.offset
    next.offset += count
    const records = Array.from({ length: count }, (_, i) => ({ value: killedValue(partition, from + i) }))
    const base = (await producer.append(KILL_TOPIC.name, new Map([[partition, records]]))).get(partition)
    print(`a ${partition} ${base} ${count}`)
  }
}

async function commitForEver(): Promise<never> {
  const consumer = log.consumer(KILL_GROUP)
  await consumer.run([KILL_TOPIC.name], {
    onAssigned: async (assignments) =>
      consumer.pause(
        KILL_TOPIC.name,
        assignments.map(({ partition }) => partition),
      ),
    onBatch: async () => {},
    onLost: async () => {},
  })
  for (let number = 0; ; number++) {
    const metadata = `${process.pid} ${number} ${'x'.repeat(3000)}`
    await consumer.commit([0, 1, 2, 3].map((partition) => ({ topic: KILL_TOPIC.name, partition, offset: 0, metadata })))
    print(`c ${process.pid} ${number}`)
  }
}

for (const [partition, offset] of ends) void appendForEver(partition, { offset })
void commitForEver()
