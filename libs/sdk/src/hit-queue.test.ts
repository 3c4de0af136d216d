import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HitQueue, type Waiting } from './hit-queue.ts'

const waiting = (number: number, bytes = 10): Waiting => ({
  id: `${number}`,
  json: 'x'.repeat(bytes),
  bytes,
  number,
  since: 0,
  firstSentAt: 0,
})
const numbers = (hits: readonly Waiting[]): number[] => hits.map(({ number }) => number)

describe('the queue', () => {
  test('takes what fits, with a byte between each two', () => {
    const queue = new HitQueue({ hits: 10, bytes: 1_000 })
    for (let n = 1; n <= 5; n++) queue.offer(waiting(n, 100))
    expect(queue.fills(6, 500)).toBe(true)
    expect(queue.fills(6, 501)).toBe(false)
    expect(numbers(queue.take(100, 302))).toEqual([1, 2])
    expect(numbers(queue.take(1, 1_000))).toEqual([3])
    // One that is too large for any batch is taken alone: something has to become of it.
    expect(numbers(queue.take(100, 5))).toEqual([4])
    expect(queue.fills(2, 101)).toBe(false)
  })

  test('counts what is on its way until it is settled', () => {
    const queue = new HitQueue({ hits: 2, bytes: 1_000 })
    expect([queue.offer(waiting(1)), queue.offer(waiting(2)), queue.offer(waiting(3))]).toEqual([true, true, false])
    const batch = queue.take(100, 1_000)
    expect(queue.offer(waiting(4))).toBe(false)
    queue.settle(batch)
    expect(queue.offer(waiting(5))).toBe(true)
    expect(queue.hits).toBe(1)
  })

  test('takes back in front, or behind', () => {
    const queue = new HitQueue({ hits: 10, bytes: 1_000 })
    for (let n = 1; n <= 4; n++) queue.offer(waiting(n))
    queue.giveBack(queue.take(2, 1_000))
    expect(queue.first?.number).toBe(1)
    queue.giveBack(queue.take(2, 1_000), true)
    expect(numbers(queue.take(10, 1_000))).toEqual([3, 4, 1, 2])
    expect(queue.first).toBeUndefined()
  })

  test('whatever is done to it, it loses nothing and stays inside its limits', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('offer'), bytes: fc.integer({ min: 1, max: 400 }) }),
      fc.record({ do: fc.constant('take'), bytes: fc.integer({ min: 1, max: 900 }) }),
      fc.record({ do: fc.constantFrom('giveBack', 'giveBackLast', 'settle'), bytes: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const limits = { hits: 12, bytes: 2_000 }
        const queue = new HitQueue(limits)
        const taken: Waiting[][] = []
        const known = new Set<number>()
        for (const [n, { do: what, bytes }] of steps.entries()) {
          if (what === 'offer' && queue.offer(waiting(n, bytes))) known.add(n)
          if (what === 'take') {
            const batch = queue.take(5, bytes)
            expect(batch.length).toBeLessThanOrEqual(5)
            if (batch.length > 1) expect(batch.reduce((sum, hit) => sum + hit.bytes + 1, 0)).toBeLessThanOrEqual(bytes)
            if (batch.length > 0) taken.push(batch)
          }
          const batch = what.startsWith('giveBack') || what === 'settle' ? taken.pop() : undefined
          if (batch && what !== 'settle') queue.giveBack(batch, what === 'giveBackLast')
          if (batch && what === 'settle') {
            queue.settle(batch)
            for (const { number } of batch) known.delete(number)
          }
          expect(queue.hits).toBe(known.size)
          expect(queue.hits).toBeLessThanOrEqual(limits.hits)
          expect(queue.bytes).toBeLessThanOrEqual(limits.bytes)
        }
        const rest = [...taken.flat(), ...queue.take(1_000, 1e9)]
        expect(new Set(numbers(rest))).toEqual(known)
        expect(rest).toHaveLength(known.size)
        expect(queue.fills(1, 1)).toBe(false)
      }),
      { seed: 7, numRuns: 300 },
    )
  })
})
