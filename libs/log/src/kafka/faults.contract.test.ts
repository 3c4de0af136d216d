import { HITS_ENRICHED, HITS_RAW, type TopicSpec } from '@millrace/shared'
import kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { AppendRefused, CommitRefused, type ConsumerHandlers, type EventLog, PositionLost } from '../event-log.ts'
import { reasonToSkip, startBroker, type TestBroker } from './broker.fixture.ts'
import { createKafka } from './client.ts'
import { KafkaConsumer } from './consumer.ts'
import { appendNumbers, firstOccurrences, numbers, PARTITIONS, record, valuesOf } from './load.fixture.ts'
import { type Generation, Membership, withResolvers } from './membership.ts'
import { topicNames } from './topics.ts'

const skip = await reasonToSkip()
const IDLE: ConsumerHandlers = { onAssigned: async () => {}, onBatch: async () => {}, onLost: async () => {} }

describe.skipIf(skip)(`Kafka: faults of the broker and of the client${skip ? ` (${skip})` : ''}`, () => {
  let broker: TestBroker
  let log: EventLog
  let topics = 0
  let onFailure: (error: Error) => void = () => {}

  beforeAll(async () => {
    broker = await startBroker()
    log = await broker.open({
      sessionTimeoutMs: 2000,
      onFailure: (error) => onFailure(error),
    })
  })
  afterAll(async () => {
    await log?.close()
    await broker?.remove()
  })

  const makeTopic = async (spec: Partial<TopicSpec> = {}): Promise<string> => {
    const name = `faults.${++topics}`
    await log.admin().ensureTopics([{ ...HITS_RAW, ...spec, name }], PARTITIONS)
    return name
  }
  const settingsOf = (topic: string) =>
    broker.withAdmin(async (admin) => {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: `test.${topic}` }],
      })
      return Object.fromEntries(
        resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]),
      )
    })

  it('makes topics with the settings of the topic table', async () => {
    expect(await settingsOf(await makeTopic())).toMatchObject({
      'cleanup.policy': 'delete',
      'retention.ms': String(46 * 3_600_000),
      'segment.ms': '3600000',
      'message.timestamp.type': 'LogAppendTime',
      'min.insync.replicas': '1',
    })
    const enriched = await settingsOf(await makeTopic(HITS_ENRICHED))
    expect(enriched).toMatchObject({ 'message.timestamp.type': 'CreateTime' })
    expect(Number(enriched['max.message.bytes'])).toBeGreaterThan(HITS_ENRICHED.maxRecordBytes)
  })

  /** A bare member of the topic's group, its first generation and, to wait for, its second. */
  const join = async (topic: string) => {
    const joined = withResolvers<Generation>()
    const rejoined = withResolvers<Generation>()
    let isFirst = true
    const membership = new Membership({
      kafka: createKafka({ brokers: broker.brokers, logger: { debug() {}, warn() {} } }),
      group: `test.group.${topic}`,
      names: topicNames('test.'),
      sessionTimeoutMs: 2000,
      heartbeatMs: 100,
      onJoined: (generation) => {
        if (isFirst) joined.resolve(generation)
        else rejoined.resolve(generation)
        isFirst = false
      },
      onOver: () => {},
      onDead: (error) => joined.reject(error),
    })
    onTestFinished(() => membership.leave())
    await membership.join([topic])
    return { membership, generation: await joined.promise, rejoined: rejoined.promise }
  }

  describe('producer', () => {
    it('tells which partition holds a record that the broker will never take; the others are written', async () => {
      const topic = await makeTopic({ timestamps: 'create' })
      const tomorrow = { ...record('from the future'), timestamp: Date.now() + 86_400_000 }
      const batch = new Map([
        [0, [record('a')]],
        [1, [tomorrow]],
        [2, [record('b')]],
      ])
      const refusal = await log
        .producer()
        .append(topic, batch)
        .catch((error: Error) => error)
      expect(refusal).toBeInstanceOf(AppendRefused)
      expect((refusal as Error).message).toMatch(new RegExp(`${topic}/1.*INVALID_TIMESTAMP.*written: 0, 2`))
      expect(firstOccurrences(await valuesOf(log, topic, 0))).toEqual(['a'])
      expect(await valuesOf(log, topic, 1)).toEqual([])
      expect(firstOccurrences(await valuesOf(log, topic, 2))).toEqual(['b'])
    })

    it('refuses what became too large for the topic meanwhile, and goes on', async () => {
      const topic = await makeTopic()
      const producer = log.producer()
      await producer.append(topic, new Map([[0, [record('small')]]]))
      await broker.withAdmin((admin) =>
        admin.alterConfigs({
          validateOnly: false,
          resources: [
            {
              type: kafkajs.ConfigResourceTypes.TOPIC,
              name: `test.${topic}`,
              configEntries: [{ name: 'max.message.bytes', value: '1000' }],
            },
          ],
        }),
      )
      const incompressible = Buffer.from(Array.from({ length: 5000 }, () => Math.random() * 256))
      await expect(producer.append(topic, new Map([[0, [{ value: incompressible }]]]))).rejects.toThrow(AppendRefused)
      expect(await producer.append(topic, new Map([[0, [record('small')]]]))).toEqual(new Map([[0, 1]]))
    })

    it('loses nothing that was acknowledged, and keeps the order, when the broker is killed in mid-append', async () => {
      const topic = await makeTopic()
      const producer = log.producer()
      let kills = 0
      let sentAtRestart = 0
      let busy = false
      const sent = await appendNumbers(producer, topic, (count) => {
        if (!busy && kills < 2 && count >= sentAtRestart + 50) {
          busy = true
          void broker
            .kill()
            .then(() => broker.restart())
            .then(() => {
              kills++
              sentAtRestart = count
              busy = false
            })
        }
        return kills === 2 && !busy && count >= sentAtRestart + 50
      })
      expect(sent).toBeGreaterThan(100)
      for (let partition = 0; partition < PARTITIONS; partition++)
        expect(firstOccurrences(await valuesOf(log, topic, partition))).toEqual(numbers(sent))
    })
  })

  describe('consumer', () => {
    it('goes on by itself after the broker was killed: every record comes, commits keep their metadata', async () => {
      const topic = await makeTopic()
      const group = `group.${topic}`
      const producer = log.producer()
      const seen = new Set<string>()
      let wake = withResolvers<void>()
      const consumer = log.consumer(group)
      onTestFinished(() => consumer.close())
      await consumer.run([topic], {
        ...IDLE,
        onBatch: async (_topic, partition, records) => {
          for (const { value } of records) seen.add(`${partition}:${value}`)
          try {
            await consumer.commit([{ topic, partition, offset: records.at(-1)!.offset + 1, metadata: 'kept' }])
          } catch (error) {
            expect(error).toBeInstanceOf(CommitRefused)
          }
          wake.resolve()
        },
      })
      await appendNumbers(producer, topic, (count) => count === 20)
      await broker.kill()
      await broker.restart()
      await appendNumbers(producer, topic, (count) => count === 40)
      while (seen.size < 40 * PARTITIONS) {
        await wake.promise
        wake = withResolvers<void>()
      }
      await consumer.close()
      const ends = await log.admin().endOffsets(topic)
      for (const [partition, { offset, metadata }] of await log.admin().committed(group, topic)) {
        expect(offset).toBeLessThanOrEqual(ends.get(partition)!)
        expect(metadata).toBe('kept')
      }
    })

    it('shares the partitions with a second member, refuses commits of those that went, and takes them back', async () => {
      const topic = await makeTopic()
      const group = `group.${topic}`
      await appendNumbers(log.producer(), topic, (count) => count === 10)
      const first = log.consumer(group)
      const events: string[] = []
      let owned: readonly number[] = []
      let next = withResolvers<void>()
      const handlers: ConsumerHandlers = {
        ...IDLE,
        onAssigned: async (assignments) => {
          owned = assignments.map(({ partition }) => partition)
          events.push(`assigned ${owned.length}`)
          next.resolve()
          next = withResolvers<void>()
        },
        onLost: async (lost) => {
          events.push(`lost ${lost.length}`)
        },
      }
      const other = await broker.open()
      const second = other.consumer(group)
      onTestFinished(async () => {
        await Promise.all([first.close(), other.close()])
      })
      await first.run([topic], handlers)
      const position = (partition: number, offset: number) => ({ topic, partition, offset, metadata: String(offset) })
      await first.commit([0, 1, 2, 3].map((partition) => position(partition, 0)))
      const reassigned = next.promise
      await second.run([topic], IDLE)
      await reassigned
      expect(events).toEqual(['assigned 4', 'lost 4', 'assigned 2'])
      const gone = [0, 1, 2, 3].find((partition) => !owned.includes(partition))!
      await expect(first.commit([position(owned[0]!, 7), position(gone, 7)])).rejects.toThrow(CommitRefused)
      await first.commit([position(owned[0]!, 5)])
      const committed = await log.admin().committed(group, topic)
      expect([committed.get(owned[0]!)!.offset, committed.get(gone)!.offset]).toEqual([5, 0])
      const back = next.promise
      await second.close()
      await back
      expect(owned.length).toBe(PARTITIONS)
    })

    it('has commits of an earlier generation refused by the broker itself', async () => {
      const topic = await makeTopic()
      const { membership, generation, rejoined } = await join(topic)
      await membership.commit(generation, [{ topic, partition: 0, offset: 1, metadata: 'old' }])
      await join(topic)
      await (await rejoined).stamp // a commit with the new one would pass
      expect(generation.isValid).toBe(false)
      generation.isValid = true // as if we had not heard of it
      await expect(
        membership.commit(generation, [{ topic, partition: 0, offset: 2, metadata: 'stale' }]),
      ).rejects.toThrow(/ILLEGAL_GENERATION|UNKNOWN_MEMBER_ID|REBALANCE_IN_PROGRESS/)
      expect((await log.admin().committed(`group.${topic}`, topic)).get(0)).toEqual({ offset: 1, metadata: 'old' })
    })

    it('stops with PositionLost, and leaves the commit as it is, when the records go while it is paused', async () => {
      const topic = await makeTopic()
      const group = `group.${topic}`
      await appendNumbers(log.producer(), topic, (count) => count === 10)
      const consumer = log.consumer(group)
      const handlers: ConsumerHandlers = {
        ...IDLE,
        onAssigned: async () => {
          for (const partition of [0, 1, 2, 3]) consumer.seek(topic, partition, 3)
          consumer.pause(topic, [0, 1, 2, 3])
        },
      }
      await consumer.run([topic], handlers)
      await consumer.commit([{ topic, partition: 2, offset: 3, metadata: 'a plan' }])
      await broker.withAdmin(async (admin) => {
        await admin.fetchTopicOffsets(`test.${topic}`) // makes the client learn the leaders
        await admin.deleteTopicRecords({ topic: `test.${topic}`, partitions: [{ partition: 2, offset: '8' }] })
      })
      const failure = new Promise<Error>((resolve) => {
        onFailure = resolve
      })
      consumer.resume(topic, [2])
      expect(await failure).toBeInstanceOf(PositionLost)
      expect((await log.admin().committed(group, topic)).get(2)).toEqual({ offset: 3, metadata: 'a plan' })
      await expect(log.consumer(group).run([topic], IDLE)).rejects.toThrow(PositionLost)
      await consumer.close()
    })

    it('takes a position that another client has overwritten with "earliest" for lost, not for a new group', async () => {
      const topic = await makeTopic()
      const group = `group.${topic}`
      const { membership, generation } = await join(topic)
      await membership.commit(generation, [{ topic, partition: 1, offset: -2, metadata: '' }])
      await membership.leave()
      await expect(log.consumer(group).run([topic], IDLE)).rejects.toThrow(PositionLost)
      await expect(log.admin().committed(group, topic)).rejects.toThrow(PositionLost)
    })

    it('fails aloud when a handler never takes its partitions up', async () => {
      const topic = await makeTopic()
      const logger = { debug() {}, warn() {} }
      const consumer = new KafkaConsumer({
        ...{ kafka: createKafka({ brokers: broker.brokers, logger }), group: `test.group.${topic}`, logger },
        ...{ names: topicNames('test.'), sessionTimeoutMs: 2000, heartbeatMs: 100, lookMs: 50 },
        onFailure: () => {},
      })
      onTestFinished(() => consumer.close())
      const running = consumer.run([topic], { ...IDLE, onAssigned: () => new Promise(() => {}) })
      await expect(running).rejects.toThrow(/stands still: assignment 1 is not taken up/)
    })

    it('fails aloud when a handler throws, and gives its partitions back', async () => {
      const topic = await makeTopic()
      const group = `group.${topic}`
      const lost = withResolvers<number>()
      const consumer = log.consumer(group)
      const failure = new Promise<Error>((resolve) => {
        onFailure = resolve
      })
      await consumer.run([topic], {
        ...IDLE,
        onBatch: async () => {
          throw new Error('the handler broke')
        },
        onLost: async (partitions) => lost.resolve(partitions.length),
      })
      await log.producer().append(topic, new Map([[1, [record('x')]]]))
      expect((await failure).message).toBe('the handler broke')
      expect(await lost.promise).toBe(PARTITIONS)
      const commit = consumer.commit([{ topic, partition: 0, offset: 0, metadata: '' }])
      await expect(commit).rejects.toThrow(CommitRefused)
    })
  })
})
