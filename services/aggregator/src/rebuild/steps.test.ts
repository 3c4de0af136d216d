import { type HitRow, LocalDays, type SessionRow } from '@millrace/shared'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FilledStore, insertRows, openFilledStore } from '../query/filled-store.fixture.ts'
import { FIRST_MS, LAST_MS, randomSite, SITE_ZONE } from '../query/random-site.fixture.ts'
import { BLANK_HIT, BLANK_SESSION } from '../writer/markers.ts'
import type { RebuildPlan } from './plan.ts'
import { readLast, readOpen } from './progress.ts'
import { contentsOf, readContents, rebuiltRows } from './rebuilt.fixture.ts'
import { countRebuild, type Rebuild, type RebuildTools, rebuildSteps, withoutOpenSessions } from './steps.ts'

const DAY_MS = 86_400_000
const FIRST = FIRST_MS / DAY_MS
const LAST = LAST_MS / DAY_MS
const ZONES = ['America/Los_Angeles', 'Pacific/Kiritimati', 'UTC', SITE_ZONE]
const other = randomSite('other', 30, 3)
const marker = { day: FIRST, kp: 7, ko: 99 }

let filled: FilledStore
let tools: RebuildTools
beforeAll(async () => {
  filled = await openFilledStore([other])
  await insertRows(filled.store, 'hits_in', [{ ...BLANK_HIT, verdict: 'marker', ...marker }])
  await insertRows(filled.store, 'sessions_in', [
    { ...BLANK_SESSION, version: 1, sign: 1, session_id: '7'.padStart(16, '0'), ...marker },
  ])
  tools = { store: filled.store, deadline: () => null }
})
afterAll(() => filled?.close())

let sites = 0
/** A site of its own for each case: its rows, as they were inserted. */
async function newSite(count: number): Promise<{ site: string; hits: HitRow[]; sessions: SessionRow[] }> {
  const site = `site-${++sites}`
  const { hits, signed } = randomSite(site, count, sites)
  await insertRows(filled.store, 'hits_in', hits)
  await insertRows(
    filled.store,
    'sessions_in',
    signed.filter(({ sign }) => sign === 1),
  )
  await insertRows(
    filled.store,
    'sessions_in',
    signed.filter(({ sign }) => sign === -1),
  )
  return { site, hits, sessions: signed }
}

/** Runs the steps; ends before the one with this number as a crash would. */
async function run(
  rebuild: Parameters<typeof rebuildSteps>[1],
  stopBefore = Number.POSITIVE_INFINITY,
): Promise<string[]> {
  const names: string[] = []
  for await (const name of rebuildSteps(tools, rebuild)) {
    if (names.length === stopBefore) break
    names.push(name)
  }
  return names
}

const begin = async (plan: RebuildPlan) => ({ plan, counts: await countRebuild(tools, plan), state: null })

