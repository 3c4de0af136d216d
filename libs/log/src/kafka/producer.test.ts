import type { Kafka, Message, RecordMetadata } from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { AppendInDoubt, AppendRefused } from '../event-log.ts'
import { KafkaProducer } from './producer.ts'
import { topicNames } from './topics.ts'

type Answer = (partitions: readonly number[], values: readonly string[]) => Promise<Partial<RecordMetadata>[]>

const written = (partition: number, baseOffset: number) => ({ partition, errorCode: 0, baseOffset: String(baseOffset) })
const record = (value: string) => ({ value: Buffer.from(value) })
const fails = async (): Promise<never> => {
  throw Object.assign(new Error('not taken'), { type: 'INVALID_TIMESTAMP' })
}

/**
 * The client's faults need a leader that moves at the right moment: here its `send` answers as it was seen to. Everything
 * that is sent is kept, as "partition:value" by call.
 */
function producerWith(answers: Answer[], giveUpAfterMs = 5_000) {
  const sent: string[][] = []
  const kafka = {
    producer: () => ({
      connect: async () => {},
      disconnect: async () => {},
      send: async ({ messages }: { messages: Message[] }) => {
        const values = messages.map(({ partition, value }) => `${partition}:${value}`)
        sent.push(values)
        const answer = answers.shift()
        if (!answer) throw new Error('no broker')
        return await answer(
          messages.map(({ partition }) => partition!),
          values,
        )
      },
    }),
  } as unknown as Kafka
  const facts = async () => ({ partitions: 3, maxRecordBytes: 1000 })
  return { producer: new KafkaProducer({ kafka, names: topicNames(''), facts, giveUpAfterMs }), sent }
}

describe('KafkaProducer', () => {
  it('sends again what an answer does not name, and nothing else, before anything newer', async () => {
    const { producer, sent } = producerWith([
      async () => [written(0, 7), { partition: 2, errorCode: 6, baseOffset: '-1' }], // 1 is missing, 2 failed
      async () => [written(2, 4)],
      async () => [written(1, 9)],
      async () => [written(1, 10)],
    ])
    const first = producer.append('t', new Map([0, 1, 2].map((partition) => [partition, [record('a')]])))
    const second = producer.append('t', new Map([[1, [record('b')]]]))
    const inOrder = (offsets: Map<number, number>) => [...offsets].sort(([a], [b]) => a - b)
    expect([inOrder(await first), inOrder(await second)]).toEqual([
      [
        [0, 7],
        [1, 9],
        [2, 4],
      ],
      [[1, 10]],
    ])
    expect(sent).toEqual([['0:a', '1:a', '2:a'], ['1:a', '2:a'], ['1:a'], ['1:b']])
  })

  it('never takes an empty answer for success', async () => {
    const { producer, sent } = producerWith([async () => [], async () => [written(0, 0)]])
    await producer.append('t', new Map([[0, [record('a')]]]))
    expect(sent.length).toBe(2)
  })

  it('is in doubt when nothing is answered in time', async () => {
    const { producer } = producerWith([], 100)
    await expect(producer.append('t', new Map([[0, [record('a')]]]))).rejects.toThrow(AppendInDoubt)
  })

  it('tries each partition alone when the broker refuses one of them', async () => {
    const only =
      (partition: number, offset: number): Answer =>
      async (partitions) =>
        partitions.length === 1 && partitions[0] === partition ? [written(partition, offset)] : await fails()
    const { producer, sent } = producerWith([fails, only(0, 3), fails])
    const refusal = producer.append(
      't',
      new Map([
        [0, [record('good')]],
        [1, [record('bad')]],
      ]),
    )
    await expect(refusal).rejects.toThrow(AppendRefused)
    await expect(refusal).rejects.toThrow(/t\/1: INVALID_TIMESTAMP.*written: 0/)
    expect(sent).toEqual([['0:good', '1:bad'], ['0:good'], ['1:bad']])
  })

  it('cuts what does not fit into one batch, in order, and answers the offset of the first', async () => {
    const { producer, sent } = producerWith([async () => [written(0, 5)], async () => [written(0, 6)]])
    const large = 'x'.repeat(600)
    expect(await producer.append('t', new Map([[0, [record(`1${large}`), record(`2${large}`)]]]))).toEqual(
      new Map([[0, 5]]),
    )
    expect(sent.map((values) => values.map((value) => value.slice(0, 3)))).toEqual([['0:1'], ['0:2']])
  })

  it.each([
    ['a partition out of range', 3, 10],
    ['a record above the limit', 0, 1001],
  ])('refuses %s before anything is sent', async (_title, partition, bytes) => {
    const { producer, sent } = producerWith([])
    const records = new Map([
      [1, [record('neighbour')]],
      [partition, [{ value: Buffer.alloc(bytes) }]],
    ])
    await expect(producer.append('t', records)).rejects.toThrow(AppendRefused)
    expect(sent).toEqual([])
  })
})
