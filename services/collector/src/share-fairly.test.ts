import type { MillraceError } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { type CrowdedSink, shareFairly } from './share-fairly.ts'
import { silentFacts } from './silent.fixture.ts'
import type { PartitionLine, SiteLine } from './stamp-lines.ts'

const KB = 1_024
const limits = { shareAboveBytes: 4 * KB, maxInFlightBytes: 104 * KB, maxWaitMs: 1_000 }

/** A log that takes what it was told, when it is told. */
function slowSink() {
  const waiting: { lines: readonly PartitionLine[]; bytes: number; resolve: () => void; reject: (e: Error) => void }[] =
    []
  const order: string[] = []
  let inFlight = 0
  let room = (): void => undefined
  let closed = false
  const clock = { nowMs: 0 }
  const sink: CrowdedSink = {
    put: (lines) => {
      if (closed) return Promise.reject(new Error('closed'))
      const bytes = lines.reduce((sum, { text }) => sum + text.length, 0)
      inFlight += bytes
      for (const { text } of lines) order.push(text.trim())
      return new Promise((resolve, reject) => waiting.push({ lines, bytes, resolve, reject }))
    },
    inFlightBytes: () => inFlight,
    onRoom: (listener) => {
      room = listener
    },
    close: async () => {
      closed = true
      while (take());
    },
  }
  /** Ends the oldest put. */
  function take(error?: Error): boolean {
    const put = waiting.shift()
    if (!put) return false
    inFlight -= put.bytes
    if (error) put.reject(error)
    else put.resolve()
    room()
    return true
  }
  return { sink, order, take, clock, fair: shareFairly(sink, limits, silentFacts(), () => clock.nowMs) }
}

const line = (site: string, name: string, kilobytes = 4): SiteLine => ({
  partition: 0,
  site,
  text: name.padEnd(kilobytes * KB),
  hits: 1,
})

describe('shareFairly', () => {
  it('it lets everything through while the log keeps up', async () => {
    const { fair, order, take } = slowSink()
    const put = fair.put([line('a', 'a1')])
    expect(order).toEqual(['a1'])
    take()
    await put
  })

  it('it lets a site that sends little in after one turn of one that floods', async () => {
    const { fair, order, take } = slowSink()
    const flood = Array.from({ length: 12 }, (_, i) => fair.put([line('a', `a${i}`)]))
    const calm = fair.put([line('b', 'b0')])
    expect(order).toEqual(['a0'])
    while (take());
    await Promise.all([...flood, calm])
    // Four of 4 KB are a turn.
    expect(order.slice(0, 6)).toEqual(['a0', 'a1', 'a2', 'a3', 'a4', 'b0'])
    expect(order.slice(6)).toEqual(['a5', 'a6', 'a7', 'a8', 'a9', 'a10', 'a11'])
  })

  it('it shares by bytes, not by requests', async () => {
    const { fair, order, take } = slowSink()
    fair.put([line('x', 'x')])
    for (let i = 0; i < 3; i++) fair.put([line('a', `a${i}`, 16)])
    for (let i = 0; i < 12; i++) fair.put([line('b', `b${i}`, 1)])
    while (take());
    expect(order.indexOf('a1')).toBeGreaterThan(order.indexOf('b11'))
  })

  it('it makes a request larger than a turn wait for its next one', async () => {
    const { fair, order, take } = slowSink()
    fair.put([line('x', 'x')])
    fair.put([line('a', 'a0', 32)])
    fair.put([line('a', 'a1', 4)])
    for (let i = 0; i < 8; i++) fair.put([line('b', `b${i}`, 4)])
    while (take());
    expect(order).toEqual(['x', 'a0', 'b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7', 'a1'])
  })

  it('it keeps the order of a site, also when the log catches up', async () => {
    const { fair, order, take } = slowSink()
    for (let i = 0; i < 40; i++) {
      fair.put([line('a', `a${i}`, 1)])
      if (i % 7 === 0) take()
    }
    while (take());
    expect(order).toEqual(Array.from({ length: 40 }, (_, i) => `a${i}`))
  })

  it('it refuses the site that floods, and has room for others', async () => {
    const { fair, take } = slowSink()
    const answers: Record<string, string[]> = { a: [], b: [], c: [] }
    const puts: Promise<unknown>[] = []
    const send = (site: string, count: number): void => {
      for (let i = 0; i < count; i++) {
        puts.push(
          fair.put([line(site, site)]).then(
            () => answers[site]!.push('taken'),
            (e: MillraceError) => answers[site]!.push(e.code),
          ),
        )
      }
    }
    send('a', 100)
    send('b', 5)
    send('c', 2)
    while (take());
    await Promise.all(puts)
    expect(answers.a!.filter((code) => code === 'overloaded').length).toBeGreaterThan(80)
    expect(answers.a!.filter((code) => code === 'taken').length).toBeGreaterThan(10)
    expect([answers.b, answers.c]).toEqual([Array(5).fill('taken'), Array(2).fill('taken')])
  })

  it('it refuses a site at once while its oldest has waited for long, and not its neighbour', async () => {
    const { fair, take, clock } = slowSink()
    const codes: string[] = []
    const send = (site: string): Promise<unknown> =>
      fair.put([line(site, site)]).then(
        () => codes.push(`${site} taken`),
        ({ code }: MillraceError) => codes.push(`${site} ${code}`),
      )
    const early = [send('a'), send('a')]
    clock.nowMs = 1_000
    early.push(send('a'))
    clock.nowMs = 1_001
    const late = send('a')
    early.push(send('b'))
    await new Promise(setImmediate)
    expect(codes).toEqual(['a overloaded'])
    take()
    take()
    // The oldest now is the one that came later.
    early.push(send('a'))
    while (take());
    await Promise.all([late, ...early])
    expect(codes.filter((code) => code === 'a overloaded')).toHaveLength(1)
    expect(codes.filter((code) => code.endsWith('taken'))).toHaveLength(5)
  })

  it('it puts the lines of several sites in their queues, and answers when all are in', async () => {
    const { fair, order, take } = slowSink()
    fair.put([line('x', 'x')])
    let done = false
    const both = fair.put([line('a', 'a0'), line('b', 'b0'), line('a', 'a1')]).then(() => {
      done = true
    })
    take()
    take()
    await Promise.resolve()
    expect([done, order]).toEqual([false, ['x', 'a0', 'a1', 'b0']])
    while (take());
    await both
    expect(order).toEqual(['x', 'a0', 'a1', 'b0'])
  })

  it('it passes on what the log says, and goes on', async () => {
    const { fair, take } = slowSink()
    const first = fair.put([line('a', 'a0')])
    const second = fair.put([line('a', 'a1')])
    const third = fair.put([line('b', 'b0')])
    take(new Error('refused'))
    take(new Error('refused too'))
    take()
    await expect(first).rejects.toThrow('refused')
    await expect(second).rejects.toThrow('refused too')
    await third
  })

  it('it makes durable what waits when it is closed, and refuses the rest', async () => {
    const { fair, order } = slowSink()
    const puts = Array.from({ length: 5 }, (_, i) => fair.put([line(i % 2 ? 'a' : 'b', `${i}`)]))
    await fair.close()
    await Promise.all(puts)
    expect(order).toHaveLength(5)
    await expect(fair.put([line('a', 'late')])).rejects.toThrow('closed')
  })
})
