import { setTimeout as sleep } from 'node:timers/promises'
import { AGGREGATOR_GROUP, ENRICHER_GROUP } from '@millrace/shared'
import { type Fault as StoreFault, type Faults as StoreFaults, waitUntil } from '@millrace/testing'
import type { Cluster } from '../../../infra/cluster/cluster.mjs'
import type { Chance } from './chance.ts'
import type { Crew } from './crew.ts'
import type { Poison } from './poison.ts'

/** What faults happen to. */
export interface Scene {
  readonly cluster: Cluster
  readonly crew: Crew
  readonly chance: Chance
  readonly store: StoreFaults
  readonly poison: Poison
  /** Of a SIGSTOP, milliseconds. */
  readonly longestStopMs: number
}

/** One thing that goes wrong, and is over when `strike` resolves. `strike` says what it did. */
export interface Fault {
  readonly name: string
  strike(scene: Scene): Promise<string>
}

const SHORTEST_STOP_MS = 5_000
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
const stopMs = ({ chance, longestStopMs }: Scene): number =>
  chance.between(Math.min(SHORTEST_STOP_MS, longestStopMs), longestStopMs)

const killOne = (kind: string): Fault => ({
  name: `kill -9 of one ${kind}`,
  async strike({ crew, chance }) {
    const name = chance.pick(crew.parts(kind))
    const downMs = chance.between(0, 3_000)
    await crew.kill([name], downMs)
    return `${name} for ${seconds(downMs)}`
  },
})

const INSERT_WITHIN_MS = 20_000
/** Waits until an insert is under way, and for some of the time that its parts take to be written. */
async function untilInsideInsert({ cluster, store, chance }: Scene): Promise<boolean> {
  await storeAnswers(cluster)
  const fired = await store.fired()
  const ms = chance.between(50, 400)
  await store.add({ kind: 'delay', when: 'before', ms })
  const deadline = Date.now() + INSERT_WITHIN_MS
  while ((await store.fired()) === fired && Date.now() < deadline) await sleep(10)
  await sleep(ms + chance.between(-50, 100))
  return (await store.fired()) > fired
}
const insideOrNot = (isInside: boolean): string => (isInside ? 'inside an insert' : 'no insert came')

/** The insert goes on without them, or has not begun yet. */
const killInserters: Fault = {
  name: 'kill -9 of every aggregator inside an insert',
  async strike(scene) {
    const { crew, store } = scene
    const isInside = await untilInsideInsert(scene).catch(() => false)
    await crew.kill(crew.parts('aggregator'), 0)
    await store.clear().catch(() => {})
    return insideOrNot(isInside)
  },
}

const killStoreInside: Fault = {
  name: 'kill -9 of ClickHouse inside an insert',
  async strike(scene) {
    const isInside = await untilInsideInsert(scene).catch(() => false)
    await scene.crew.kill(['clickhouse'], 0)
    return insideOrNot(isInside)
  },
}

const killAll = (kind: string): Fault => ({
  name: `kill -9 of every ${kind}`,
  async strike({ crew, chance }) {
    const downMs = chance.between(0, 2_000)
    await crew.kill(crew.parts(kind), downMs)
    return `for ${seconds(downMs)}`
  },
})

/** A member of a group that is silent for longer than its session (10 s) comes back as a zombie: its partitions belong to another. */
const ZOMBIE_MS = 11_000
const stopOne = (kind: string): Fault => ({
  name: `SIGSTOP of one ${kind}, then SIGCONT`,
  async strike(scene) {
    const name = scene.chance.pick(scene.crew.parts(kind))
    const ms = Math.max(stopMs(scene), kind === 'collector' ? 0 : ZOMBIE_MS)
    await scene.crew.stall([name], ms)
    return `${name} for ${seconds(ms)}`
  },
})

const JOINS = 5
const rebalanceStorm: Fault = {
  name: 'rebalance storm',
  async strike({ cluster, crew, chance }) {
    const changes: string[] = []
    for (let i = 0; i < JOINS; i++) {
      const name = chance.pick([...crew.parts('enricher'), ...crew.parts('aggregator')])
      const how = chance.pick(['kill', 'end'] as const)
      await crew.hold([name], async () => void (await cluster[how](name)))
      changes.push(`${how} ${name}`)
      await sleep(chance.between(200, 2_000))
    }
    return changes.join(', ')
  },
}

const GROUP_EMPTY_MS = 240_000
/** Members that were killed stay in the group until their session ends: all the while nobody works. */
const deleteOffsets = (kind: string, group: string): Fault => ({
  name: `group offsets of the ${kind}s deleted`,
  async strike({ cluster, crew, chance }) {
    const how = chance.pick(['kill', 'end'] as const)
    await crew.hold(crew.parts(kind), async () => {
      await Promise.all(crew.parts(kind).map((name) => cluster[how](name)))
      const deadline = Date.now() + GROUP_EMPTY_MS
      while (!(await cluster.deleteGroup(group))) {
        if (Date.now() > deadline) throw new Error(`the group ${group} could not be deleted`)
        await sleep(250)
      }
    })
    return `after ${how === 'kill' ? 'kill -9' : 'a graceful end'} of all`
  },
})

