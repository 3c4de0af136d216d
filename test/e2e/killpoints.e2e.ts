/**
 * `npm run e2e -- killpoints`: kills a process before each of its file operations: appends, segments that roll, commits and
 * compaction in the log; the spool and its way into the log; batches of the enricher and an insert with all its views;
 * checkpoints of the enricher.
 * Each time it recovers by its normal start, is killed once more in that start, recovers again and goes on. A write is
 * killed before it and in its middle. Then everything that was promised is compared with what is there. Exit 1 when
 * anything differs. Options: --only log|spool|pipeline|checkpoint --every N (each N-th operation) --power (what was not synced is lost
 * too) --jobs --lives (kills of one installation before it is judged) --seed.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildFaults } from './killpoints/build-faults.ts'
import { runKills } from './killpoints/kill-run.ts'
import { KINDS, type Kill, type Lived, live, placeIn, type Scenario } from './killpoints/lives.ts'
import { SCENARIOS } from './killpoints/scenarios.ts'
import { seededRandom } from './model/machine.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    every: { type: 'string', default: '1' },
    power: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '2' },
    lives: { type: 'string', default: '8' },
    seed: { type: 'string', default: '1' },
  },
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
const faults = buildFaults()
if ('missing' in faults) throw new Error(`it cannot run here: ${faults.missing}`)
const { library } = faults
const random = seededRandom(Number(values.seed))

/** An installation that has lived once, and how many operations its next life has, before and in its work. */
async function prepare(scenario: Scenario): Promise<{ template: string; operations: Lived; recovery: number }> {
  const template = mkdtempSync(join(tmpdir(), 'millrace-kill-template-'))
  mkdirSync(placeIn(template).dir)
  await live(scenario, library, placeIn(template), 0, null)
  const trial = await runKills(scenario, library, [{ from: 'work', at: 1_000_000 }], { template })
  const operations = trial.lives[0]
  if (!operations || trial.wrong.length > 0) throw new Error(trial.wrong.join('\n'))
  // A recovery in the middle of things has more to do than a start without one.
  const half: Kill = { from: 'work', at: Math.ceil(operations.operations.length / 2) }
  const { lives } = await runKills(scenario, library, [half, { from: 'start', at: 1_000_000 }], { template })
  return { template, operations, recovery: lives[1]!.before }
}

/** Each operation of the work, and behind each a kill somewhere in the recovery. */
function planKills({ operations }: Lived, recovery: number): Kill[] {
  const power = values.power
  const kills: Kill[] = []
  for (let at = 1; at <= operations.length; at += Number(values.every)) {
    const forms = operations[at - 1] === 'write' ? [false, true] : [false]
    for (const torn of forms) {
      kills.push({ from: 'work', at, torn, power })
      kills.push({ from: 'start', at: 1 + Math.floor(random() * recovery), torn: random() < 0.5, power })
    }
  }
  return kills
}

interface Tally {
  readonly kinds: Map<string, { work: number; start: number }>
  wrong: number
}

async function runScenario(scenario: Scenario): Promise<Tally> {
  const tally: Tally = { kinds: new Map(), wrong: 0 }
  const { template, operations, recovery } = await prepare(scenario)
  const kills = planKills(operations, recovery)
  console.log(
    `${scenario.name}: ${operations.operations.length} operations in a life's work, ${recovery} in a recovery; ${kills.length} kills`,
  )
  const total = kills.length
  let done = 0
  const rows: Kill[][] = []
  while (kills.length > 0) rows.push(kills.splice(0, Number(values.lives)))
  const worker = async (): Promise<void> => {
    for (let row = rows.shift(); row; row = rows.shift()) {
      const report = await runKills(scenario, library, row, { template })
      count(tally, row, report.lives)
      done += report.lives.length
      console.log(`  ${done} of ${total} kills`)
      for (const text of report.wrong) {
        tally.wrong += 1
        console.log(`WRONG ${scenario.name} ${JSON.stringify(row)}\n  ${text} (in ${report.folder})`)
      }
    }
  }
  await Promise.all(Array.from({ length: Number(values.jobs) }, worker))
  rmSync(template, { recursive: true, force: true })
  return tally
}

function count({ kinds }: Tally, row: readonly Kill[], lives: readonly Lived[]): void {
  for (const [i, { killed }] of lives.entries()) {
    const { torn, from } = row[i]!
    const name = killed === null ? 'not reached' : killed.kind === 'write' && torn ? 'write, by half' : killed.kind
    const entry = kinds.get(name) ?? { work: 0, start: 0 }
    entry[from] += 1
    kinds.set(name, entry)
  }
}

const startedAt = performance.now()
let wrong = 0
for (const scenario of SCENARIOS.filter(({ name }) => values.only === '' || values.only.split(',').includes(name))) {
  const { kinds, ...tally } = await runScenario(scenario)
  wrong += tally.wrong
  const names = ['write, by half', ...KINDS, 'not reached'].filter((name) => kinds.has(name))
  for (const name of names) {
    const { work, start } = kinds.get(name)!
    console.log(
      `  ${name.padEnd(16)}${String(work).padStart(6)} in the work${String(start).padStart(6)} from the start on`,
    )
  }
  console.log(`  wrong: ${tally.wrong}`)
}
rmSync(dirname(library), { recursive: true, force: true })
console.log(`${Math.round((performance.now() - startedAt) / 1_000)} s, seed ${values.seed}`)
console.log(wrong === 0 ? 'passed' : 'FAILED')
process.exitCode = wrong === 0 ? 0 : 1
