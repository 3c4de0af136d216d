import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EventLog, openEmbeddedLog } from '@millrace/log'
import { createLogger } from '@millrace/server'
import { dayOfDate, HITS_ENRICHED, type HitRow, kpOf, type SessionRow, TOPICS } from '@millrace/shared'
import { migrate, openStore, type Store } from '@millrace/store'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAggregator } from '../start.ts'
import { readEvidence } from './evidence.ts'
import { WRITER_LIMITS } from './limits.ts'
import { decodePosition } from './plan.ts'
import { Fuse } from './test/model.ts'
import { chainOf } from './test/records.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-aggregator-'))
const LIMITS = {
  batch: { ...WRITER_LIMITS.batch, rows: 24, lingerMs: 5 },
  backoff: { firstMs: 5, mostMs: 20 },
  idleCommitMs: 20,
}
const RECORDS = 6
const CALM = () => new Fuse(1_000_000, 'crash')
const lines: Record<string, unknown>[] = []
const logger = createLogger('info', 'aggregator', { write: (line) => void lines.push(JSON.parse(line)) })

let store: Store
let runs = 0
beforeAll(async () => {
  store = await openStore({ dataDir: join(dir, 'store') })
  await migrate(store)
})
afterAll(async () => {
  await store.close()
  rmSync(dir, { recursive: true, force: true })
})

/** A log of its own epoch with two partitions of hits, so that every run has its own kps and site in the one store. */
async function newRun() {
  const epoch = ++runs
  const site = `run-${epoch}`
  const logDir = join(dir, site)
  const log = await openLog(logDir)
  const chains = [0, 1].map((p) => chainOf(kpOf(epoch, p), RECORDS, dayOfDate('2026-10-31'), site))
  await log.producer().append(HITS_ENRICHED.name, new Map(chains.map(({ records }, p) => [p, records])))
  return { epoch, site, logDir, log, chains }
}
type Run = Awaited<ReturnType<typeof newRun>>
const openLog = (logDir: string) => openEmbeddedLog({ dir: logDir, hitPartitions: 2, topics: TOPICS })

