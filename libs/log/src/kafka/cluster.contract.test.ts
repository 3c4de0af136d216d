import { HITS_RAW } from '@millrace/shared'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CommitRefused } from '../event-log.ts'
import { reasonToSkip, startBroker } from './broker.fixture.ts'
import { appendNumbers, firstOccurrences, numbers, PARTITIONS, valuesOf } from './load.fixture.ts'
import { withResolvers } from './membership.ts'

const skip = await reasonToSkip()
const ROUNDS = 2

describe.skipIf(skip)(`Kafka with three nodes${skip ? ` (${skip})` : ''}`, () => {
  it('loses nothing and keeps the order, written and read, while one node after another is killed', async () => {
    const broker = await startBroker(3)
    onTestFinished(() => broker.remove())
    const log = await broker.open()
    onTestFinished(() => log.close())
    const topic = 'cluster.hits'
    await log.admin().ensureTopics([{ ...HITS_RAW, name: topic }], PARTITIONS)

    const seen = Array.from({ length: PARTITIONS }, () => new Set<string>())
    let wake = withResolvers<void>()
    const consumer = log.consumer('cluster.group')
    await consumer.run([topic], {
      onAssigned: async () => {},
      onLost: async () => {},
      onBatch: async (_topic, partition, records) => {
        for (const { value } of records) seen[partition]!.add(value!.toString())
        try {
          await consumer.commit([{ topic, partition, offset: records.at(-1)!.offset + 1, metadata: '' }])
        } catch (error) {
          expect(error).toBeInstanceOf(CommitRefused)
        }
        wake.resolve()
      },
    })

    let round = 0
    let busy = false
    let from = 0
    const sent = await appendNumbers(log.producer(), topic, (count) => {
      if (!busy && round < ROUNDS && count >= from + 100) {
        busy = true
        const node = (round % 3) + 1
        void broker
          .kill(node)
          .then(() => broker.restart(node))
          .then(() => {
            round++
            busy = false
          })
        from = count
      }
      if (busy) from = count
      return round === ROUNDS && count >= from + 100
    })
    for (let partition = 0; partition < PARTITIONS; partition++) {
      expect(firstOccurrences(await valuesOf(log, topic, partition))).toEqual(numbers(sent))
      while (seen[partition]!.size < sent) {
        await wake.promise
        wake = withResolvers<void>()
      }
      expect([...seen[partition]!]).toEqual(numbers(sent))
    }
    await consumer.close()
  })
})
