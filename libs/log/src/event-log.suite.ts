import type { TopicSpec } from '@millrace/shared'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  AppendRefused,
  type Assignment,
  CommitRefused,
  type ConsumerHandlers,
  type EventLog,
  type LogConsumer,
  type LogRecord,
  PositionLost,
  type StoredRecord,
} from './event-log.ts'

/** What an adapter brings to the contract suite. */
export interface ContractLog {
  readonly log: EventLog
  /** Another EventLog on the same data: a second thread, or a second client. */
  another(): Promise<EventLog>
  /** Closes `log` and opens the same data again. */
  reopen(): Promise<EventLog>
  /** Lets this much time pass for the log, and retention and compaction take place. */
  passTime(ms: number): Promise<void>
  close(): Promise<void>
}

const HOUR = 3_600_000
const SPEC: TopicSpec = {
  name: '',
  partitions: 3,
  cleanup: 'delete',
  retentionMs: 10 * HOUR,
  segmentMs: HOUR,
  timestamps: 'append',
  maxRecordBytes: 64 * 1024,
}

const text = (value: string): LogRecord => ({ value: Buffer.from(value) })
const texts = (records: readonly StoredRecord[]): (string | null)[] =>
  records.map(({ value }) => value?.toString() ?? null)
const offsets = (records: readonly StoredRecord[]): number[] => records.map(({ offset }) => offset)
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

async function readAll(log: EventLog, topic: string, partition: number, from = 0, to = Number.MAX_SAFE_INTEGER) {
  const records: StoredRecord[] = []
  for await (const batch of log.reader().read(topic, partition, from, to)) records.push(...batch)
  return records
}

/** A consumer that keeps what it is given, and can wait for it. */
class Collector implements ConsumerHandlers {
  assignments: readonly Assignment[] = []
  readonly records = new Map<number, StoredRecord[]>()
  readonly lost: { topic: string; partition: number }[] = []
  readonly #waiting = new Set<() => void>()
  readonly #assigned: (assignments: readonly Assignment[]) => Promise<void> | void

  constructor(assigned: (assignments: readonly Assignment[]) => Promise<void> | void = () => {}) {
    this.#assigned = assigned
  }

  async onAssigned(assignments: readonly Assignment[]): Promise<void> {
    this.assignments = assignments
    await this.#assigned(assignments)
  }
  async onBatch(_topic: string, partition: number, records: readonly StoredRecord[]): Promise<void> {
    expect(records.length).toBeGreaterThan(0)
    this.records.set(partition, [...this.of(partition), ...records])
    for (const check of this.#waiting) check()
  }
  async onLost(partitions: readonly { topic: string; partition: number }[]): Promise<void> {
    this.lost.push(...partitions)
  }

  of(partition: number): StoredRecord[] {
    return this.records.get(partition) ?? []
  }

  until(condition: (collector: this) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition(this)) return
        this.#waiting.delete(check)
        resolve()
      }
      this.#waiting.add(check)
      check()
    })
  }
}

/**
 * What every adapter of the EventLog must do, run against a real one. `open` is called once; tests make topics and groups
 * of their own.
 */
