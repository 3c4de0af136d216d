/**
 * `npm run e2e -- model --schedules 100000`: random schedules of enrichers and aggregators over a log and a store that
 * fail, without a clock, on as many processors as there are. Exit 1 with the seed when the tables differ from the recount.
 * Options: --schedules (10000) --from (the first seed) --without (a rule that is switched off; it must be seen) --processes.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { PLANTED } from './model/planted.ts'
import { runMany } from './model/run-many.ts'

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    without: { type: 'string', default: '' },
    processes: { type: 'string', default: String(availableParallelism()) },
  },
})
if (values.without !== '' && !PLANTED[values.without]) {
  throw new Error(`--without takes one of:\n  ${Object.keys(PLANTED).join('\n  ')}`)
}
const began = performance.now()
let shown = 0
let thousands = 0
const { done, wrong, told } = await runMany({
  ...{ from: Number(values.from), count: Number(values.schedules), processes: Number(values.processes) },
  without: values.without,
  progress: (sum) => {
    for (const text of sum.wrong.slice(shown)) console.log(text)
    shown = sum.wrong.length
    if (Math.floor(sum.done / 1_000) === thousands) return
    thousands = Math.floor(sum.done / 1_000)
    console.log(`${sum.done} schedules, ${sum.wrong.length} wrong`)
  },
})
console.log(`${done} schedules in ${((performance.now() - began) / 1_000).toFixed(1)} s, ${wrong.length} wrong`)
for (const [what, count] of Object.entries(told)) console.log(`  ${what.padEnd(18)}${count}`)
process.exitCode = (wrong.length === 0) === (values.without === '') && done === Number(values.schedules) ? 0 : 1
