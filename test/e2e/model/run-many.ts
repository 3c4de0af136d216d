/** Many schedules on several processors: they share nothing. */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

/** Schedules that a process takes at a time. */
const PORTION = 50
const CHILD = fileURLToPath(new URL('./seeds.child.ts', import.meta.url))
/** What a schedule makes is garbage when it ends: with more room for the young most of it is never looked at. */
const NODE_OPTIONS = ['--conditions=source', '--import', 'tsx', '--max-semi-space-size=64']

/** Seeds [from, from + count). */
export interface Seeds {
  readonly from: number
  readonly count: number
}

/** What some schedules came to. */
export interface Tally {
  readonly done: number
  /** Seeds whose tables differ from the recount, with what differs. */
  readonly wrong: readonly string[]
  /** How often things went wrong that must not matter, by kind. */
  readonly told: Readonly<Record<string, number>>
}

export interface Many extends Seeds {
  /** A rule of the design that is switched off; default: none. */
  readonly without?: string
  /** Default: one for each processor. */
  readonly processes?: number
  /** Told what there is so far. */
  readonly progress?: (sum: Tally) => void
}

/** Each process asks for more when it has done its portion. @throws Error when one of them dies */
export async function runMany({ from, count, without = '', processes, progress }: Many): Promise<Tally> {
  let next = from
  let sum: Tally = { done: 0, wrong: [], told: {} }
  const take = (): Seeds => {
    const first = next
    next = Math.min(from + count, first + PORTION)
    return { from: first, count: next - first }
  }
  const note = (tally: Tally): void => {
    sum = added(sum, tally)
    progress?.(sum)
  }
  const workers = Array.from({ length: processes ?? availableParallelism() }, () => workOff(without, take, note))
  await Promise.all(workers)
  return sum
}

function workOff(without: string, take: () => Seeds, note: (tally: Tally) => void): Promise<void> {
  const child = fork(CHILD, [without], { execArgv: NODE_OPTIONS })
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

function added(sum: Tally, more: Tally): Tally {
  const told = { ...sum.told }
  for (const [what, count] of Object.entries(more.told)) told[what] = (told[what] ?? 0) + count
  return { done: sum.done + more.done, wrong: [...sum.wrong, ...more.wrong], told }
}