/** With three nodes its partitions get other leaders. */
const killBroker: Fault = {
  name: 'kill -9 of one broker',
  async strike({ cluster, crew, chance }) {
    const name = chance.pick(crew.parts('kafka'))
    const downMs = chance.between(0, 6_000)
    await cluster.kill(name)
    await sleep(downMs)
    await cluster.restart(name)
    return `${name} for ${seconds(downMs)}`
  },
}

const stopBroker: Fault = {
  name: 'SIGSTOP of one broker, then SIGCONT',
  async strike(scene) {
    const { cluster, crew, chance } = scene
    const name = chance.pick(crew.parts('kafka'))
    const ms = Math.min(stopMs(scene), 20_000)
    cluster.pause(name)
    try {
      await sleep(ms)
    } finally {
      cluster.resume(name)
    }
    return `${name} for ${seconds(ms)}`
  },
}

/** What is answered meanwhile is in spools; collectors are killed and started without the log. */
const allBrokersAway: Fault = {
  name: 'every broker away',
  async strike({ cluster, crew, chance }) {
    const downMs = chance.between(2_000, 8_000)
    const names = crew.parts('kafka')
    await Promise.all(names.map((name) => cluster.kill(name)))
    const collector = chance.pick(crew.parts('collector'))
    await crew.kill([collector], 0)
    await sleep(downMs)
    await Promise.all(names.map((name) => cluster.restart(name)))
    return `for ${seconds(downMs)}, and ${collector} killed meanwhile`
  },
}

const killStore: Fault = {
  name: 'kill -9 of ClickHouse',
  async strike({ crew, chance }) {
    const downMs = chance.between(0, 8_000)
    await crew.kill(['clickhouse'], downMs)
    return `for ${seconds(downMs)}`
  },
}

const stopStore: Fault = {
  name: 'SIGSTOP of ClickHouse, then SIGCONT',
  async strike(scene) {
    const ms = Math.min(stopMs(scene), 20_000)
    await scene.crew.stall(['clickhouse'], ms)
    return `for ${seconds(ms)}`
  },
}

const storeAnswers = (cluster: Cluster): Promise<boolean> =>
  waitUntil('ClickHouse answers', async () => (await fetch(`${cluster.urlOf('clickhouse')}/ping`)).ok, 240_000)

const FAILURE = { code: 241, type: 'MEMORY_LIMIT_EXCEEDED' } as const
const INSERT_FAULTS: readonly StoreFault[] = [
  { kind: 'refuse', when: 'before', ...FAILURE },
  { kind: 'refuse', when: 'after', ...FAILURE },
  { kind: 'refuse', when: 'midway', afterMs: 3, ...FAILURE },
  { kind: 'refuse', when: 'midway', afterMs: 15, ...FAILURE },
  { kind: 'cut_request', afterBytes: 3_000 },
  { kind: 'cut_request', afterBytes: 100 },
  { kind: 'cut_response' },
  { kind: 'lose_answer' },
  { kind: 'delay', when: 'before', ms: 2_000 },
  { kind: 'delay', when: 'after', ms: 2_000 },
]
const failingInserts: Fault = {
  name: 'inserts that fail in mid-body, or whose answer is lost',
  async strike({ cluster, store, chance }) {
    await storeAnswers(cluster)
    const before = await store.fired()
    // A flush in doubt waits for the deadline of what may still be on its way: a few of them take long enough.
    const chosen = chance.shuffled(INSERT_FAULTS).slice(0, 4)
    for (const fault of chosen) await store.add(fault)
    const deadline = Date.now() + 20_000
    while ((await store.fired()) < before + chosen.length && Date.now() < deadline) await sleep(200)
    return chosen.map(({ kind }) => kind).join(', ')
  },
}

const fullStore: Fault = {
  name: 'ClickHouse read-only, then its disk full',
  async strike({ cluster, store, chance }) {
    await storeAnswers(cluster)
    const ms = chance.between(1_000, 3_000)
    await store.readOnly()
    await sleep(ms)
    await store.clear()
    await store.diskFull({ afterMs: 5 })
    await sleep(ms)
    await store.clear()
    return `for ${seconds(ms)} each`
  },
}

const poisoned: Fault = {
  name: 'poison, late and repeated lines in hits.raw',
  async strike({ poison }) {
    await poison.give()
    return `${poison.records} records so far`
  },
}

/** What happens to the services. Each of its two lists is gone through again and again, in an order that the seed decides. */
export const SERVICE_FAULTS: readonly Fault[] = [
  ...['collector', 'enricher', 'aggregator'].flatMap((kind) => [killOne(kind), stopOne(kind)]),
  killAll('enricher'),
  killAll('aggregator'),
  killInserters,
  rebalanceStorm,
  deleteOffsets('enricher', ENRICHER_GROUP),
  deleteOffsets('aggregator', AGGREGATOR_GROUP),
]
/** What happens beneath them meanwhile. */
export const GROUND_FAULTS: readonly Fault[] = [
  killBroker,
  stopBroker,
  allBrokersAway,
  killStore,
  killStoreInside,
  stopStore,
  failingInserts,
  fullStore,
  poisoned,
]
