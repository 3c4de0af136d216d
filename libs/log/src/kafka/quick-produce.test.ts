import fc from 'fast-check'
import kafkajs, { type Message } from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { compressLz4, registerCodecs } from './codecs.ts'
import { COMPRESSED_FROM_BYTES, type ProduceArguments, produceRequests, quickenProduce } from './quick-produce.ts'
import { encodeRecords } from './record-batch.ts'

registerCodecs()
const { protocol: slowProtocol } = produceRequests()
quickenProduce()
const { None, LZ4 } = kafkajs.CompressionTypes
const NOW = 1_795_219_200_000

const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
const message: fc.Arbitrary<Message> = fc.record(
  {
    key: fc.option(bytes),
    value: fc.option(
      fc.oneof(
        bytes,
        fc.integer({ min: 1, max: 5_000 }).map((size) => Buffer.alloc(size, 'abc')),
      ),
    ),
    headers: fc.dictionary(fc.string({ maxLength: 20 }), bytes, { maxKeys: 3 }),
    timestamp: fc.integer({ min: NOW - 90 * 86_400_000, max: NOW + 1 }).map(String),
  },
  { requiredKeys: ['key', 'value', 'timestamp'] },
)
const batch = fc.array(message, { minLength: 1, maxLength: 130 })

type Given = ProduceArguments & { compression: number }
const requestOf = (messages: Message[], compression: number): Given => ({
  acks: -1,
  timeout: 5_000,
  compression,
  topicData: [{ topic: 'hits.räw', partitions: [{ partition: 7, messages }] }],
})
const encode = async (protocol: typeof slowProtocol, version: number, given: Given): Promise<Buffer> =>
  (await protocol({ version })(given).request.encode()).buffer

describe('quickenProduce', () => {
  it.each([3, 7])('it writes the bytes of the client itself, version %i', async (version) => {
    await fc.assert(
      fc.asyncProperty(batch, async (messages) => {
        const records = encodeRecords(messages, NOW).bytes
        const packed = await compressLz4(records)
        const isPacked = records.length >= COMPRESSED_FROM_BYTES && packed.length < records.length
        const given = requestOf(messages, isPacked ? LZ4 : None)
        const expected = await encode(slowProtocol, version, given)
        expect((await encode(produceRequests().protocol, version, given)).equals(expected)).toBe(true)
      }),
    )
  })

  it('it writes several partitions and topics, and what is compressed elsewhere', async () => {
    const large = Buffer.alloc(3 << 20, 'a large record ')
    const one = (value: Buffer): Message[] => [{ key: null, value, timestamp: String(NOW) }]
    const given: Given = {
      ...requestOf([], LZ4),
      topicData: [
        {
          topic: 'a',
          partitions: [
            { partition: 0, messages: one(large) },
            { partition: 23, messages: one(large.subarray(0, 5_000)) },
          ],
        },
        { topic: 'b', partitions: [{ partition: 1, messages: one(large.subarray(0, 6_000)) }] },
      ],
    }
    const expected = await encode(slowProtocol, 7, given)
    expect((await encode(produceRequests().protocol, 7, given)).equals(expected)).toBe(true)
  })

  it('it gives records without a timestamp the time of now', () => {
    const { firstTimestamp, maxTimestamp } = encodeRecords([{ value: 'a' }, { value: 'b', timestamp: '5' }], NOW)
    expect([firstTimestamp, maxTimestamp]).toEqual([5, NOW])
  })

  it('it leaves requests for brokers of long ago to the client', () => {
    expect(produceRequests().protocol({ version: 2 })).toBe(slowProtocol({ version: 2 }))
  })
})
