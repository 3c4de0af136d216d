import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog, LogRecord } from '@millrace/log'
import { AGGREGATOR_GROUP, ENRICHER_GROUP, HITS_ENRICHED } from '@millrace/shared'
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
  readonly log: EventLog
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

const PATIENCE_MS = 240_000
/** Tries until it works: what it needs may be away just now, or be taken away by the other list meanwhile. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const { done } = await waitUntil('what a fault needs is there', async () => ({ done: await work() }), PATIENCE_MS)
  return done
}

const killOne = (kind: string): Fault => ({
  name: `kill -9 of one ${kind}`,
  async strike({ crew, chance }) {
    const name = chance.pick(crew.parts(kind))
    const downMs = chance.between(0, 3_000)
    await crew.kill([name], downMs)
    return `${name} for ${seconds(downMs)}`
  },
})

const INSERT_WITHIN_MS = 60_000
/** Waits until an insert has come to ClickHouse, which begins with it after `ms`. False: none came. */
async function untilInsert({ store }: Scene, ms: number): Promise<boolean> {
  const deadline = Date.now() + INSERT_WITHIN_MS
  // How many were delayed before; null = no delay is planted. The other list may take ClickHouse away with what is planted.
  let before: number | null = null
  while (Date.now() < deadline) {
    const fired = await store.fired().catch(() => null)
    if (fired !== null && before !== null && fired > before) return true
    if (fired === null || (before !== null && fired < before)) before = null
    else if (before === null) {
      before = fired
      await store.add({ kind: 'delay', when: 'before', ms }).catch(() => {
        before = null
      })
    }
    await sleep(10)
  }
  return false
}

/** Kills parts when an insert is about to write its parts, writes them, or has just written them. */
async function killInside(scene: Scene, names: readonly string[]): Promise<string> {
  const { chance, crew, store } = scene
  const ms = chance.between(50, 400)
  // When none comes they are at work on the trouble of before, and are left to it.
  if (!(await untilInsert(scene, ms))) return 'no insert came'
  await sleep(ms + chance.between(-50, 100))
  await crew.kill(names, 0)
  await store.clear().catch(() => {})
  return 'inside an insert'
}

/** The insert goes on without them. */
const killInserters: Fault = {
  name: 'kill -9 of every aggregator inside an insert',
  strike: (scene) => killInside(scene, scene.crew.parts('aggregator')),
}

const killStoreInside: Fault = {
  name: 'kill -9 of ClickHouse inside an insert',
  strike: (scene) => killInside(scene, ['clickhouse']),
}

/** Some of the insert may be there, and those who know of it have only their plan. */
const killBothInside: Fault = {
  name: 'kill -9 of every aggregator and of ClickHouse inside an insert',
  strike: (scene) => killInside(scene, [...scene.crew.parts('aggregator'), 'clickhouse']),
}

/** More than the inserts of the run have (MILLRACE_INSERT_DEADLINE_MS). */
const TOO_LATE_MS = 7_000
/** The insert is begun after its deadline, when others have taken it over. */
const killBeforeInsert: Fault = {
  name: 'kill -9 of every aggregator whose insert is late',
  async strike(scene) {
    if (!(await untilInsert(scene, TOO_LATE_MS + scene.chance.between(0, 2_000)))) return 'no insert came'
    await scene.crew.kill(scene.crew.parts('aggregator'), 0)
    return 'before its insert'
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

/**
 * Its append fails, and it stands still before it has tried again: it goes on when its partitions are another's, which has
 * enriched the same hits.
 */
const stopInsideAppend: Fault = {
  name: 'SIGSTOP of one enricher inside an append',
  async strike({ cluster, crew, chance }) {
    const broker = chance.pick(crew.parts('kafka'))
    const enricher = chance.pick(crew.parts('enricher'))
    // The broker that is started again waits for the whole session once more.
    const ms = ZOMBIE_MS + chance.between(5_000, 8_000)
    await cluster.kill(broker)
    await sleep(chance.between(100, 1_500))
    const back = cluster.restart(broker)
    await crew.stall([enricher], ms)
    await back
    return `${enricher} for ${seconds(ms)}, while ${broker} was away`
  },
}

const AGAIN_RECORDS = 3
/** As a client does whose append was written and whose answer was lost, however late. */
const appendAgain: Fault = {
  name: 'records of hits.enriched appended again',
  async strike({ log, chance }) {
    const { name } = HITS_ENRICHED
    const admin = log.admin()
    const reader = log.reader()
    const producer = log.producer()
    try {
      const [partition, end] = await waitUntil(
        'a partition of hits.enriched has records',
        async () => chance.shuffled([...(await admin.endOffsets(name))]).find(([, to]) => to > 0),
        PATIENCE_MS,
      )
      const again = await patiently(async () => {
        const found: LogRecord[] = []
        for await (const records of reader.read(name, partition, Math.max(0, end - AGAIN_RECORDS), end))
          for (const { key, value, headers, timestamp } of records) found.push({ key, value, headers, timestamp })
        return found
      })
      await patiently(() => producer.append(name, new Map([[partition, again]])))
      return `${again.length} of partition ${partition}`
    } finally {
      await Promise.all([admin.close(), reader.close(), producer.close()])
    }
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

const FAILURE = { code: 241, type: 'MEMORY_LIMIT_EXCEEDED' } as const
/** After which no row of the insert is there. */
const REFUSED: StoreFault = { kind: 'refuse', when: 'before', ...FAILURE }
const INSERT_FAULTS: readonly StoreFault[] = [
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
  async strike({ store, chance }) {
    const before = await patiently(store.fired)
    // A flush in doubt waits for the deadline of what may still be on its way: a few of them take long enough.
    const chosen = [REFUSED, ...chance.shuffled(INSERT_FAULTS).slice(0, 3)]
    for (const fault of chosen) await patiently(() => store.add(fault))
    const deadline = Date.now() + 20_000
    while ((await patiently(store.fired)) < before + chosen.length && Date.now() < deadline) await sleep(200)
    return chosen.map(({ kind }) => kind).join(', ')
  },
}

const fullStore: Fault = {
  name: 'ClickHouse read-only, then its disk full',
  async strike({ store, chance }) {
    const ms = chance.between(1_000, 3_000)
    await patiently(store.readOnly)
    await sleep(ms)
    await patiently(store.clear)
    await patiently(() => store.diskFull({ afterMs: 5 }))
    await sleep(ms)
    await patiently(store.clear)
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
  killBeforeInsert,
  // Twice as often as others: not each of them comes when some of an insert is there and some is not.
  killBothInside,
  killBothInside,
  rebalanceStorm,
  deleteOffsets('enricher', ENRICHER_GROUP),
  deleteOffsets('aggregator', AGGREGATOR_GROUP),
]
/** What happens beneath them meanwhile. */
export const GROUND_FAULTS: readonly Fault[] = [
  killBroker,
  stopBroker,
  stopInsideAppend,
  appendAgain,
  allBrokersAway,
  killStore,
  killStoreInside,
  stopStore,
  failingInserts,
  fullStore,
  poisoned,
]
