import { dayOfDate } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import type { Facts, Recovered } from '../facts.ts'
import type { Evidence } from './evidence.ts'
import { WRITER_LIMITS, type WriterLimits } from './limits.ts'
import { decodePosition } from './plan.ts'
import { sliceKey } from './slices.ts'
import { type Fault, Fuse, finishRunning, modelEvidence, modelLog, modelStore, World } from './test/model.ts'
import { chainOf, enriched, hit } from './test/records.ts'
import type { Tools } from './tools.ts'
import { startWriter } from './write.ts'

const LIMITS: WriterLimits = {
  ...WRITER_LIMITS,
  batch: { ...WRITER_LIMITS.batch, rows: 24, lingerMs: 1, busyLingerMs: 1 },
  backoff: { firstMs: 1, mostMs: 2 },
  idleCommitMs: 1,
}
const NEVER = 1_000_000

function notes() {
  const told = {
    recovered: [] as Recovered[],
    stopped: [] as string[],
    rejected: 0,
    flushed: 0,
    mended: 0,
    failures: 0,
    accepted: 0,
    crashed: 0,
  }
  const facts: Facts = {
    assigned() {},
    startedWithoutPosition() {},
    mended: () => void told.mended++,
    lost() {},
    stopped: (_partition, reason) => void told.stopped.push(reason),
    rejected(_partition, rejected) {
      told.rejected += rejected.length
    },
    flushed: () => void told.flushed++,
    insertInDoubt() {},
    planFailed() {},
    recovered: (recovered) => void told.recovered.push(recovered),
    recoveryFailed: () => void told.failures++,
    restoreFailed: () => void told.failures++,
    crashed: () => void told.crashed++,
    idleCommitFailed() {},
    onLag() {},
    accepted(records) {
      told.accepted += records
    },
  }
  return { told, facts }
}

const DAY = dayOfDate('2026-10-31')
function newWorld(records = 6) {
  const world = new World()
  const chains = [0, 1].map((kp) => chainOf(kp, records, DAY))
  for (const [partition, chain] of chains.entries()) {
    world.append(partition, chain.records)
    world.rawEnds.set(partition, 2 * records)
  }
  return { world, chains }
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
}
const settled = (world: World): boolean =>
  [...world.enriched].every(([partition, records]) => {
    const position = world.committed.get(partition)
    return position?.offset === records.length && decodePosition(position).plan === null
  })

interface Changes {
  readonly evidence?: Partial<Evidence>
  readonly store?: Partial<Tools['store']>
  readonly limits?: Partial<WriterLimits>
}

function open(world: World, fuse: Fuse, changes: Changes = {}) {
  const { told, facts } = notes()
  const evidence = { ...modelEvidence(world, fuse), ...changes.evidence }
  const store = { ...modelStore(world, fuse), ...changes.store }
  const limits = { ...LIMITS, ...changes.limits }
  const starting = startWriter({ log: modelLog(world, fuse), store, evidence, facts, limits })
  return { told, starting }
}
/** Runs of worlds of their own, side by side: they mostly wait. */
const forSteps = (from: number, to: number, by: number, run: (at: number) => Promise<void>): Promise<unknown> =>
  Promise.all(Array.from({ length: Math.ceil((to - from) / by) }, (_, i) => run(from + i * by)))
const CALM = () => new Fuse(NEVER, 'crash')

/** A process that meets the fault; if it died, another one that finishes the work. */
async function run(world: World, fuse: Fuse, changes?: Changes, meanwhile: () => void = () => {}) {
  const first = open(world, fuse, changes)
  await until(() => fuse.burnt || settled(world))
  if (fuse.dead) meanwhile()
  const last = fuse.dead ? open(world, CALM(), changes) : first
  await until(() => settled(world) || last.told.stopped.length > 0)
  await (await last.starting).close()
  finishRunning(world)
  return last.told
}
/** The embedded store dies with its process: what was not done of an insert is never done. */
const storeDies = (world: World) => () => {
  world.running.length = 0
}