/** Log and store as a process sees them whose every call can be its last. */
function behind(fuse: Fuse, log: EventLog, epoch: number): { log: EventLog; store: Store } {
  const guarded = <T extends object>(inner: T, names: readonly string[]): T =>
    new Proxy(inner, {
      get(target, name) {
        const value = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        if (!names.includes(String(name))) return value.bind(target)
        return async (...args: unknown[]) => {
          await fuse.step()
          const answer = await value.apply(target, args)
          await fuse.step()
          return answer
        }
      },
    })
  return {
    store: guarded(store, ['insert', 'insertMissing', 'killInserts', 'nowMs', 'query', 'targets']),
    log: new Proxy(log, {
      get(target, name) {
        if (name === 'epoch') return async () => epoch
        if (name === 'consumer') return (group: string) => guarded(target.consumer(group), ['commit'])
        const value = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    }),
  }
}

const start = ({ epoch }: Run, log: EventLog, fuse: Fuse) =>
  startAggregator({
    ...behind(fuse, log, epoch),
    settings: { MILLRACE_TIMEZONE: 'UTC', MILLRACE_RETENTION_DAYS: 0 },
    logger,
    registry: new Registry(),
    limits: LIMITS,
  })

async function settled(log: EventLog): Promise<boolean> {
  const committed = await log.admin().committed('millrace.aggregator', HITS_ENRICHED.name)
  return [0, 1].every((p) => {
    const position = committed.get(p)
    return position?.offset === RECORDS && decodePosition(position).plan === null
  })
}
async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const giveUp = Date.now() + 30_000
  while (!(await condition())) {
    if (Date.now() > giveUp) throw new Error(`still not so: ${JSON.stringify(lines.slice(-10), null, 1)}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** What the tables hold of a run, and what they should. */
async function compare({ site, epoch, chains }: Run): Promise<void> {
  const hits = chains.flatMap((chain) => chain.hits)
  const sessions = chains.flatMap((chain) => chain.sessions)
  const one = async (sql: string) => (await store.query<Record<string, string>>(sql))[0]
  const where = `WHERE site = '${site}'`
  const sum = (rows: readonly SessionRow[], of: (row: SessionRow) => number) =>
    String(rows.reduce((total, row) => total + row.sign * of(row), 0))
  const byPath = (rows: readonly HitRow[]) => {
    const views = new Map<string, number>()
    for (const { path } of rows) views.set(path, (views.get(path) ?? 0) + 1)
    return [...views].sort().map(([path, n]) => ({ path, n: String(n) }))
  }
  expect(await one(`SELECT count() AS n, uniqExact(kp, ko, ki) AS u FROM millrace.hits ${where}`)).toEqual({
    n: String(hits.length),
    u: String(hits.length),
  })
  expect(
    await one(`SELECT sum(page_views) AS n, uniqCombined64Merge(14)(visitors) AS u FROM millrace.daily_hits ${where}`),
  ).toEqual({ n: String(hits.length), u: String(new Set(hits.map((row) => row.visitor_id)).size) })
  expect(
    await store.query(
      `SELECT path, sum(page_views) AS n FROM millrace.daily_pages ${where} GROUP BY path ORDER BY path`,
    ),
  ).toEqual(byPath(hits))
  const expected = {
    sessions: sum(sessions, () => 1),
    views: sum(sessions, (row) => row.page_views),
    duration: sum(sessions, (row) => row.duration_ms),
  }
  expect(
    await one(`SELECT sum(sign) AS sessions, sum(sign * page_views) AS views, sum(sign * duration_ms) AS duration
               FROM millrace.sessions ${where}`),
  ).toEqual(expected)
  expect(
    await one(`SELECT sum(sessions) AS sessions, sum(page_views) AS views, sum(duration_ms) AS duration
               FROM millrace.daily_sessions ${where}`),
  ).toEqual(expected)
  const live = await store.query<{ n: string }>(
    `SELECT sum(sign) AS n FROM millrace.sessions WHERE site = '' AND intDiv(kp, 4096) = ${epoch} GROUP BY kp, day`,
  )
  expect(live.map(({ n }) => n)).toEqual(live.map(() => '1'))
  expect(live.length).toBeGreaterThan(0)
}

const recoveries = (): Record<string, unknown>[] => lines.filter(({ msg }) => /^recovered flush/.test(String(msg)))

describe('startAggregator with the embedded log and chDB', () => {
  let steps = 0

  it('inserts every row once and ends with empty plans', async () => {
    const run = await newRun()
    const fuse = CALM()
    const writer = await start(run, run.log, fuse)
    await until(() => settled(run.log))
    await compare(run)
    steps = fuse.steps
    await writer.close()
    await run.log.close()
    expect(recoveries()).toEqual([])
  })

  it('inserts every row once with a process that ends at any call', async () => {
    let cut = 0
    for (let at = 0; at < steps; at += 4) {
      const run = await newRun()
      const fuse = new Fuse(at, 'crash')
      void start(run, run.log, fuse)
      await until(async () => fuse.burnt || (await settled(run.log)))
      await run.log.close()
      const log = await openLog(run.logDir)
      const writer = await start(run, log, CALM())
      await until(() => settled(log))
      await compare(run)
      await writer.close()
      await log.close()
      if (fuse.burnt) cut++
    }
    expect(cut).toBeGreaterThan(5)
    expect(recoveries().length).toBeGreaterThan(3)
  })

  it('completes a flush of which one view failed, and inserts nothing twice', async () => {
    const run = await newRun()
    lines.length = 0
    await store.command('ALTER TABLE millrace.daily_pages ADD CONSTRAINT planted CHECK 1 = 0')
    const writer = await start(run, run.log, CALM())
    await until(() => lines.filter(({ msg }) => String(msg).startsWith('recovery failed')).length > 2)
    await store.command('ALTER TABLE millrace.daily_pages DROP CONSTRAINT planted')
    await until(() => settled(run.log))
    await compare(run)
    await writer.close()
    await run.log.close()
    expect(recoveries()[0]).toMatchObject({ cause: 'insert' })
  })

  it('completes it in the next process when this one ends before', async () => {
    const run = await newRun()
    lines.length = 0
    await store.command('ALTER TABLE millrace.daily_pages ADD CONSTRAINT planted CHECK 1 = 0')
    const first = await start(run, run.log, CALM())
    await until(() => lines.some(({ msg }) => String(msg).startsWith('recovery failed')))
    await first.close()
    await store.command('ALTER TABLE millrace.daily_pages DROP CONSTRAINT planted')
    const writer = await start(run, run.log, CALM())
    await until(() => settled(run.log))
    await compare(run)
    await writer.close()
    await run.log.close()
    const [recovered] = recoveries() as unknown as { slices: number; missing: number; cause: string }[]
    expect(recovered?.cause).toBe('open_plan')
    expect(recovered!.missing).toBeGreaterThan(0)
    expect(recovered!.missing).toBeLessThan(recovered!.slices)
  })

  it('completes it without a position too', async () => {
    const run = await newRun()
    lines.length = 0
    await store.command('ALTER TABLE millrace.daily_pages ADD CONSTRAINT planted CHECK 1 = 0')
    const first = await start(run, run.log, CALM())
    await until(() => lines.some(({ msg }) => String(msg).startsWith('recovery failed')))
    await first.close()
    await store.command('ALTER TABLE millrace.daily_pages DROP CONSTRAINT planted')
    await run.log.close()
    rmSync(run.logDir, { recursive: true })
    const log = await openLog(run.logDir)
    await log.producer().append(HITS_ENRICHED.name, new Map(run.chains.map(({ records }, p) => [p, records])))
    const writer = await start(run, log, CALM())
    await until(() => settled(log))
    await compare(run)
    await writer.close()
    await log.close()
    expect(lines.some(({ msg, target }) => /without its plan/.test(String(msg)) && target === 'daily_pages')).toBe(true)
  })

  it('starts behind what the store holds when the group position is gone', async () => {
    const run = await newRun()
    const first = await start(run, run.log, CALM())
    await until(() => settled(run.log))
    await first.close()
    await run.log.close()
    rmSync(run.logDir, { recursive: true })
    const log = await openLog(run.logDir)
    const records = run.chains.map(({ records }) => records)
    await log.producer().append(HITS_ENRICHED.name, new Map(records.map((of, p) => [p, of])))
    const writer = await start(run, log, CALM())
    await until(() => settled(log))
    await compare(run)
    await writer.close()
    await log.close()
  })

  it('reads marks and counts from the tables', async () => {
    const evidence = readEvidence(store)
    const kp = kpOf(1, 0)
    const ends = new Map([
      [`${kp}/202610`, 5],
      [`${kp}/202612`, 11],
    ])
    const ofKp = (marks: ReadonlyMap<string, number>) => new Map([...marks].filter(([key]) => key.startsWith(`${kp}/`)))
    expect(ofKp(await evidence.largestHits([kp]))).toEqual(ends)
    expect(ofKp(await evidence.watermarks('daily_hits')).get(`${kp}/202612`)).toBe(11)
    expect(ofKp(await evidence.liveMarkers()).get(`${kp}/202610`)).toBe(11)
    const slice = { kp, month: 202610, rows: 0, koFrom: 2, koTo: 3 }
    expect(await evidence.hitCounts([slice])).toEqual(new Map([[`${kp}/202610`, 6]]))
  })
})
