/**
 * `npm run e2e -- model --schedules 100000`: random schedules of enrichers and aggregators over a log and a store that
 * fail, without a clock, on as many processors as there are. Exit 1 with the seed when the tables differ from the recount.
 * Options: --schedules --from (the first seed) --without (a rule that is switched off; it must be seen) --processes.
 */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { PLANTED } from './model/planted.ts'
import { runSchedule } from './model/schedule.ts'

/** Schedules that a process takes at a time. */
const PORTION = 100

/** What some schedules came to. */
interface Tally {
  readonly done: number
  readonly wrong: readonly string[]
  readonly told: Readonly<Record<string, number>>
}

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    without: { type: 'string', default: '' },
    processes: { type: 'string', default: String(availableParallelism()) },
  },
})
if (values.without !== '' && !PLANTED[values.without]) {
  throw new Error(`--without takes one of:\n  ${Object.keys(PLANTED).join('\n  ')}`)
}
if (process.send) process.on('message', async (seeds: Seeds) => process.send!(await runSeeds(seeds)))
else await runAll(Number(values.schedules), Number(values.from))

interface Seeds {
  readonly from: number
  readonly count: number
}

async function runSeeds({ from, count }: Seeds): Promise<Tally> {
  const told: Record<string, number> = {}
  const wrong: string[] = []
  for (let seed = from; seed < from + count; seed++) {
    const outcome = await runSchedule(seed, PLANTED[values.without])
    add(told, outcome.told)
    if (outcome.differences.length > 0) wrong.push(`seed ${seed}:\n  ${outcome.differences.slice(0, 5).join('\n  ')}`)
  }
  return { done: count, wrong, told }
}

/** Each process asks for more when it has done its portion. */
async function runAll(schedules: number, first: number): Promise<void> {
  const began = performance.now()
  const told: Record<string, number> = {}
  let next = first
  let done = 0
  let wrong = 0
  const take = (): Seeds => {
    const from = next
    next = Math.min(first + schedules, from + PORTION)
    return { from, count: next - from }
  }
  const note = (tally: Tally): void => {
    const before = done
    done += tally.done
    wrong += tally.wrong.length
    add(told, tally.told)
    for (const text of tally.wrong) console.log(text)
    if (Math.floor(before / 1_000) < Math.floor(done / 1_000)) console.log(`${done} schedules, ${wrong} wrong`)
  }
  await Promise.all(Array.from({ length: Number(values.processes) }, () => workOff(take, note)))
  const seconds = (performance.now() - began) / 1_000
  console.log(`${done} schedules in ${seconds.toFixed(1)} s, ${wrong} wrong`)
  for (const [what, count] of Object.entries(told)) console.log(`  ${what.padEnd(18)}${count}`)
  process.exitCode = wrong === 0 && done === schedules ? 0 : 1
}

function workOff(take: () => Seeds, note: (tally: Tally) => void): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2))
  return new Promise((resolve, reject) => {
    const giveWork = (): void => {
      const seeds = take()
      if (seeds.count > 0) child.send(seeds)
      else child.disconnect()
    }
    child.on('message', (tally: Tally) => {
      note(tally)
      giveWork()
    })
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a process ended with ${code}`))))
    giveWork()
  })
}

function add(sums: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [what, count] of Object.entries(more)) sums[what] = (sums[what] ?? 0) + count
}