/** Every row once in every target. */
function problemsOf(world: World, chains: ReturnType<typeof newWorld>['chains']): string[] {
  const hits = chains.flatMap((chain) => chain.hits.map((row) => `${row.kp}/${row.ko}/${row.ki}`)).sort()
  const sessions = chains
    .flatMap((chain) => chain.sessions.map((row) => `${row.session_id}/${row.version}/${row.sign}`))
    .sort()
  return Object.entries(world.targets).flatMap(([name, table]) => {
    const problems: string[] = []
    const expected = table.source === 'hits_in' ? hits : sessions
    if (table.rows.sort().join() !== expected.join())
      problems.push(`${name}: ${table.rows.length} of ${expected.length}`)
    for (const [key, live] of table.liveMarkers)
      if ([...live.values()].join() !== '1') problems.push(`${name}: live markers of ${key}: ${[...live]}`)
    return problems
  })
}

async function stepsOfCleanRun(): Promise<number> {
  const { world, chains } = newWorld()
  const fuse = CALM()
  await run(world, fuse)
  expect(problemsOf(world, chains)).toEqual([])
  return fuse.steps
}

describe('startWriter', { timeout: 120_000 }, () => {
  it('inserts every row once and ends with empty plans', async () => {
    expect(await stepsOfCleanRun()).toBeGreaterThan(30)
  })

  it.each<[string, Fault, (world: World) => () => void]>([
    ['the process ends, and the store with it', 'crash', storeDies],
    ['the process ends, and a server goes on', 'crash', () => () => {}],
    ['a call fails, and the store goes on', 'fail', () => () => {}],
    [
      'the process ends and the group forgets its positions',
      'crash',
      (world) => () => {
        world.running.length = 0
        world.committed.clear()
      },
    ],
  ])('inserts every row once when at any step %s', async (_title, fault, meanwhile) => {
    const steps = (await stepsOfCleanRun()) + 5
    let repairs = 0
    await forSteps(0, steps, 1, async (at) => {
      const { world, chains } = newWorld()
      const told = await run(world, new Fuse(at, fault), {}, meanwhile(world))
      expect({ at, problems: problemsOf(world, chains), stopped: told.stopped }).toEqual({
        at,
        problems: [],
        stopped: [],
      })
      repairs += told.recovered.length + told.mended
    })
    expect(repairs).toBeGreaterThan(steps / 4)
  })

  it('inserts every row once when the recovery crashes too', async () => {
    const steps = await stepsOfCleanRun()
    await forSteps(3, steps, 7, async (at) => {
      for (let then = 0; then < 40; then += 5) {
        const { world, chains } = newWorld()
        const fuse = new Fuse(at, 'crash')
        open(world, fuse)
        await until(() => fuse.burnt)
        await run(world, new Fuse(then, 'crash'))
        expect({ at, then, problems: problemsOf(world, chains) }).toEqual({ at, then, problems: [] })
      }
    })
  })

  it.each<[string, Partial<WriterLimits>, boolean]>([
    ['inserts every row once', { waitForDeadline: true, deadlineMs: 20 }, true],
    ['doubles rows without the deadline, as the model notices,', { waitForDeadline: false }, false],
  ])('%s when an owner sleeps at any step and wakes after another took over', async (_title, limits, exact) => {
    let wrong = 0
    const steps = await stepsOfCleanRun()
    await forSteps(0, steps, 2, async (at) => {
      const { world, chains } = newWorld()
      const fuse = new Fuse(at, 'sleep')
      const sleeper = open(world, fuse, { limits })
      await until(() => fuse.burnt)
      const other = open(world, CALM(), { limits })
      await until(() => settled(world))
      fuse.wake()
      await (await sleeper.starting).close()
      await (await other.starting).close()
      finishRunning(world)
      const problems = problemsOf(world, chains)
      if (exact) expect({ at, problems }).toEqual({ at, problems: [] })
      if (problems.length > 0) wrong++
    })
    expect(wrong > 0).toBe(!exact)
  })

  it('inserts every row once when the group forgets its positions after a crash, and an owner that looks for them sleeps', async () => {
    const limits = { waitForDeadline: true, deadlineMs: 20 }
    const steps = await stepsOfCleanRun()
    await forSteps(5, steps, 6, async (at) => {
      for (let then = 1; then < 48; then += 4) {
        const { world, chains } = newWorld()
        const fuse = new Fuse(at, 'crash')
        open(world, fuse, { limits })
        await until(() => fuse.burnt)
        world.committed.clear()
        const sleeps = new Fuse(then, 'sleep')
        const sleeper = open(world, sleeps, { limits })
        await until(() => sleeps.burnt || settled(world))
        const other = open(world, CALM(), { limits })
        await until(() => settled(world))
        sleeps.wake()
        await (await sleeper.starting).close()
        await (await other.starting).close()
        finishRunning(world)
        expect({ at, then, problems: problemsOf(world, chains) }).toEqual({ at, then, problems: [] })
      }
    })
  })

  /** What an owner leaves behind that dies in the middle of its insert. */
  async function leaveOpenPlan(limits: Partial<WriterLimits>): Promise<World> {
    const { world } = newWorld()
    const dies = new Fuse(3, 'crash')
    open(world, CALM(), { limits, store: { insert: modelStore(world, dies).insert } })
    await until(() => dies.burnt)
    return world
  }

  it.each([
    ['an open plan', (_world: World) => {}],
    ['a lost position', (world: World) => world.committed.clear()],
  ])('stops waiting for the deadline of %s when the partitions are lost', async (_title, spoil) => {
    const limits = { waitForDeadline: true, deadlineMs: 1e9 }
    const world = await leaveOpenPlan(limits)
    spoil(world)
    let asked = 0
    const store = modelStore(world, CALM())
    const nowMs = (): Promise<number> => {
      asked++
      return store.nowMs()
    }
    const { told, starting } = open(world, CALM(), { limits, store: { nowMs } })
    await until(() => asked > 10)
    expect(told.failures).toBe(0)
    world.generation++
    await until(() => told.failures > 0)
    await (await starting).close()
  })

  it.each<[string, number[], (world: World, tries: number) => void]>([
    [
      'gets more time each time when its time was not enough',
      [1, 2, 4],
      (world) => {
        world.nowMs += 1e6
        throw new Error('refused: late')
      },
    ],
    [
      'gets no more time when the store refuses',
      [1, 1, 1],
      () => {
        throw new Error('refused: memory')
      },
    ],
  ])('an attempt to recover %s', async (_title, expected, fail) => {
    const limits = { deadlineMs: 100_000 }
    const world = await leaveOpenPlan(limits)
    const store = modelStore(world, CALM())
    const given: number[] = []
    let failures = 0
    const changes: Changes = {
      limits,
      store: {
        killInserts: async (prefix) => {
          const { plan } = decodePosition(world.committed.get(0)!)
          given.push(Math.round((plan!.deadline - world.nowMs) / limits.deadlineMs))
          await store.killInserts(prefix)
        },
        insertMissing: async (target, insert, slices) => {
          if (failures++ < expected.length - 1) fail(world, failures)
          await store.insertMissing(target, insert, slices)
        },
      },
    }
    const { starting } = open(world, CALM(), changes)
    await until(() => settled(world))
    await (await starting).close()
    expect(given.slice(0, expected.length)).toEqual(expected)
  })

  it('gathers about two batches while an insert takes long, and no more', async () => {
    const { world, chains } = newWorld(60)
    let finish: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      finish = resolve
    })
    const insert: Tools['store']['insert'] = async (one) => {
      await gate
      await modelStore(world, CALM()).insert(one)
    }
    const { told, starting } = open(world, CALM(), { store: { insert } })
    const writer = await starting
    await until(() => told.accepted > 0 && world.paused.size === 2)
    const rowsOfRecord = 6
    const deliveries = 2 * 3 * rowsOfRecord
    expect(told.accepted * rowsOfRecord).toBeLessThanOrEqual(3 * LIMITS.batch.rows + deliveries)
    finish()
    await until(() => settled(world))
    await writer.close()
    expect(problemsOf(world, chains)).toEqual([])
  })

  const everything = () =>
    new Map([0, 1].flatMap((kp) => [202610, 202612].map((month) => [`${kp}/${month}`, 11] as const)))
  it.each<[string, Fault, (world: World) => () => void, Changes]>([
    [
      'the check sees nothing',
      'crash',
      storeDies,
      {
        evidence: { watermarks: async () => new Map(), hitCounts: async () => new Map() },
      },
    ],
    [
      'the check sees everything',
      'crash',
      storeDies,
      {
        evidence: {
          watermarks: async () => everything(),
          hitCounts: async (slices) => new Map(slices.map((slice) => [sliceKey(slice), slice.rows])),
        },
      },
    ],
    ['nothing is killed', 'fail', () => () => {}, { store: { killInserts: async () => {} } }],
    [
      'the store forgets what hits it has and the group its positions',
      'crash',
      (world) => () => world.committed.clear(),
      {
        evidence: {
          largestHits: async () => new Map(),
          watermarks: async () => new Map(),
          liveMarkers: async () => new Map(),
        },
      },
    ],
  ])('would lose or double rows if %s: the model notices', async (_title, fault, meanwhile, changes) => {
    let wrong = 0
    const steps = await stepsOfCleanRun()
    await forSteps(4, steps, 3, async (at) => {
      const { world, chains } = newWorld()
      const told = await run(world, new Fuse(at, fault), changes, meanwhile(world))
      if (problemsOf(world, chains).length > 0 || told.stopped.length > 0) wrong++
    })
    expect(wrong).toBeGreaterThan(2)
  })

  it('stops a partition whose store is ahead of the group, says so, and goes on with the others', async () => {
    const { world } = newWorld()
    await run(world, CALM())
    world.committed.set(0, { offset: 2, metadata: JSON.stringify({ v: 1, head: 1, src_max: 3 }) })
    const { told, starting } = open(world, CALM())
    const writer = await starting
    await until(() => told.stopped.length > 0)
    expect(told.stopped).toEqual([expect.stringMatching(/holds hits up to raw offset 11.*speaks of 3.*reset/)])
    expect(writer.problem()).toMatch(/^partition 0: table /)
    world.append(1, [enriched({ prev: 5, srcFrom: 12, srcTo: 12 }, [hit(DAY + 31, 1, 12, 0)])])
    await until(() => world.committed.get(1)?.offset === 7)
    expect(world.committed.get(0)?.offset).toBe(2)
    await writer.close()
  })

  it.each([
    [
      'lies behind the end of the log',
      { offset: 99, metadata: '{"v":1,"head":98,"src_max":99}' },
      /outside of what the log holds/,
    ],
    ['is none of ours', { offset: 2, metadata: 'x' }, /metadata is not ours/],
  ])('stops a partition whose committed position %s', async (_title, position, reason) => {
    const { world } = newWorld()
    world.committed.set(0, position)
    const { told, starting } = open(world, CALM())
    await until(() => told.stopped.length > 0)
    expect(told.stopped[0]).toMatch(reason)
    await (await starting).close()
  })

  it('leaves out rejected records and counts them', async () => {
    const { world, chains } = newWorld()
    const records = world.enriched.get(0)!
    const zombie = { ...enriched({ prev: -1, srcFrom: 0, srcTo: 3 }, [hit(DAY, 0, 99, 0)]), offset: 6 }
    records.push(zombie)
    world.append(0, [enriched({ prev: 5, srcFrom: 12, srcTo: 12 }, [hit(DAY + 31, 0, 12, 0)])])
    chains[0]!.hits.push(hit(DAY + 31, 0, 12, 0))
    const told = await run(world, CALM())
    expect(problemsOf(world, chains)).toEqual([])
    expect(told.rejected).toBe(1)
  })

  it('knows up to when everything is counted, without being asked before', async () => {
    const { world } = newWorld()
    const { starting } = open(world, CALM())
    const writer = await starting
    await until(() => settled(world))
    const before = Date.now()
    const until1 = await writer.completeUntil()
    expect(until1).toBeGreaterThanOrEqual(before)
    world.rawEnds.set(0, 13)
    expect(await writer.completeUntil()).toBe(until1)
    world.append(0, [enriched({ prev: 5, srcFrom: 12, srcTo: 12 }, [hit(DAY + 31, 0, 12, 0)])])
    await until(() => world.committed.get(0)?.offset === 7)
    expect(await writer.completeUntil()).toBeGreaterThanOrEqual(until1)
    await writer.close()
  })

  it('inserts what is gathered when it closes', async () => {
    const { world, chains } = newWorld()
    const slow = { batch: { ...LIMITS.batch, rows: 10_000, months: 9, lingerMs: 3_600_000 } }
    const { told, starting } = open(world, CALM(), { limits: slow })
    const writer = await starting
    await until(() => told.accepted === 12)
    await writer.close()
    expect([settled(world), told.flushed]).toEqual([true, 1])
    expect(problemsOf(world, chains)).toEqual([])
  })

  it('leaves a plan in doubt open when it closes, for the next start', async () => {
    const { world, chains } = newWorld()
    const broken = {
      store: {
        insert: () => Promise.reject(new Error('down')),
        insertMissing: () => Promise.reject(new Error('down')),
      },
    }
    const { told, starting } = open(world, CALM(), broken)
    await until(() => told.failures > 1)
    await (await starting).close()
    expect([...world.committed.values()].some((position) => decodePosition(position).plan !== null)).toBe(true)
    await run(world, CALM())
    expect(problemsOf(world, chains)).toEqual([])
  })
})

