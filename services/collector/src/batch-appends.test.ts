import { AppendInDoubt, AppendRefused, type LogProducer, type LogRecord } from '@millrace/log'
import { MillraceError } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { type BatchedSink, type BatchLimits, batchAppends, DEFAULT_LIMITS, type Refuge } from './batch-appends.ts'
import type { Facts } from './facts.ts'
import { silentFacts } from './silent.fixture.ts'
import type { Doubt } from './spool/spool.ts'
import type { PartitionLine } from './stamp-lines.ts'

type Append = Map<number, string[]>

/** A log that answers when the test says so. */
class GatedLog implements LogProducer {
  readonly appends: Append[] = []
  readonly #open: { resolve: (offsets: Map<number, number>) => void; reject: (error: Error) => void }[] = []
  #started: (() => void)[] = []

  append(_topic: string, perPartition: ReadonlyMap<number, readonly LogRecord[]>): Promise<Map<number, number>> {
    const texts = [...perPartition].map(([p, records]) => [p, records.map(({ value }) => value!.toString())] as const)
    this.appends.push(new Map(texts))
    const answer = new Promise<Map<number, number>>((resolve, reject) => this.#open.push({ resolve, reject }))
    for (const tell of this.#started) tell()
    this.#started = []
    return answer
  }

  /** Resolves when the nth append has begun. */
  async begun(nth: number): Promise<Append> {
    while (this.appends.length < nth) await new Promise<void>((tell) => this.#started.push(tell))
    return this.appends[nth - 1]!
  }

  /** Resolves when whoever waited for an acknowledgement has gone on. */
  async answered(): Promise<void> {
    await new Promise((turn) => setImmediate(turn))
  }

  acknowledge(): void {
    this.#open.shift()!.resolve(new Map())
  }

  fail(error: Error): void {
    this.#open.shift()!.reject(error)
  }

  async close(): Promise<void> {}
}

const facts = (): Facts & { answers: boolean[]; bytes: number } => ({
  ...silentFacts(),
  answers: [],
  bytes: 0,
  logAnswers(answers) {
    this.answers.push(answers)
  },
  inFlightBytes(bytes) {
    this.bytes = bytes
  },
})

function start(limits: Partial<BatchLimits> = {}): {
  log: GatedLog
  sink: BatchedSink
  told: ReturnType<typeof facts>
} {
  const log = new GatedLog()
  const told = facts()
  return { log, told, sink: batchAppends(log, 'hits.raw', { ...DEFAULT_LIMITS, ...limits }, told) }
}

const line = (text: string, partition = 0, hits = 1): PartitionLine => ({ text, partition, hits })
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'durable',
    (error: { code: string }) => error.code,
  )

describe('batchAppends', () => {
  it('it answers only after the log has acknowledged', async () => {
    const { log, sink, told } = start()
    let durable = false
    const put = sink.put([line('a')]).then(() => {
      durable = true
    })
    await log.begun(1)
    expect(durable).toBe(false)
    expect(told.bytes).toBe(2)
    log.acknowledge()
    await put
    expect(told.bytes).toBe(0)
  })

  it('it gathers what comes during an append into the next, by partition and in order', async () => {
    const { log, sink } = start()
    const puts = [sink.put([line('a')])]
    await log.begun(1)
    puts.push(sink.put([line('b', 1), line('c', 2)]), sink.put([line('d', 1)]))
    expect(log.appends).toHaveLength(1)
    log.acknowledge()
    expect(await log.begun(2)).toEqual(
      new Map([
        [1, ['b\nd\n']],
        [2, ['c\n']],
      ]),
    )
    log.acknowledge()
    await Promise.all(puts)
  })

  it('it takes all of one turn of the event loop into one append', async () => {
    const { log, sink } = start()
    const puts = ['a', 'b', 'c'].map((text) => sink.put([line(text)]))
    expect(await log.begun(1)).toEqual(new Map([[0, ['a\nb\nc\n']]]))
    log.acknowledge()
    await Promise.all(puts)
  })

  it('it keeps records within 256 KB and 1,000 hits', async () => {
    const { log, sink } = start({ maxBatchBytes: 4 << 20 })
    const large = 'x'.repeat(100 * 1024)
    const puts = [...Array(5)].map(() => sink.put([line(large, 0)]))
    puts.push(...[...Array(11)].map(() => sink.put([line('y', 1, 100)])))
    const append = await log.begun(1)
    expect(append.get(0)!.map((text) => text.length)).toEqual([204_802, 204_802, 102_401])
    expect(append.get(1)!.map((text) => text.length)).toEqual([20, 2])
    log.acknowledge()
    await Promise.all(puts)
  })

  it('it begins another append when a batch is full', async () => {
    const { log, sink } = start({ maxBatchBytes: 10 })
    const puts = ['aaaaaaaaaa', 'bbbbbbbbbb', 'c'].map((text) => sink.put([line(text)]))
    for (const [i, text] of ['aaaaaaaaaa\n', 'bbbbbbbbbb\n', 'c\n'].entries()) {
      expect(await log.begun(i + 1)).toEqual(new Map([[0, [text]]]))
      log.acknowledge()
    }
    await Promise.all(puts)
  })

  it('it repeats a failed append with identical bytes before anything newer', async () => {
    const { log, sink, told } = start()
    const first = sink.put([line('a')])
    await log.begun(1)
    const second = sink.put([line('b')])
    log.fail(new AppendInDoubt('?'))
    await log.begun(2)
    log.fail(new Error('connection reset'))
    await log.begun(3)
    log.acknowledge()
    await first
    await log.begun(4)
    log.acknowledge()
    await second
    expect(log.appends.map((append) => append.get(0)![0])).toEqual(['a\n', 'a\n', 'a\n', 'b\n'])
    expect(told.answers).toEqual([true, true])
  })

  it('it says log_unavailable at once when the log refuses', async () => {
    const { log, sink, told } = start()
    const put = codeOf(sink.put([line('a')]))
    await log.begun(1)
    log.fail(new AppendRefused('too large'))
    expect(await put).toBe('log_unavailable')
    expect(told.answers).toEqual([])
  })

  it('it gives up on a log that only fails, refuses at once while it does, and recovers', async () => {
    const { log, sink, told } = start({ giveUpMs: 30 })
    const put = codeOf(sink.put([line('a')]))
    let failures = 0
    for (; told.answers.length === 0; failures++) {
      await log.begun(failures + 1)
      log.fail(new AppendInDoubt('?'))
    }
    expect(await put).toBe('log_unavailable')
    expect(await codeOf(sink.put([line('b')]))).toBe('log_unavailable')
    await log.begun(failures + 1)
    log.acknowledge()
    await log.answered()
    const next = sink.put([line('c')])
    await log.begun(failures + 2)
    log.acknowledge()
    await next
    expect(log.appends.map((append) => append.get(0)![0])).toEqual([...Array(failures + 1).fill('a\n'), 'c\n'])
    expect(told.answers).toEqual([false, true, true])
  })

  it('it gives up on a log that never answers, refuses until it does, and recovers', async () => {
    const { log, sink, told } = start({ giveUpMs: 30 })
    const first = codeOf(sink.put([line('a')]))
    await log.begun(1)
    const second = codeOf(sink.put([line('b')]))
    expect(await first).toBe('log_unavailable')
    expect(await second).toBe('log_unavailable')
    expect(told.bytes).toBe(0)
    expect(await codeOf(sink.put([line('c')]))).toBe('log_unavailable')
    log.acknowledge()
    await log.answered()
    const last = sink.put([line('d')])
    await log.begun(2)
    log.acknowledge()
    await last
    expect(log.appends.map((append) => append.get(0)![0])).toEqual(['a\n', 'd\n'])
    expect(told.answers.at(-1)).toBe(true)
  })

  it('it refuses hits beyond its limit of bytes, until some are durable', async () => {
    const { log, sink } = start({ maxInFlightBytes: 10 })
    const first = sink.put([line('x'.repeat(20))])
    expect(await codeOf(sink.put([line('y')]))).toBe('overloaded')
    await log.begun(1)
    log.acknowledge()
    await first
    const second = sink.put([line('z')])
    await log.begun(2)
    log.acknowledge()
    await second
  })

  it('it appends and answers what is queued before it is closed', async () => {
    const { log, sink } = start({ lingerMs: 60_000 })
    const first = sink.put([line('a')])
    await log.begun(1)
    const second = sink.put([line('b')])
    const closed = sink.close()
    expect(await codeOf(sink.put([line('c')]))).toBe('shutting_down')
    log.acknowledge()
    await first
    await log.begun(2)
    log.acknowledge()
    await second
    await closed
    expect(log.appends).toHaveLength(2)
  })

  it('it appends what lingers when it is closed', async () => {
    const { log, sink } = start({ lingerMs: 60_000 })
    const first = sink.put([line('a')])
    await log.begun(1)
    log.acknowledge()
    await first
    const second = sink.put([line('b')])
    const closed = sink.close()
    await log.begun(2)
    log.acknowledge()
    await second
    await closed
  })

  it('it closes although the log never answers', async () => {
    const { log, sink } = start({ giveUpMs: 20 })
    const put = codeOf(sink.put([line('a')]))
    await log.begun(1)
    await sink.close()
    expect(await put).toBe('log_unavailable')
    await sink.close()
  })

  it('it is closed at once when nothing waits', async () => {
    await start().sink.close()
  })
})

/** A spool that has what it is given when the test says so. */
class Shelter implements Refuge {
  occupied = false
  readonly puts: { lines: string[]; doubt: Doubt | undefined; done: () => void; fail: (error: Error) => void }[] = []

  put(lines: readonly PartitionLine[], doubt?: Doubt): Promise<void> {
    this.occupied = true
    return new Promise((done, fail) => {
      this.puts.push({ lines: lines.map(({ text }) => text), doubt, done, fail })
    })
  }

  get texts(): string[][] {
    return this.puts.map(({ lines }) => lines)
  }
}

describe('batchAppends with a refuge', () => {
  function startWithRefuge(limits: Partial<BatchLimits> = {}): { log: GatedLog; sink: BatchedSink; shelter: Shelter } {
    const log = new GatedLog()
    const shelter = new Shelter()
    const sink = batchAppends(log, 'hits.raw', { ...DEFAULT_LIMITS, spoolAfterMs: 30, ...limits }, facts(), shelter)
    return { log, sink, shelter }
  }
  const filled = async (shelter: Shelter, count: number): Promise<void> => {
    while (shelter.puts.length < count) await new Promise((turn) => setTimeout(turn, 1))
  }

  it('it brings there what the log does not answer, then what waits, then what comes', async () => {
    const { log, sink, shelter } = startWithRefuge({ maxBatchBytes: 2 })
    const puts = [sink.put([line('a')])]
    await log.begun(1)
    puts.push(sink.put([line('b')]), sink.put([line('c')]))
    await filled(shelter, 3)
    puts.push(sink.put([line('d')]))
    expect(shelter.texts).toEqual([['a'], ['b'], ['c'], ['d']])
    expect(shelter.puts.map(({ doubt }) => doubt !== undefined)).toEqual([true, false, false, false])
    for (const { done } of shelter.puts) done()
    await Promise.all(puts)
    log.acknowledge()
    expect(await shelter.puts[0]!.doubt!.outcome).toBe(true)
    await sink.idle()
    expect(log.appends).toHaveLength(1)
  })

  it('it brings there at once what failed, and does not repeat it', async () => {
    const { log, sink, shelter } = startWithRefuge({ spoolAfterMs: 60_000 })
    const put = sink.put([line('a')])
    await log.begun(1)
    log.fail(new AppendInDoubt('?'))
    await filled(shelter, 1)
    expect(await shelter.puts[0]!.doubt!.outcome).toBe(false)
    shelter.puts[0]!.done()
    await put
    await sink.idle()
    expect(log.appends).toHaveLength(1)
  })

  it('it answers what comes first: the log or the refuge', async () => {
    const { log, sink, shelter } = startWithRefuge()
    const put = sink.put([line('a')])
    await log.begun(1)
    await filled(shelter, 1)
    log.acknowledge()
    await put
  })

  it('it refuses what neither takes, and hits that the log refuses for good', async () => {
    const { log, sink, shelter } = startWithRefuge()
    const put = codeOf(sink.put([line('a')]))
    await log.begun(1)
    await filled(shelter, 1)
    shelter.puts[0]!.fail(new MillraceError('log_unavailable', 'full'))
    expect(await put).toBe('log_unavailable')
    shelter.occupied = false
    log.acknowledge()
    await sink.idle()
    const refused = codeOf(sink.put([line('b')]))
    await log.begun(2)
    log.fail(new AppendRefused('too large'))
    expect(await refused).toBe('log_unavailable')
    expect(shelter.puts).toHaveLength(1)
  })

  it('it holds hits back in memory until they are released, or late', async () => {
    const { log, sink, shelter } = startWithRefuge()
    shelter.occupied = true
    sink.hold()
    const held = sink.put([line('a')])
    await log.answered()
    expect([log.appends.length, shelter.puts.length]).toEqual([0, 0])
    shelter.occupied = false
    sink.release()
    expect(await log.begun(1)).toEqual(new Map([[0, ['a\n']]]))
    log.acknowledge()
    await held

    shelter.occupied = true
    sink.hold()
    const late = sink.put([line('b')])
    await filled(shelter, 1)
    const behind = sink.put([line('c')])
    expect(shelter.texts).toEqual([['b'], ['c']])
    for (const { done } of shelter.puts) done()
    await Promise.all([late, behind])
  })

  it('it counts what waits for the refuge among the bytes in flight', async () => {
    const { sink, shelter } = startWithRefuge({ maxInFlightBytes: 10 })
    shelter.occupied = true
    const first = sink.put([line('x'.repeat(20))])
    expect(await codeOf(sink.put([line('y')]))).toBe('overloaded')
    shelter.puts[0]!.done()
    await first
    const second = sink.put([line('z')])
    shelter.puts[1]!.done()
    await second
  })

  it('it closes when the refuge has what the log does not answer, and what was held', async () => {
    for (const hold of [false, true]) {
      const { log, sink, shelter } = startWithRefuge()
      if (hold) sink.hold()
      const put = sink.put([line('a')])
      if (!hold) await log.begun(1)
      const closed = sink.close()
      await filled(shelter, 1)
      shelter.puts[0]!.done()
      await Promise.all([put, closed])
    }
  })
})
