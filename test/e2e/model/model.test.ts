/** Enrichers and aggregators over a log and a store that fail: thousands of random schedules, no files, no clock. */
import { describe, expect, it } from 'vitest'
import { PLANTED } from './planted.ts'
import { runSchedule } from './schedule.ts'

/** As many schedules as asked for by MODEL_SCHEDULES; else as many as a machine does in a few seconds, and these at least. */
const WANTED = Number(process.env.MODEL_SCHEDULES ?? 0)
const AT_LEAST = 30
const AT_MOST = 2_000
const ENOUGH_MS = 10_000
const TIMEOUT_MS = 3_600_000
/** Seeds within which a rule that is off must show. */
const SEEDS = 400

describe('enrichers and aggregators, whatever fails', () => {
  it(
    'count what the recount counts',
    async () => {
      const began = performance.now()
      const found: string[] = []
      const goesOn = (done: number): boolean =>
        WANTED > 0 ? done < WANTED : done < AT_LEAST || (done < AT_MOST && performance.now() - began < ENOUGH_MS)
      let seed = 0
      while (goesOn(seed) && found.length === 0) {
        const { differences } = await runSchedule(++seed)
        found.push(...differences.map((text) => `seed ${seed}: ${text}`))
      }
      console.info(`${seed} schedules`)
      expect(found).toEqual([])
    },
    TIMEOUT_MS,
  )

  it.each(Object.keys(PLANTED))(
    'would be seen to count wrong without %s',
    async (rule) => {
      const found: string[] = []
      for (let seed = 1; seed <= SEEDS && found.length === 0; seed++) {
        found.push(...(await runSchedule(seed, PLANTED[rule])).differences)
      }
      expect(found).not.toEqual([])
    },
    TIMEOUT_MS,
  )

  it('gives the same schedule for the same seed', async () => {
    expect(await runSchedule(7)).toEqual(await runSchedule(7))
  })
})
