import type { Kafka } from 'kafkajs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Generation, Membership } from './membership.ts'
import { topicNames } from './topics.ts'

const EVENTS = { GROUP_JOIN: 'join', HEARTBEAT: 'heartbeat', REBALANCING: 'rebalancing', STOP: 'stop', CRASH: 'crash' }

/** Only the events of the client: the order in which a broker brings them about cannot be chosen. */
async function member() {
  const listeners = new Map<string, (event: { payload: object }) => void>()
  const consumer = {
    events: EVENTS,
    on: (name: string, listener: (event: { payload: object }) => void) => void listeners.set(name, listener),
    ...{ connect: async () => {}, subscribe: async () => {}, pause: () => {} },
    run: vi.fn(async () => {}),
    stop: vi.fn(async () => {}),
    disconnect: vi.fn(async () => {}),
  }
  const joined: Generation[] = []
  const deaths: string[] = []
  const membership = new Membership({
    kafka: { consumer: () => consumer } as unknown as Kafka,
    ...{ group: 'group', names: topicNames(''), sessionTimeoutMs: 10_000, heartbeatMs: 300 },
    ...{
      onJoined: (generation) => joined.push(generation),
      onOver: () => {},
      onDead: ({ message }) => deaths.push(message),
    },
  })
  await membership.join(['topic'])
  const tell = (name: string, payload: object): void => listeners.get(name)!({ payload })
  return {
    ...{ consumer, membership, deaths },
    crash: (error: Error, restart: boolean) => tell(EVENTS.CRASH, { error, restart }),
    join(): Generation {
      tell(EVENTS.GROUP_JOIN, { memberId: 'me', memberAssignment: { topic: [0] } })
      return joined.at(-1)!
    },
    rebalance: () => tell(EVENTS.REBALANCING, {}),
    heartbeat: (groupGenerationId: number) => tell(EVENTS.HEARTBEAT, { memberId: 'me', groupGenerationId }),
  }
}

const stampOf = async ({ stamp }: Generation): Promise<number | null> =>
  Promise.race([
    stamp.then(({ groupGenerationId }) => groupGenerationId),
    new Promise<null>((done) => setImmediate(done, null)),
  ])

describe('Membership', () => {
  it('takes the generation of the first heartbeat', async () => {
    const { join, heartbeat } = await member()
    const generation = join()
    heartbeat(7)
    expect(await stampOf(generation)).toBe(7)
  })

  it('leaves out a heartbeat that was sent before it joined again', async () => {
    const { join, heartbeat } = await member()
    join()
    heartbeat(7)
    const generation = join()
    heartbeat(7)
    expect(await stampOf(generation)).toBe(null)
    heartbeat(8)
    expect(await stampOf(generation)).toBe(8)
  })

  it('knows its generation when the group stayed as it was while it joined again', async () => {
    const { join, heartbeat } = await member()
    join()
    heartbeat(7)
    const generation = join()
    heartbeat(7)
    heartbeat(7)
    expect(await stampOf(generation)).toBe(7)
  })
})

describe('Membership, when the client goes on with a generation that is over', () => {
  it('starts it anew', async () => {
    const { consumer, join, rebalance, heartbeat } = await member()
    join()
    heartbeat(7)
    rebalance()
    for (let n = 0; n < 20; n++) heartbeat(7)
    await new Promise(setImmediate)
    expect([consumer.stop.mock.calls.length, consumer.run.mock.calls.length]).toEqual([1, 2])
  })

  it('takes a heartbeat that was under way for no sign of it', async () => {
    const { consumer, join, rebalance, heartbeat } = await member()
    for (let n = 0; n < 20; n++) {
      join()
      heartbeat(n)
      rebalance()
      heartbeat(n)
    }
    await new Promise(setImmediate)
    expect(consumer.stop).not.toHaveBeenCalled()
  })

  it('takes heartbeats of the generation that it is in for none', async () => {
    const { consumer, join, heartbeat } = await member()
    join()
    for (let n = 0; n < 20; n++) heartbeat(7)
    await new Promise(setImmediate)
    expect(consumer.stop).not.toHaveBeenCalled()
  })
})

describe('Membership, when the client crashes', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate'] }))
  afterEach(() => vi.useRealTimers())

  const named = (name: string, cause?: Error): Error => Object.assign(new Error(name), { name, cause })

  it.each([
    ['no coordinator is found', named('KafkaJSGroupCoordinatorNotFound')],
    ['a request timed out', named('KafkaJSNonRetriableError', named('KafkaJSRequestTimeoutError'))],
  ])('runs it again when it gave up because %s', async (_, error) => {
    const { consumer, crash, deaths } = await member()
    crash(error, false)
    expect(consumer.run).toHaveBeenCalledTimes(1)
    await vi.runAllTimersAsync()
    expect(consumer.run).toHaveBeenCalledTimes(2)
    expect(deaths).toEqual([])
  })

  it('leaves it alone when it starts again by itself', async () => {
    const { consumer, crash, deaths } = await member()
    crash(named('KafkaJSNumberOfRetriesExceeded'), true)
    await vi.runAllTimersAsync()
    expect(consumer.run).toHaveBeenCalledTimes(1)
    expect(deaths).toEqual([])
  })

  it.each([
    ['a mistake of the program', named('KafkaJSNonRetriableError', named('TypeError'))],
    ['a codec that is missing', named('KafkaJSNotImplemented')],
    ['a right that is missing', Object.assign(named('KafkaJSProtocolError'), { type: 'GROUP_AUTHORIZATION_FAILED' })],
  ])('says that it is dead after %s, three times without a join', async (_, error) => {
    const { consumer, crash, join, deaths } = await member()
    for (let n = 0; n < 2; n++) {
      crash(error, false)
      await vi.runAllTimersAsync()
    }
    join()
    for (let n = 0; n < 3; n++) {
      expect(deaths).toEqual([])
      crash(error, false)
      await vi.runAllTimersAsync()
    }
    expect(consumer.run).toHaveBeenCalledTimes(1 + 2 + 2)
    expect(deaths).toEqual([error.message])
  })

  it('keeps it from starting again after it was told to leave', async () => {
    const { consumer, membership, crash } = await member()
    await membership.leave()
    crash(named('KafkaJSNumberOfRetriesExceeded'), true)
    await vi.runAllTimersAsync()
    expect(consumer.disconnect).toHaveBeenCalledTimes(2)
  })
})
