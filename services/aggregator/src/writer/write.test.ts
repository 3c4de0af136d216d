import { dayOfDate } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import type { Facts, Recovered } from '../facts.ts'
import type { Evidence } from './evidence.ts'
import { WRITER_LIMITS, type WriterLimits } from './limits.ts'
import { decodePosition } from './plan.ts'
import { Fuse, finishRunning, modelEvidence, modelLog, modelStore, World } from './test/model.ts'
import { chainOf } from './test/records.ts'
import { startWriter } from './write.ts'

const LIMITS: WriterLimits = {
  ...WRITER_LIMITS,
  batch: { ...WRITER_LIMITS.batch, rows: 24, lingerMs: 1, busyLingerMs: 1 },
  backoff: { firstMs: 1, mostMs: 2 },
  idleCommitMs: 1,
}
const NEVER = 1_000_000

function notes() {
  const told = { recovered: [] as Recovered[], stopped: [] as string[], rejected: 0, flushed: 0, crashed: 0 }
  const facts: Facts = {
    assigned() {},
    startedWithoutPosition() {},
    lost() {},
    stopped: (_partition, reason) => void told.stopped.push(reason),
    rejected(_partition, rejected) {
      told.rejected += rejected.length
    },
    flushed: () => void told.flushed++,
    insertInDoubt() {},
    planFailed() {},
    recovered: (recovered) => void told.recovered.push(recovered),
    recoveryFailed() {},
    restoreFailed() {},
    crashed: () => void told.crashed++,
    idleCommitFailed() {},
    onLag() {},
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
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
const settled = (world: World): boolean =>
  [...world.enriched].every(([partition, records]) => {
    const position = world.committed.get(partition)
    return position?.offset === records.length && decodePosition(position).plan === null
  })

function open(world: World, fuse: Fuse, evidence: Evidence = modelEvidence(world, fuse)) {
  const { told, facts } = notes()
  const store = modelStore(world, fuse)
  const starting = startWriter({ log: modelLog(world, fuse), store, evidence, facts, limits: LIMITS })
  return { told, starting }
}

/** One process that meets the fault, and if it crashed another one that finishes the work. */
async function run(world: World, fuse: Fuse, evidence?: (world: World, fuse: Fuse) => Evidence) {
  const first = open(world, fuse, evidence?.(world, fuse))
  void first.starting
  await until(() => fuse.burnt || settled(world))
  const crashed = fuse.burnt && fuse.mode === 'crash'
  if (crashed) finishRunning(world) // Embedded: the process is gone. What it had sent is in or not, and nothing follows.
  const calm = new Fuse(NEVER, 'crash')
  const last = crashed ? open(world, calm, evidence?.(world, calm)) : first
  await until(() => settled(world) || last.told.stopped.length > 0)
  await (await last.starting).close()
  finishRunning(world)
  return last.told
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
  const fuse = new Fuse(NEVER, 'crash')
  await run(world, fuse)
  expect(problemsOf(world, chains)).toEqual([])
  return fuse.steps
}

describe('startWriter', () => {
  it('inserts every row once and ends with empty plans', async () => {
    expect(await stepsOfCleanRun()).toBeGreaterThan(30)
  })

  it.each(['crash', 'fail'] as const)('inserts every row once with a %s at any step', async (mode) => {
    const steps = (await stepsOfCleanRun()) + 5
    let recoveries = 0
    for (let at = 0; at < steps; at++) {
      const { world, chains } = newWorld()
      const told = await run(world, new Fuse(at, mode))
      expect({ at, problems: problemsOf(world, chains), stopped: told.stopped }).toEqual({
        at,
        problems: [],
        stopped: [],
      })
      recoveries += told.recovered.length
    }
    expect(recoveries).toBeGreaterThan(steps / 4)
  })

  it('inserts every row once when the recovery crashes too', async () => {
    const steps = await stepsOfCleanRun()
    for (let at = 3; at < steps; at += 4) {
      for (let then = 0; then < 40; then += 3) {
        const { world, chains } = newWorld()
        void open(world, new Fuse(at, 'crash')).starting
        await new Promise((resolve) => setTimeout(resolve, 10))
        await run(world, new Fuse(then, 'crash'))
        expect({ at, then, problems: problemsOf(world, chains) }).toEqual({ at, then, problems: [] })
      }
    }
  })

  it.each([
    ['believes that nothing is there', () => new Map<string, number>()],
    [
      'believes that everything is there',
      () => new Map([0, 1].flatMap((kp) => [202610, 202611].map((m) => [`${kp}/${m}`, 99]))),
    ],
  ] as const)('loses or doubles rows when the check %s: the model notices', async (_title, marks) => {
    const blind = (world: World, fuse: Fuse): Evidence => ({
      ...modelEvidence(world, fuse),
      watermarks: async () => marks(),
      hitCounts: async (slices) => new Map(slices.map((s) => [`${s.kp}/${s.month}`, marks().size > 0 ? s.rows : 0])),
    })
    let wrong = 0
    const steps = await stepsOfCleanRun()
    for (let at = 0; at < steps; at++) {
      const { world, chains } = newWorld()
      const told = await run(world, new Fuse(at, 'crash'), blind)
      if (problemsOf(world, chains).length > 0 || told.stopped.length > 0) wrong++
    }
    expect(wrong).toBeGreaterThan(5)
  })
})
