import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { buildFaults } from './killpoints/build-faults.ts'
import { runKills } from './killpoints/kill-run.ts'
import type { Kill, Kind } from './killpoints/lives.ts'
import { SCENARIOS, type ScenarioName } from './killpoints/scenarios.ts'

/** The short form of `npm run e2e -- killpoints`: a kill of every kind in every scenario, and some inside the recovery. */
const faults = buildFaults()
const library = 'library' in faults ? faults.library : ''
const why = 'missing' in faults ? ` (skipped: ${faults.missing})` : ''
afterAll(() => library && rmSync(dirname(library), { recursive: true, force: true }))

const work = (kind: Kind, at: number, more: Partial<Kill> = {}): Kill => ({ from: 'work', kind, at, ...more })
const start = (kind: Kind, at: number): Kill => ({ from: 'start', kind, at })

const KILLS: Readonly<Record<ScenarioName, readonly Kill[]>> = {
  log: [
    work('write', 7, { torn: true }),
    start('sync', 2),
    work('create', 5),
    work('sync', 20, { power: true }),
    work('rename', 4),
    start('unlink', 1),
    work('unlink', 3),
  ],
  spool: [
    work('write', 4, { torn: true }),
    start('create', 2),
    work('create', 2),
    work('sync', 6, { power: true }),
    work('unlink', 1),
    start('write', 1),
  ],
  pipeline: [
    work('create', 30),
    start('unlink', 1),
    work('write', 70, { torn: true }),
    work('rename', 6),
    start('rename', 2),
    work('sync', 140, { power: true }),
  ],
  checkpoint: [
    work('write', 3, { torn: true }),
    start('unlink', 1),
    work('mkdir', 1),
    work('link', 3),
    start('unlink', 3),
    work('unlink', 8),
    work('rename', 2),
    work('create', 9, { power: true }),
  ],
}

describe.skipIf(why !== '')(`killed before an operation on its files${why}`, { timeout: 600_000 }, () => {
  for (const scenario of SCENARIOS) {
    it(`loses and doubles nothing of the ${scenario.name}`, async () => {
      const kills = KILLS[scenario.name]
      const { lives, wrong } = await runKills(scenario, library, kills)
      expect(wrong).toEqual([])
      expect(lives.map(({ killed }) => killed?.kind)).toEqual(kills.map(({ kind }) => kind))
    })
  }
})

/** What a run that has to fail says. */
async function wrongOf(name: ScenarioName, kills: readonly Kill[], env: Record<string, string> = {}): Promise<string> {
  const { wrong, folder } = await runKills(SCENARIOS.find((scenario) => scenario.name === name)!, library, kills, {
    env,
  })
  rmSync(folder, { recursive: true, force: true })
  return wrong.join('\n')
}

describe.skipIf(why !== '')(`the judge of these lives${why}`, { timeout: 600_000 }, () => {
  it('notices a sync that is left out, when the power fails', async () => {
    const kills = [work('create', 9, { power: true, noSync: true })]
    expect(await wrongOf('log', kills)).toMatch(/acknowledged was|is damaged/)
  })

  it('notices an insert in doubt that is not completed', async () => {
    expect(await wrongOf('pipeline', [work('rename', 6)], { PLANT: 'no repair' })).toMatch(/^I3 /m)
  })
})
