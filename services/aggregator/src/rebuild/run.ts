import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@millrace/server'
import { type Store, StoreRefused } from '@millrace/store'
import { type Deletion, type DeletionCounts, readAsked, type StoredDeletion } from '../deletion/deletions.ts'
import { type HideTools, hideSteps, revokeSteps } from '../deletion/hide.ts'
import { type Lease, readLease, takeLease } from './lease.ts'
import type { RebuildPlan } from './plan.ts'
import { readLast, readOpen, type StoredRebuild } from './progress.ts'
import { countRebuild, type Rebuild, rebuildSteps } from './steps.ts'

/** How long after a failure what was begun is tried again, and how often it is looked whether hidden rows can be deleted. */
const AGAIN_MS = 60_000

/** How the last rebuild of a site stands. */
interface RebuildStatus {
  readonly rebuild: StoredRebuild
  /** Some process works on it. */
  readonly runs: boolean
}

/** The rebuilds and deletions of this process, one at a time. */
export interface Rebuilds {
  /** Begins one. Resolves when its plan is recorded, or with null when another runs, here or elsewhere, or has to be continued first. @throws errors of the store */
  begin(plan: RebuildPlan): Promise<StoredRebuild | null>
  /** Hides what a deletion chooses, and resolves when it is; false when something else runs. @throws errors of the store */
  hide(deletion: Deletion, counts: DeletionCounts): Promise<boolean>
  /** Shows again what of a deletion is still there; false when something else runs. @throws errors of the store */
  revoke(deletion: StoredDeletion): Promise<boolean>
  status(site: string): Promise<RebuildStatus | null>
  /** Looks at once for what can be deleted, instead of at the next minute. */
  lookForDue(): void
  /** Stops between two statements; the next start continues. */
  close(): Promise<void>
}

interface RebuildParts {
  readonly store: Store
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** The plans that delete what is hidden and can be deleted now. */
  readonly due?: () => Promise<readonly RebuildPlan[]>
}

/** Brings what was interrupted to its end, now and whenever it failed, and then takes new ones. */
export function startRebuilds({ store, logger, due = async () => [] }: RebuildParts): Rebuilds {
  const closing = new AbortController()
  let running: Promise<unknown> | null = null
  let waking = new AbortController()

  /** Sends the statements of a work, one after the other, while the lease is ours. */
  async function follow(
    steps: AsyncGenerator<string, void>,
    { renew }: Lease,
    names: Readonly<Record<string, string>>,
    sent: (step: string) => void = () => undefined,
  ): Promise<void> {
    let last = ''
    for await (const step of steps) {
      sent(step)
      closing.signal.throwIfAborted()
      await renew()
      if (step !== last) logger.info({ ...names, step }, 'rebuild' in names ? 'rebuild' : 'deletion')
      last = step
    }
  }

  /** `recorded` is called when a crash can no longer make it forgotten. */
  async function rebuild(open: Rebuild, lease: Lease, recorded = (): void => undefined): Promise<void> {
    const { id, site } = open.plan
    const steps = rebuildSteps({ store, deadline: lease.until }, open)
    await follow(steps, lease, { rebuild: id, site }, (step) => {
      if (step !== 'record planned') recorded()
    })
    logger.info({ audit: true, rebuild: id, site, ...open.counts }, 'rebuild done')
  }

  /** What the store refuses to hide is taken back, so that it does not stand in the way of all others. */
  async function hide(deletion: Deletion, counts: DeletionCounts, lease: Lease, isNew: boolean): Promise<void> {
    const { id, site } = deletion
    const tools: HideTools = { store, deadline: lease.until }
    try {
      await follow(hideSteps(tools, deletion, counts, isNew), lease, { deletion: id, site })
    } catch (error) {
      if (error instanceof StoreRefused)
        await follow(revokeSteps(tools, deletion, counts), lease, { deletion: id, site })
      throw error
    }
    logger.info({ audit: true, deletion: id, site, ...counts }, 'deletion hidden')
  }

  /**
   * What is open comes first, then the task; when something was open, or another process works, the task is left out and
   * the answer is false.
   */
  async function alone(task: (lease: Lease) => Promise<void>): Promise<boolean> {
    const lease = await takeLease(store)
    if (!lease) return false
    try {
      const [asked, open] = [await readAsked(store), await readOpen(store)]
      if (asked.length + open.length === 0) {
        await task(lease)
        return true
      }
      for (const { deletion, counts } of asked) await hide(deletion, counts, lease, false)
      for (const each of open) await rebuild(each, lease)
      return false
    } finally {
      await lease.release().catch(() => undefined)
    }
  }

  /** Whether anything is open, and what can be deleted. Only looks, so that nobody has to wait for it. */
  async function look(): Promise<{ open: boolean; plans: readonly RebuildPlan[] }> {
    const open = (await readOpen(store)).length + (await readAsked(store)).length > 0
    return { open, plans: await due() }
  }

  async function catchUp({ open, plans }: Awaited<ReturnType<typeof look>>): Promise<void> {
    if (open) await alone(async () => undefined)
    for (const plan of plans) {
      closing.signal.throwIfAborted()
      await alone(async (lease) => {
        const counts = await countRebuild({ store }, plan)
        await rebuild({ plan, counts, state: null }, lease)
      })
    }
  }

  const tell = (error: unknown): void => {
    if (!closing.signal.aborted) logger.warn({ problem: (error as Error).message }, 'rebuild interrupted')
  }

  /** Only one at a time; what fails is told and tried again later. */
  function occupy(task: Promise<unknown>): void {
    const ended = task.catch(tell).finally(() => {
      running = null
    })
    running = ended
  }

  const again = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      waking = new AbortController()
      const signal = AbortSignal.any([closing.signal, waking.signal])
      const found = await look().catch(tell)
      if (found && (found.open || found.plans.length > 0) && !running) occupy(catchUp(found))
      await running
      await sleep(AGAIN_MS, undefined, { ref: false, signal }).catch(() => undefined)
    }
  }
  const continuing = again()

  /** The task if nothing else runs here. */
  async function take<T>(task: () => Promise<T>): Promise<T | null> {
    if (running || closing.signal.aborted) return null
    const taken = task()
    occupy(taken)
    return taken
  }

  return {
    async begin(plan) {
      if (running || closing.signal.aborted) return null
      return new Promise<StoredRebuild | null>((resolve, reject) => {
        const task = alone(async (lease) => {
          const counts = await countRebuild({ store }, plan)
          await rebuild({ plan, counts, state: null }, lease, () => resolve({ plan, counts, state: 'planned' }))
        }).then((ran) => {
          if (!ran) resolve(null)
        })
        task.catch(reject)
        occupy(task)
      })
    },
    async hide(deletion, counts) {
      return (await take(() => alone((lease) => hide(deletion, counts, lease, true)))) ?? false
    },
    async revoke({ deletion, counts }) {
      const revoking = (lease: Lease): Promise<void> =>
        follow(revokeSteps({ store, deadline: lease.until }, deletion, counts), lease, {
          deletion: deletion.id,
          site: deletion.site,
        })
      return (await take(() => alone(revoking))) ?? false
    },
    async status(site) {
      const last = await readLast(store, site)
      if (!last) return null
      const runs = store.shared ? ((await readLease(store))?.runs ?? false) : running !== null
      return { rebuild: last, runs }
    },
    lookForDue: () => waking.abort(),
    async close() {
      closing.abort(new Error('closing'))
      await running
      await continuing
    },
  }
}
