import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StoredRecord } from '../event-log.ts'
import { type EmbeddedLog, openEmbeddedLog } from './open.ts'
import { removeTemporaryFolders, SPEC, temporaryFolder } from './topic-log.fixture.ts'

const PARTITIONS = 3
const partition = fc.nat(PARTITIONS - 1)
const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('append' as const), partition, count: fc.integer({ min: 1, max: 400 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('pause' as const), partition }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('resume' as const), partition }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('seek' as const), partition, back: fc.integer({ min: -20, max: 600 }) }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('turn' as const), turns: fc.integer({ min: 1, max: 8 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('roll' as const) }) },
  ),
  { minLength: 15, maxLength: 60 },
)

/** What a consumer must do, as a few numbers: the offset that must come next, whether it may come, and when all is there. */
class Model {
  readonly ends = new Array<number>(PARTITIONS).fill(0)
  readonly next = new Array<number>(PARTITIONS).fill(0)
  readonly paused = new Array<boolean>(PARTITIONS).fill(false)
  #finish: (() => void) | null = null

  deliver(partition: number, records: readonly StoredRecord[]): void {
    expect(this.paused[partition]).toBe(false)
    for (const { offset } of records) expect(offset).toBe(this.next[partition]!++)
    this.#check()
  }

  /** Resolves when everything appended was delivered. */
  finished(): Promise<void> {
    return new Promise((resolve) => {
      this.#finish = resolve
      this.#check()
    })
  }
  #check(): void {
    if (this.next.every((next, partition) => next >= this.ends[partition]!)) this.#finish?.()
  }
}

describe('a consumer of the embedded log', () => {
  let log: EmbeddedLog
  const clock = new Float64Array(new SharedArrayBuffer(8))
  let topics = 0
  beforeAll(async () => {
    log = await openEmbeddedLog({ dir: temporaryFolder(), hitPartitions: 1, clock, segmentBytes: 1 << 21 })
  })
  afterAll(async () => {
    await log.close()
    removeTemporaryFolders()
  })

  it('delivers every record once, in order and never while paused, whatever is paused, resumed and sought', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(4), fc.constantFrom(20, 10_000), async (list, slowness, bytes) => {
        const topic = `model.${++topics}`
        await log.admin().ensureTopics([{ ...SPEC, partitions: PARTITIONS, name: topic }], 1)
        const model = new Model()
        const appended: Promise<unknown>[] = []
        const consumer = log.consumer(topic)
        const producer = log.producer()
        await consumer.run([topic], {
          onAssigned: async () => {},
          onBatch: async (_topic, each, records) => {
            model.deliver(each, records)
            // So slow that records wait behind the batch.
            for (let turn = 0; turn < slowness; turn++) await setImmediate()
          },
          onLost: async () => {},
        })
        for (const step of list) {
          if (step.do === 'append') {
            model.ends[step.partition]! += step.count
            const records = Array.from({ length: step.count }, () => ({ value: Buffer.alloc(bytes) }))
            appended.push(producer.append(topic, new Map([[step.partition, records]])))
          } else if (step.do === 'pause') {
            consumer.pause(topic, [step.partition])
            model.paused[step.partition] = true
          } else if (step.do === 'resume') {
            model.paused[step.partition] = false
            consumer.resume(topic, [step.partition])
          } else if (step.do === 'seek') {
            const offset = Math.max(0, model.next[step.partition]! - step.back)
            // An offset that the records appended so far do not reach would leave nothing to wait for.
            model.next[step.partition] = Math.min(offset, model.ends[step.partition]!)
            consumer.seek(topic, step.partition, model.next[step.partition]!)
          } else if (step.do === 'settle') {
            await Promise.all(appended)
          } else if (step.do === 'roll') {
            clock[0] = (clock[0] || Date.now()) + SPEC.segmentMs
            void log.maintain()
          } else for (let turn = 0; turn < step.turns; turn++) await setImmediate()
        }
        model.paused.fill(false)
        consumer.resume(topic, [0, 1, 2])
        await model.finished()
        expect(model.next).toEqual(model.ends)
        await consumer.close()
      }),
      { numRuns: 30 },
    )
  }, 60_000)

  it('tells of a handler that throws, and delivers no more', async () => {
    await log.admin().ensureTopics([{ ...SPEC, name: 'throws' }], 1)
    const failed = new Promise<Error>((resolve) => {
      const { client } = log as unknown as { client: { onFailure: (error: Error) => void } }
      client.onFailure = resolve
    })
    const consumer = log.consumer('throws')
    let batches = 0
    await log.producer().append('throws', new Map([[0, [{ value: null }]]]))
    await consumer.run(['throws'], {
      onAssigned: async () => {},
      onBatch: async () => {
        batches++
        throw new Error('not done')
      },
      onLost: async () => {},
    })
    expect((await failed).message).toBe('not done')
    await log.producer().append('throws', new Map([[0, [{ value: null }]]]))
    expect(batches).toBe(1)
    await consumer.close()
  })
})
