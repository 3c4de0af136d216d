import type { Kafka } from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { type Generation, Membership } from './membership.ts'
import { topicNames } from './topics.ts'

const EVENTS = { GROUP_JOIN: 'join', HEARTBEAT: 'heartbeat', REBALANCING: 'rebalancing', STOP: 'stop', CRASH: 'crash' }

/** Only the events of the client: the order in which a broker brings them about cannot be chosen. */
async function member() {
  const listeners = new Map<string, (event: { payload: object }) => void>()
  const consumer = {
    events: EVENTS,
    on: (name: string, listener: (event: { payload: object }) => void) => void listeners.set(name, listener),
    ...{ connect: async () => {}, subscribe: async () => {}, run: async () => {}, pause: () => {} },
  }
  const joined: Generation[] = []
  const membership = new Membership({
    kafka: { consumer: () => consumer } as unknown as Kafka,
    ...{ group: 'group', names: topicNames(''), sessionTimeoutMs: 10_000, heartbeatMs: 300 },
    ...{ onJoined: (generation) => joined.push(generation), onOver: () => {}, onDead: () => {} },
  })
  await membership.join(['topic'])
  const tell = (name: string, payload: object): void => listeners.get(name)!({ payload })
  return {
    join(): Generation {
      tell(EVENTS.GROUP_JOIN, { memberId: 'me', memberAssignment: { topic: [0] } })
      return joined.at(-1)!
    },
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