describe('rebuildSteps', () => {
  it('leaves what a recount of the rows in the new zone gives, for any zone, days and retention, whatever comes meanwhile', async () => {
    const cases = fc.record({
      zone: fc.constantFrom(...ZONES),
      from: fc.constantFrom(0, FIRST, FIRST + 3),
      to: fc.integer({ min: FIRST + 3, max: LAST }),
      keepFrom: fc.constantFrom(0, FIRST + 5, LAST + 2),
    })
    await fc.assert(
      fc.asyncProperty(cases, async (days) => {
        const { site, hits, sessions } = await newSite(30)
        const plan: RebuildPlan = { id: `p-${sites}`, site, ...days }
        const came: HitRow[] = []
        const coming = { open: true }
        const writing = (async () => {
          for (let n = 0; coming.open; n++) {
            const time = LAST_MS + 2 * DAY_MS + n
            const hit: HitRow = {
              ...hits[0]!,
              time,
              day: new LocalDays(days.zone).dayOf(time),
              ko: 1_000_000 + n,
              type: 'page_view',
            }
            await insertRows(filled.store, 'hits_in', [hit])
            came.push(hit)
          }
        })()
        await run(await begin(plan))
        coming.open = false
        await writing
        const expected = rebuiltRows({ hits, sessions }, plan)
        const all = { hits: [...expected.hits, ...came], sessions: expected.sessions }
        expect(came.length).toBeGreaterThan(0)
        expect(await readContents(filled.store, site)).toEqual(contentsOf(all, site))
      }),
      { numRuns: 3, seed: 5 },
    )
    expect(await readContents(filled.store, 'other')).toEqual(
      contentsOf({ hits: other.hits, sessions: other.signed }, 'other'),
    )
  })

  it('can be stopped before any statement, again and again, and continued', async () => {
    const { site, hits, sessions } = await newSite(15)
    const plan: RebuildPlan = { id: 'stopped', site, zone: ZONES[0]!, from: FIRST, to: FIRST + 9, keepFrom: FIRST + 2 }
    let open: Rebuild | undefined = await begin(plan)
    const reached = new Set<string>()
    for (let stop = 1; open; stop++) {
      const before: Rebuild['state'] = open.state
      for (const name of await run(open, stop)) reached.add(name)
      const left: Rebuild[] = await readOpen(filled.store)
      open = left[0]
      expect(left.length, 'it is known until it is done').toBe(reached.has('record done') ? left.length : 1)
      // Later states begin anew with the first of their statements.
      if (open && open.state !== before) stop = 0
    }
    const expected = rebuiltRows({ hits, sessions }, plan)
    expect(await readContents(filled.store, site)).toEqual(contentsOf(expected, site))
    expect([...reached].some((name) => name.startsWith('fill daily_sessions of 2026-10-'))).toBe(true)
  })

  it('deletes nothing when the copies are not there', async () => {
    const { site, hits, sessions } = await newSite(5)
    const plan: RebuildPlan = { id: 'lost', site, zone: 'UTC', from: 0, to: LAST, keepFrom: 0 }
    await run(await begin(plan))
    const counts = await countRebuild(tools, plan)
    await expect(run({ plan, counts, state: 'staged' })).rejects.toThrow(/nothing is deleted/)
    const expected = rebuiltRows({ hits, sessions }, plan)
    expect(await readContents(filled.store, site)).toEqual(contentsOf(expected, site))
  })

  it('says beforehand what it will move and delete, and nothing the second time', async () => {
    const { site, hits, sessions } = await newSite(30)
    const plan: RebuildPlan = { id: 'count', site, zone: 'Pacific/Kiritimati', from: 0, to: LAST, keepFrom: FIRST + 4 }
    const after = rebuiltRows({ hits, sessions }, plan)
    const before = new Map(hits.map((hit) => [hit.ko, hit.day]))
    const counts = await countRebuild(tools, plan)
    expect(counts).toMatchObject({
      hits_kept: after.hits.length,
      hits_deleted: hits.length - after.hits.length,
      hits_moved: after.hits.filter(({ ko, day }) => before.get(ko) !== day).length,
    })
    expect(counts.sessions_deleted).toBeGreaterThan(0)
    await run(await begin(plan))
    const nothing = { ...counts, hits_moved: 0, hits_deleted: 0, sessions_moved: 0, sessions_deleted: 0 }
    expect(await countRebuild(tools, plan)).toEqual(nothing)
    expect(await readLast(filled.store, site)).toEqual({ plan, counts, state: 'done' })
    expect(await filled.store.query(`SELECT 1 FROM millrace.rebuild_hits`)).toEqual([])
  })

  it('fills a rollup that was added later, for the closed days', async () => {
    const { site, hits } = await newSite(20)
    await filled.store.command(`CREATE TABLE millrace.daily_countries (site String, day Date, country String,
      n SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY (site, day, country)`)
    await filled.store.command(`CREATE MATERIALIZED VIEW millrace.daily_countries_view TO millrace.daily_countries AS
      SELECT site, day, country, count() AS n FROM millrace.hits_in WHERE verdict = 'keep' GROUP BY site, day, country`)
    await run(await begin({ id: 'view', site, zone: SITE_ZONE, from: 0, to: LAST, keepFrom: 0 }))
    const [found] = await filled.store.query<{ n: string }>(
      'SELECT sum(n) AS n FROM millrace.daily_countries WHERE site = {site:String}',
      { params: { site } },
    )
    expect(Number(found!.n)).toBe(hits.filter(({ verdict }) => verdict === 'keep').length)
    await filled.store.command('DROP TABLE millrace.daily_countries_view')
  })

  it('leaves the marks of the writer alone', async () => {
    for (const table of ['daily_hits', 'daily_pages', 'daily_sessions']) {
      const rows = await filled.store.query(`SELECT maxMap(wm) AS wm FROM millrace.${table} WHERE site = ''`)
      expect(rows, table).toEqual([{ wm: { 7: '99' } }])
    }
  })
})

describe('withoutOpenSessions', () => {
  it('leaves out the days from the first on which a session began that may still change', async () => {
    const { site, sessions } = await newSite(5)
    const plan: RebuildPlan = { id: 'open', site, zone: 'UTC', from: 0, to: LAST, keepFrom: 0 }
    expect(await withoutOpenSessions(tools, plan, LAST_MS + 9 * DAY_MS)).toEqual(plan)
    const long = { ...sessions[0]!, session_id: 'f'.repeat(16), day: FIRST + 1, end: LAST_MS + 8 * DAY_MS }
    await insertRows(filled.store, 'sessions_in', [long])
    expect(await withoutOpenSessions(tools, plan, LAST_MS + 9 * DAY_MS)).toEqual({ ...plan, to: FIRST })
    expect(await withoutOpenSessions(tools, { ...plan, from: FIRST + 1 }, LAST_MS + 9 * DAY_MS)).toBeNull()
  })
})
