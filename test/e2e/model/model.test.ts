/** Enrichers and aggregators over a log and a store that fail: thousands of random schedules, no files, no clock. */
import { describe, expect, it } from 'vitest'
import { PLANTED } from './planted.ts'
import { runMany } from './run-many.ts'
import { runSchedule } from './schedule.ts'

const SCHEDULES = Number(process.env.MODEL_SCHEDULES ?? 3_000)
const TIMEOUT_MS = 3_600_000
/** Seeds within which a rule that is off must show. */
const SEEDS = 400

describe('enrichers and aggregators, whatever fails', () => {
  it(
    'count what the recount counts',
    async () => {
      const { done, wrong, told } = await runMany({ from: 1, count: SCHEDULES })
      expect(wrong).toEqual([])
      expect(done).toBe(SCHEDULES)
      // Each kind of trouble was there, hundreds of times.
      expect(Object.entries(told).filter(([, times]) => times < SCHEDULES / 300)).toEqual([])
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