export function eventLogContract(name: string, open: () => Promise<ContractLog>): void {
  describe(`EventLog contract: ${name}`, () => {
    let contract: ContractLog
    let log: EventLog
    let names = 0

    beforeAll(async () => {
      contract = await open()
      log = contract.log
    })
    afterAll(() => contract.close())

    const makeTopic = async (spec: Partial<TopicSpec> = {}): Promise<string> => {
      const topic = `contract.${++names}`
      await log.admin().ensureTopics([{ ...SPEC, ...spec, name: topic }], 4)
      return topic
    }
    const append = (topic: string, partition: number, ...values: string[]) =>
      log.producer().append(topic, new Map([[partition, values.map(text)]]))
    const consume = async (topic: string, collector: Collector, group = `group.${++names}`): Promise<LogConsumer> => {
      const consumer = log.consumer(group)
      await consumer.run([topic], collector)
      return consumer
    }

    describe('producer', () => {
      it('answers the first offset of every partition, and offsets rise by one', async () => {
        const topic = await makeTopic()
        const producer = log.producer()
        const first = await producer.append(
          topic,
          new Map([
            [0, [text('a'), text('b')]],
            [2, [text('c')]],
          ]),
        )
        expect(first).toEqual(
          new Map([
            [0, 0],
            [2, 0],
          ]),
        )
        expect(await producer.append(topic, new Map([[0, [text('d')]]]))).toEqual(new Map([[0, 2]]))
        expect(offsets(await readAll(log, topic, 0))).toEqual([0, 1, 2])
      })

      it('keeps keys, values and headers, nulls and empty ones too', async () => {
        const topic = await makeTopic()
        const bytes = Buffer.from([0, 255, 128, 10])
        const records: LogRecord[] = [
          { key: bytes, value: bytes, headers: { one: bytes, 'zwei ü': Buffer.alloc(0) } },
          { key: null, value: null },
          { key: Buffer.alloc(0), value: Buffer.alloc(0) },
        ]
        await log.producer().append(topic, new Map([[1, records]]))
        const read = await readAll(log, topic, 1)
        expect(read.map(({ key, value, headers }) => ({ key, value, headers: { ...headers } }))).toEqual([
          { key: bytes, value: bytes, headers: { one: bytes, 'zwei ü': Buffer.alloc(0) } },
          { key: null, value: null, headers: {} },
          { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: {} },
        ])
      })

      it('writes calls for one partition in the order of the calls, awaited or not', async () => {
        const topic = await makeTopic()
        const producer = log.producer()
        const calls = range(0, 50).map((i) => producer.append(topic, new Map([[i % 2, [text(String(i))]]])))
        const bases = await Promise.all(calls)
        expect(bases.map((base, i) => base.get(i % 2))).toEqual(range(0, 50).map((i) => Math.floor(i / 2)))
        expect(texts(await readAll(log, topic, 1))).toEqual(range(0, 25).map((i) => String(2 * i + 1)))
      })

      it('appends from several clients side by side, each record once and in its own order', async () => {
        const topic = await makeTopic()
        const logs = [log, await contract.another(), await contract.another()]
        await Promise.all(
          logs.map(async (each, client) => {
            const producer = each.producer()
            for (const i of range(0, 40)) await producer.append(topic, new Map([[0, [text(`${client}/${i}`)]]]))
          }),
        )
        const read = await readAll(log, topic, 0)
        expect(offsets(read)).toEqual(range(0, 120))
        for (const client of [0, 1, 2]) {
          const own = texts(read).filter((value) => value!.startsWith(`${client}/`))
          expect(own).toEqual(range(0, 40).map((i) => `${client}/${i}`))
        }
      })

      it.each([
        ['an unknown topic', 'contract.unknown', 0, 10],
        ['a partition out of range', null, 3, 10],
        ['a record above the limit', null, 0, 64 * 1024 + 1],
      ])('refuses %s and writes nothing', async (_title, unknown, partition, bytes) => {
        const topic = await makeTopic()
        const records = new Map([
          [1, [text('neighbour')]],
          [partition, [{ value: Buffer.alloc(bytes) }]],
        ])
        await expect(log.producer().append(unknown ?? topic, records)).rejects.toThrow(AppendRefused)
        expect(await log.admin().endOffsets(topic)).toEqual(
          new Map([
            [0, 0],
            [1, 0],
            [2, 0],
          ]),
        )
      })

      it('stamps records of `append` topics with times that never go back, and keeps those of `create` topics', async () => {
        const stamped = await makeTopic()
        for (const value of ['a', 'b', 'c'])
          await log.producer().append(stamped, new Map([[0, [{ value: Buffer.from(value), timestamp: 1 }]]]))
        const times = (await readAll(log, stamped, 0)).map(({ timestamp }) => timestamp)
        expect(times[0]).toBeGreaterThan(1_600_000_000_000)
        expect([...times].sort((a, b) => a - b)).toEqual(times)
        const kept = await makeTopic({ timestamps: 'create' })
        const own = [times[0]! - 5, times[0]! - 70, times[0]! - 6]
        await log
          .producer()
          .append(kept, new Map([[0, own.map((timestamp) => ({ value: Buffer.from('x'), timestamp }))]]))
        expect((await readAll(log, kept, 0)).map(({ timestamp }) => timestamp)).toEqual(own)
      })

      it('takes records of the largest size', async () => {
        const topic = await makeTopic({ maxRecordBytes: 4 << 20 })
        const value = Buffer.alloc((4 << 20) - 1024, 'large ')
        await log.producer().append(topic, new Map([[0, [text('before'), { value }, text('after')]]]))
        const read = await readAll(log, topic, 0)
        expect(read.map((record) => record.value!.length)).toEqual([6, value.length, 5])
        expect(read[1]!.value!.equals(value)).toBe(true)
      })
    })

    describe('reader', () => {
      it('reads exactly the asked range', async () => {
        const topic = await makeTopic()
        await append(topic, 0, ...range(0, 10).map(String))
        await append(topic, 1, 'other')
        await append(topic, 0, ...range(10, 20).map(String))
        expect(texts(await readAll(log, topic, 0, 7, 13))).toEqual(range(7, 13).map(String))
        expect(await readAll(log, topic, 0, 5, 5)).toEqual([])
        expect(await readAll(log, topic, 0, 20, 99)).toEqual([])
        expect(texts(await readAll(log, topic, 0, 18, 99))).toEqual(['18', '19'])
      })

      it('begins with the offset that is asked for, however much stands before', async () => {
        const topic = await makeTopic()
        const value = Buffer.alloc(1_000, 'x')
        const producer = log.producer()
        for (const _ of range(0, 100)) await producer.append(topic, new Map([[0, range(0, 10).map(() => ({ value }))]]))
        for (const from of [1, 130, 421, 777, 999]) {
          const found: number[] = []
          for await (const batch of log.reader().read(topic, 0, from, 1_000)) found.push(...offsets(batch))
          expect(found).toEqual(range(from, 1_000))
        }
      })

      it('reads many megabytes in batches of moderate size', async () => {
        const topic = await makeTopic()
        const value = Buffer.alloc(50_000, 'x')
        const producer = log.producer()
        for (const _ of range(0, 20))
          await producer.append(
            topic,
            new Map([
              [0, [{ value }, { value }, { value }]],
              [1, [{ value }, { value }]],
            ]),
          )
        let count = 0
        for await (const batch of log.reader().read(topic, 0, 0, 1000)) {
          expect(offsets(batch)).toEqual(range(count, count + batch.length))
          expect(batch.length * value.length).toBeLessThan(4 << 20)
          count += batch.length
        }
        expect(count).toBe(60)
      })

      it('follows a topic from its oldest record, tells when it caught up, and goes on', async () => {
        const topic = await makeTopic()
        await append(topic, 0, 'a')
        await append(topic, 2, 'b')
        const seen: string[] = []
        let wake = (): void => {}
        const following = log.reader().follow(topic, (partition, records) => {
          for (const value of texts(records)) seen.push(`${partition}${value}`)
          wake()
        })
        await following.caughtUp
        expect(seen.sort()).toEqual(['0a', '2b'])
        const third = new Promise<void>((resolve) => {
          wake = resolve
        })
        await append(topic, 1, 'c')
        await third
        expect(seen.at(-1)).toBe('1c')
        await following.stop()
        await following.done
      })

      it('catches up at once with an empty topic', async () => {
        const following = log.reader().follow(await makeTopic(), () => {})
        await following.caughtUp
        await following.stop()
      })

      it('ends following when the receiver throws', async () => {
        const topic = await makeTopic()
        await append(topic, 0, 'poison')
        const following = log.reader().follow(topic, () => {
          throw new Error('cannot take it')
        })
        await expect(following.caughtUp).rejects.toThrow('cannot take it')
        await expect(following.done).rejects.toThrow('cannot take it')
      })
    })

    describe('consumer', () => {
      it('gets all partitions with their positions, then the records in order', async () => {
        const topic = await makeTopic()
        await append(topic, 0, 'a', 'b')
        const collector = new Collector()
        const consumer = await consume(topic, collector)
        expect([...collector.assignments].sort((a, b) => a.partition - b.partition)).toEqual([
          { topic, partition: 0, committed: null, low: 0, end: 2 },
          { topic, partition: 1, committed: null, low: 0, end: 0 },
          { topic, partition: 2, committed: null, low: 0, end: 0 },
        ])
        await append(topic, 0, 'c')
        await append(topic, 1, 'd')
        await collector.until((c) => c.of(0).length === 3 && c.of(1).length === 1)
        expect(texts(collector.of(0))).toEqual(['a', 'b', 'c'])
        await consumer.close()
      })

      it('delivers what another client appends', async () => {
        const topic = await makeTopic()
        const collector = new Collector()
        const consumer = await consume(topic, collector)
        const another = await contract.another()
        await another.producer().append(topic, new Map([[2, [text('from elsewhere')]]]))
        await collector.until((c) => c.of(2).length === 1)
        await consumer.close()
      })

      it('starts at the committed position, with its metadata, after closing and opening again', async () => {
        const topic = await makeTopic()
        const group = `group.${++names}`
        await append(topic, 0, 'a', 'b', 'c')
        await append(topic, 1, 'd', 'e')
        const first = await consume(topic, new Collector(), group)
        const metadata = `ü"\n${'x'.repeat(4000)}`
        await first.commit([
          { topic, partition: 0, offset: 2, metadata },
          { topic, partition: 1, offset: 1, metadata: '' },
        ])
        await first.close()
        log = await contract.reopen()
        const committed = new Map([
          [0, { offset: 2, metadata }],
          [1, { offset: 1, metadata: '' }],
        ])
        expect(await log.admin().committed(group, topic)).toEqual(committed)
        const collector = new Collector()
        const second = await consume(topic, collector, group)
        for (const { partition, committed: position } of collector.assignments)
          expect(position).toEqual(committed.get(partition) ?? null)
        await collector.until((c) => c.of(0).length === 1 && c.of(1).length === 1)
        expect([...texts(collector.of(0)), ...texts(collector.of(1))]).toEqual(['c', 'e'])
        await second.close()
      })

      it('commits all positions of a call or none', async () => {
        const topic = await makeTopic()
        const group = `group.${++names}`
        const consumer = await consume(topic, new Collector(), group)
        await consumer.commit([{ topic, partition: 0, offset: 0, metadata: 'before' }])
        const positions = [
          { topic, partition: 0, offset: 0, metadata: 'after' },
          { topic, partition: 7, offset: 0, metadata: 'after' },
        ]
        await expect(consumer.commit(positions)).rejects.toThrow(CommitRefused)
        expect(await log.admin().committed(group, topic)).toEqual(new Map([[0, { offset: 0, metadata: 'before' }]]))
        await consumer.close()
      })

      it('refuses commits after it was closed, and tells that its partitions are lost', async () => {
        const topic = await makeTopic()
        const group = `group.${++names}`
        await append(topic, 0, 'a')
        const collector = new Collector()
        const consumer = await consume(topic, collector, group)
        await consumer.commit([{ topic, partition: 0, offset: 0, metadata: 'mine' }])
        await consumer.close()
        expect(collector.lost.map(({ partition }) => partition).sort()).toEqual([0, 1, 2])
        const late = consumer.commit([{ topic, partition: 0, offset: 1, metadata: 'late' }])
        await expect(late).rejects.toThrow(CommitRefused)
        expect(await log.admin().committed(group, topic)).toEqual(new Map([[0, { offset: 0, metadata: 'mine' }]]))
      })

      it('delivers nothing before the assignment was handled, and starts where that sought', async () => {
        const topic = await makeTopic()
        await append(topic, 0, ...range(0, 5).map(String))
        const consumer = log.consumer(`group.${++names}`)
        let handled = false
        const collector = new Collector(async () => {
          consumer.seek(topic, 0, 3)
          await log.admin().endOffsets(topic)
          expect(collector.of(0)).toEqual([])
          handled = true
        })
        await consumer.run([topic], collector)
        expect(handled).toBe(true)
        await collector.until((c) => c.of(0).length === 2)
        expect(offsets(collector.of(0))).toEqual([3, 4])
        await consumer.close()
      })

      it('seeks back and forth: what comes next is the first record at or after the offset', async () => {
        const topic = await makeTopic()
        await append(topic, 0, ...range(0, 100).map(String))
        const collector = new Collector()
        const consumer = await consume(topic, collector)
        await collector.until((c) => c.of(0).length === 100)
        collector.records.clear()
        consumer.seek(topic, 0, 90)
        await collector.until((c) => c.of(0).length === 10)
        expect(offsets(collector.of(0))).toEqual(range(90, 100))
        collector.records.clear()
        consumer.seek(topic, 0, 102)
        await append(topic, 0, ...range(100, 105).map(String))
        await collector.until((c) => c.of(0).length === 3)
        expect(offsets(collector.of(0))).toEqual([102, 103, 104])
        await consumer.close()
      })

      it('lets the last of several seeks count, also from within a batch', async () => {
        const topic = await makeTopic()
        await append(topic, 0, ...range(0, 30).map(String))
        const consumer = log.consumer(`group.${++names}`)
        const seen: number[][] = []
        const finished = new Promise<void>((resolve) => {
          const handlers = new Collector()
          handlers.onBatch = async (_topic, _partition, records) => {
            seen.push(offsets(records))
            if (seen.length === 1) {
              consumer.seek(topic, 0, 5)
              consumer.seek(topic, 0, 25)
            }
            if (records.at(-1)!.offset === 29 && seen.length > 1) resolve()
          }
          void consumer.run([topic], handlers)
        })
        await finished
        expect(seen[1]![0]).toBe(25)
        expect(seen.slice(1).flat()).toEqual(range(25, 30))
        await consumer.close()
      })

      it('delivers nothing of a paused partition, and all of it after resuming', async () => {
        const topic = await makeTopic()
        const consumer = log.consumer(`group.${++names}`)
        const collector = new Collector(() => consumer.pause(topic, [0]))
        await consumer.run([topic], collector)
        for (const i of range(0, 20)) {
          await append(topic, 0, String(i))
          await append(topic, 1, String(i))
        }
        await collector.until((c) => c.of(1).length === 20)
        expect(collector.of(0)).toEqual([])
        consumer.resume(topic, [0])
        await collector.until((c) => c.of(0).length === 20)
        expect(offsets(collector.of(0))).toEqual(range(0, 20))
        await consumer.close()
      })

      it('stops at once when paused from within a batch', async () => {
        const topic = await makeTopic()
        const value = Buffer.alloc(60_000)
        for (const _ of range(0, 10))
          await log.producer().append(topic, new Map([[0, range(0, 10).map(() => ({ value }))]]))
        const consumer = log.consumer(`group.${++names}`)
        const collector = new Collector()
        const keep = collector.onBatch.bind(collector)
        collector.onBatch = async (each, partition, records) => {
          if (partition === 0) consumer.pause(topic, [0])
          await keep(each, partition, records)
        }
        await consumer.run([topic], collector)
        await collector.until((c) => c.of(0).length > 0)
        const before = collector.of(0).length
        await append(topic, 1, 'neighbour')
        await collector.until((c) => c.of(1).length === 1)
        expect(collector.of(0).length).toBe(before)
        while (collector.of(0).length < 100) {
          const have = collector.of(0).length
          consumer.resume(topic, [0])
          await collector.until((c) => c.of(0).length > have)
        }
        expect(offsets(collector.of(0))).toEqual(range(0, 100))
        await consumer.close()
      })

      it('hands over one batch of a partition at a time while other partitions go on', async () => {
        const topic = await makeTopic()
        let release = (): void => {}
        const held = new Promise<void>((resolve) => {
          release = resolve
        })
        let inside = 0
        const collector = new Collector()
        const keep = collector.onBatch.bind(collector)
        collector.onBatch = async (each, partition, records) => {
          if (partition === 0) {
            expect(++inside).toBe(1)
            await held
            inside--
          }
          await keep(each, partition, records)
        }
        const consumer = await consume(topic, collector)
        for (const i of range(0, 10)) {
          await append(topic, 0, String(i))
          await append(topic, 1, String(i))
        }
        await collector.until((c) => c.of(1).length === 10)
        expect(collector.of(0)).toEqual([])
        release()
        await collector.until((c) => c.of(0).length === 10)
        expect(offsets(collector.of(0))).toEqual(range(0, 10))
        await consumer.close()
      })

      it('stays behind no record when one partition is far ahead of the others', async () => {
        const topic = await makeTopic()
        const value = Buffer.alloc(60_000)
        const consumer = log.consumer(`group.${++names}`)
        const collector = new Collector(() => consumer.pause(topic, [0, 2]))
        await consumer.run([topic], collector)
        const producer = log.producer()
        for (const i of range(0, 90)) await producer.append(topic, new Map([[i % 3, [{ value }, text(String(i))]]]))
        await collector.until((c) => c.of(1).length === 60)
        consumer.resume(topic, [0])
        await append(topic, 1, 'more')
        await collector.until((c) => c.of(0).length === 60 && c.of(1).length === 61)
        consumer.resume(topic, [2])
        await collector.until((c) => c.of(2).length === 60)
        for (const partition of [0, 2]) expect(offsets(collector.of(partition))).toEqual(range(0, 60))
        await consumer.close()
      })

      it('stops with PositionLost when the log does not reach to the committed position', async () => {
        const topic = await makeTopic()
        const group = `group.${++names}`
        const consumer = await consume(topic, new Collector(), group)
        await consumer.commit([{ topic, partition: 0, offset: 5, metadata: '' }])
        await consumer.close()
        await expect(log.consumer(group).run([topic], new Collector())).rejects.toThrow(PositionLost)
      })

      it('shows a hole in front of the committed position to those who look for it, and fails for others', async () => {
        const topic = await makeTopic()
        const group = `group.${++names}`
        await append(topic, 0, 'enriched', 'gone', 'gone')
        const before = await consume(topic, new Collector(), group)
        await before.commit([{ topic, partition: 0, offset: 1, metadata: 'here' }])
        await before.close()
        await contract.passTime(2 * HOUR)
        await append(topic, 0, 'young')
        await contract.passTime(9 * HOUR)
        await expect(log.consumer(group).run([topic], new Collector())).rejects.toThrow(PositionLost)

        const collector = Object.assign(new Collector(), { seesHoles: true })
        const consumer = await consume(topic, collector, group)
        const [hole] = collector.assignments.filter(({ partition }) => partition === 0)
        expect(hole).toMatchObject({ committed: { offset: 1, metadata: 'here' }, low: 3, end: 4 })
        await collector.until((c) => c.of(0).length === 1)
        expect(texts(collector.of(0))).toEqual(['young'])
        await consumer.close()
      })
    })

    describe('admin', () => {
      it('makes topics once, and refuses another number of partitions', async () => {
        const topic = await makeTopic()
        await append(topic, 2, 'kept')
        await log.admin().ensureTopics([{ ...SPEC, name: topic }], 9)
        expect(await log.admin().partitions(topic)).toBe(3)
        await expect(log.admin().ensureTopics([{ ...SPEC, name: topic, partitions: 4 }], 9)).rejects.toThrow(
          'partitions',
        )
        expect(texts(await readAll(log, topic, 2))).toEqual(['kept'])
        await expect(log.admin().partitions('contract.unknown')).rejects.toThrow()
      })

      it('gives topics of hits the asked number of partitions', async () => {
        expect(await log.admin().partitions(await makeTopic({ partitions: 'hits' }))).toBe(4)
      })

      it('has the records and the offsets after closing and opening again', async () => {
        const topic = await makeTopic()
        await append(topic, 0, 'a', 'b')
        await append(topic, 2, 'c')
        log = await contract.reopen()
        const ends = new Map([
          [0, 2],
          [1, 0],
          [2, 1],
        ])
        expect(await log.admin().endOffsets(topic)).toEqual(ends)
        expect(texts(await readAll(log, topic, 0))).toEqual(['a', 'b'])
        expect(await append(topic, 0, 'd')).toEqual(new Map([[0, 2]]))
        expect(await log.epoch()).toBe(1)
      })

      it('finds the first offset at or after a time, and the end where there is none', async () => {
        const topic = await makeTopic({ timestamps: 'create' })
        const now = Date.now()
        const at = (timestamp: number): LogRecord => ({ value: Buffer.from('x'), timestamp })
        const producer = log.producer()
        await producer.append(topic, new Map([[0, [at(now - 50), at(now - 40)]]]))
        await producer.append(topic, new Map([[1, [at(now - 30)]]]))
        await producer.append(topic, new Map([[0, [at(now - 20), at(now - 10)]]]))
        const find = async (time: number) => [...(await log.admin().offsetsForTime(topic, time))].sort()
        const expected = (first: number, second: number) => [
          [0, first],
          [1, second],
          [2, 0],
        ]
        expect(await find(now - 60)).toEqual(expected(0, 0))
        expect(await find(now - 40)).toEqual(expected(1, 0))
        expect(await find(now - 29)).toEqual(expected(2, 1))
        expect(await find(now - 15)).toEqual(expected(3, 1))
        expect(await find(now)).toEqual(expected(4, 1))
      })

      it('forgets records after their retention, never an offset', async () => {
        const topic = await makeTopic()
        await append(topic, 0, 'old', 'old')
        await append(topic, 1, 'old')
        await contract.passTime(2 * HOUR)
        await append(topic, 0, 'young')
        await contract.passTime(9 * HOUR)
        const lows = new Map([
          [0, 2],
          [1, 1],
          [2, 0],
        ])
        expect(await log.admin().lowOffsets(topic)).toEqual(lows)
        expect(texts(await readAll(log, topic, 0))).toEqual(['young'])
        expect(await readAll(log, topic, 1)).toEqual([])
        await contract.passTime(11 * HOUR)
        log = await contract.reopen()
        expect(await readAll(log, topic, 0)).toEqual([])
        expect(await append(topic, 0, 'new')).toEqual(new Map([[0, 3]]))
        expect(await append(topic, 1, 'new')).toEqual(new Map([[1, 1]]))
      })

      it('keeps the last value of each key of a compacted topic, and drops what was deleted', async () => {
        const topic = await makeTopic({ cleanup: 'compact', partitions: 1, retentionMs: 0 })
        const set = (key: string, value: string | null) => {
          const record = { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
          return log.producer().append(topic, new Map([[0, [record]]]))
        }
        await set('a', '1')
        await set('b', '1')
        await set('a', '2')
        await set('c', '1')
        await set('c', null)
        await contract.passTime(2 * HOUR)
        await set('b', '2')
        await contract.passTime(26 * HOUR)
        await set('d', '1')
        await contract.passTime(2 * HOUR)
        const read = await readAll(log, topic, 0)
        expect(read.map(({ key, value }) => `${key}=${value}`)).toEqual(['a=2', 'b=2', 'd=1'])
        expect(offsets(read)).toEqual([2, 5, 6])
        const followed: number[] = []
        const following = log.reader().follow(topic, (_, records) => {
          followed.push(...offsets(records))
        })
        await following.caughtUp
        await following.stop()
        expect(followed).toEqual([2, 5, 6])
      })
    })
  })
}
