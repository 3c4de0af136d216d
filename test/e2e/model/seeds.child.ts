/** Runs the seeds that its parent sends, without the rule that its argument names. */
import { PLANTED } from './planted.ts'
import type { Seeds, Tally } from './run-many.ts'
import { runSchedule } from './schedule.ts'

const MOST_SENTENCES = 5
const planted = PLANTED[process.argv[2] ?? '']

process.on('message', async ({ from, count }: Seeds) => {
  const told: Record<string, number> = {}
  const wrong: string[] = []
  for (let seed = from; seed < from + count; seed++) {
    const outcome = await runSchedule(seed, planted)
    for (const [what, times] of Object.entries(outcome.told)) told[what] = (told[what] ?? 0) + times
    if (outcome.differences.length > 0)
      wrong.push(`seed ${seed}:\n  ${outcome.differences.slice(0, MOST_SENTENCES).join('\n  ')}`)
  }
  process.send!({ done: count, wrong, told } satisfies Tally)
})
