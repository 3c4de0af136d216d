import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { calmRequestQueues, requestQueueClass } from './calm-request-queue.ts'

interface Queue {
  push(request: object): void
  fulfillRequest(answer: object): void
  maybeThrottle(ms: number): void
}

describe('calmRequestQueues', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    calmRequestQueues()
  })
  afterEach(() => vi.useRealTimers())

  let sent: number[] = []
  const newQueue = (maxInFlightRequests: number | null): Queue => {
    sent = []
    const RequestQueue = requestQueueClass() as unknown as new (options: object) => Queue
    const logger = { debug() {}, warn() {} }
    return new RequestQueue({ maxInFlightRequests, requestTimeout: 5_000, clientId: 'a', broker: 'b', logger })
  }
  const push = (queue: Queue, correlationId: number): void =>
    queue.push({
      entry: { correlationId, apiName: 'Metadata', resolve() {}, reject() {} },
      expectResponse: true,
      sendRequest: () => sent.push(correlationId),
    })
  const answer = (queue: Queue, correlationId: number): void =>
    queue.fulfillRequest({ correlationId, payload: Buffer.alloc(0), size: 0 })

  it('leaves no timer behind when nothing waits', () => {
    const queue = newQueue(null)
    push(queue, 1)
    answer(queue, 1)
    expect({ sent, timers: vi.getTimerCount() }).toEqual({ sent: [1], timers: 0 })
  })

  it('sends what waits for a free place as soon as there is one', () => {
    const queue = newQueue(1)
    push(queue, 1)
    push(queue, 2)
    expect(sent).toEqual([1])
    answer(queue, 1)
    expect(sent).toEqual([1, 2])
    answer(queue, 2)
    vi.advanceTimersByTime(100)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('sends what the broker throttles when the time is over, without another request', () => {
    const queue = newQueue(null)
    queue.maybeThrottle(700)
    push(queue, 1)
    vi.advanceTimersByTime(690)
    expect(sent).toEqual([])
    vi.advanceTimersByTime(30)
    expect({ sent, timers: vi.getTimerCount() }).toEqual({ sent: [1], timers: 0 })
  })
})
