/** Enrichers and aggregators over a log and a store that fail: thousands of random schedules, no files, no clock. */
import { describe, expect, it } from 'vitest'
import { PLANTED } from './planted.ts'
import { runSchedule } from './schedule.ts'

const SCHEDULES = Number(process.env.MODEL_SCHEDULES ?? 1_000)
const TIMEOUT_MS = 3_600_000
/** Seeds within which a rule that is off must show. */
const SEEDS = 400

describe('enrichers and aggregators, whatever fails', () => {
  it(
    'count what the recount counts',
    async () => {
      const found: string[] = []
      for (let seed = 1; seed <= SCHEDULES && found.length === 0; seed++) {
        const { differences } = await runSchedule(seed)
        found.push(...differences.map((text) => `seed ${seed}: ${text}`))
      }
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