describe('a writer', () => {
  const more = (world: World, chains: ReturnType<typeof chainOf>[]): void => {
    for (const [partition, chain] of chains.entries()) world.append(partition, chain.records.slice(6))
  }

  it('stands still with nothing open until it is released, then goes on', async () => {
    const world = new World()
    const chains = [0, 1].map((kp) => chainOf(kp, 9, DAY))
    for (const [partition, chain] of chains.entries()) {
      world.append(partition, chain.records.slice(0, 6))
      world.rawEnds.set(partition, 18)
    }
    const writer = await open(world, CALM()).starting
    await until(() => settled(world))
    const held = await writer.hold()
    const before = [...world.committed].map(([partition, { offset }]) => [partition, offset])
    await expect(writer.hold()).rejects.toThrow('held already')
    more(world, chains)
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect([...world.committed].map(([partition, { offset }]) => [partition, offset])).toEqual(before)
    held.release()
    await until(() => settled(world) && world.committed.get(0)!.offset === chains[0]!.records.length)
    const again = await writer.hold()
    again.release()
    await writer.close()
    await expect(writer.hold()).rejects.toThrow('closing')
  })

  it('is crowded while a whole batch waits behind the one that is inserted', async () => {
    const world = new World()
    const chains = [0, 1].map((kp) => chainOf(kp, 30, DAY))
    for (const [partition, chain] of chains.entries()) world.append(partition, chain.records.slice(0, 1))
    let letGo = (): void => undefined
    const standing = new Promise<void>((done) => {
      letGo = done
    })
    const store = modelStore(world, CALM())
    const slow = {
      ...store,
      insert: async (one: Parameters<typeof store.insert>[0]) => standing.then(() => store.insert(one)),
    }
    const writer = await open(world, CALM(), { store: slow }).starting
    await until(() => world.committed.size === 2)
    expect(writer.isCrowded()).toBe(false)
    for (const [partition, chain] of chains.entries()) world.append(partition, chain.records.slice(1))
    await until(() => writer.isCrowded())
    letGo()
    await until(() => settled(world) && !writer.isCrowded())
    await writer.close()
    expect(problemsOf(world, chains)).toEqual([])
  })
})
