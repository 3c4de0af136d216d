/**
 * `npm run e2e -- model --schedules 100000`: random schedules of enrichers and aggregators over a log and a store that
 * fail, in one thread and without a clock. Exit 1 with the seed when the tables differ from the recount.
 * Options: --schedules --from (the first seed) --without (a rule that is switched off; it must be seen).
 */
import { parseArgs } from 'node:util'
import { PLANTED } from './model/planted.ts'
import { runSchedule } from './model/schedule.ts'

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    without: { type: 'string', default: '' },
  },
})
if (values.without !== '' && !PLANTED[values.without]) {
  throw new Error(`--without takes one of:\n  ${Object.keys(PLANTED).join('\n  ')}`)
}
const wanted = Number(values.schedules)
const first = Number(values.from)
const told: Record<string, number> = {}
const began = performance.now()
let wrong = 0
for (let done = 0; done < wanted; done++) {
  const outcome = await runSchedule(first + done, PLANTED[values.without])
  for (const [what, count] of Object.entries(outcome.told)) told[what] = (told[what] ?? 0) + count
  if (outcome.differences.length > 0) {
    wrong++
    console.log(`seed ${first + done}:\n  ${outcome.differences.slice(0, 5).join('\n  ')}`)
  }
  if ((done + 1) % 1_000 === 0) console.log(`${done + 1} schedules, ${wrong} wrong`)
}
const seconds = (performance.now() - began) / 1_000
console.log(`${wanted} schedules in ${seconds.toFixed(1)} s, ${wrong} wrong`)
for (const [what, count] of Object.entries(told)) console.log(`  ${what.padEnd(18)}${count}`)
process.exitCode = wrong === 0 ? 0 : 1
