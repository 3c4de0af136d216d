import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@millrace/server'
import type { Store } from '@millrace/store'
import { type Lease, readLease, takeLease } from './lease.ts'
import type { RebuildPlan } from './plan.ts'
import { readLast, readOpen, type StoredRebuild } from './progress.ts'
import { countRebuild, type Rebuild, rebuildSteps } from './steps.ts'

/** How long after a failure what was begun is tried again. */
const AGAIN_MS = 60_000

/** How the last rebuild of a site stands. */
interface RebuildStatus {
  readonly rebuild: StoredRebuild
  /** Some process works on it. */
  readonly runs: boolean
}

/** The rebuilds of this process, one at a time. */
export interface Rebuilds {
  /** Begins one. Resolves when its plan is recorded, or with null when another runs, here or elsewhere, or has to be continued first. @throws errors of the store */
  begin(plan: RebuildPlan): Promise<StoredRebuild | null>
  status(site: string): Promise<RebuildStatus | null>
  /** Stops between two statements; the next start continues. */
  close(): Promise<void>
}

interface RebuildParts {
  readonly store: Store
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

/** Brings what was interrupted to its end, now and whenever it failed, and then takes new ones. */
export function startRebuilds({ store, logger }: RebuildParts): Rebuilds {
  const closing = new AbortController()
  let running: Promise<unknown> | null = null

  /** `recorded` is called when a crash can no longer make it forgotten. */
  async function run(rebuild: Rebuild, { renew, until }: Lease, recorded = (): void => undefined): Promise<void> {
    const { id, site } = rebuild.plan
    for await (const step of rebuildSteps({ store, deadline: until }, rebuild)) {
      if (step !== 'record planned') recorded()
      closing.signal.throwIfAborted()
      await renew()
      logger.info({ rebuild: id, site, step }, 'rebuild')
    }
    logger.info({ audit: true, rebuild: id, site, ...rebuild.counts }, 'rebuild done')
  }

  /** What is open, or else the new one; `begun` is told when that is recorded, or null when it does not begin. */
  async function work(plan: RebuildPlan | null, begun: (rebuild: StoredRebuild | null) => void): Promise<void> {
    if (!plan && (await readOpen(store)).length === 0) return
    const lease = await takeLease(store)
    if (!lease) return begun(null)
    try {
      const open = await readOpen(store)
      if (plan && open.length === 0) {
        const counts = await countRebuild({ store }, plan)
        await run({ plan, counts, state: null }, lease, () => begun({ plan, counts, state: 'planned' }))
      } else begun(null)
      for (const rebuild of open) await run(rebuild, lease)
    } finally {
      await lease.release().catch(() => undefined)
    }
  }

  /** Only one at a time; what fails is told and tried again later. */
  function occupy(task: Promise<unknown>): void {
    const ended = task
      .catch((error: unknown) => {
        if (!closing.signal.aborted) logger.warn({ problem: (error as Error).message }, 'rebuild interrupted')
      })
      .finally(() => {
        running = null
      })
    running = ended
  }

  const again = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      if (!running) occupy(work(null, () => undefined))
      await running
      await sleep(AGAIN_MS, undefined, { ref: false, signal: closing.signal }).catch(() => undefined)
    }
  }
  const continuing = again()

  return {
    async begin(plan) {
      if (running || closing.signal.aborted) return null
      return new Promise<StoredRebuild | null>((resolve, reject) => {
        const task = work(plan, resolve)
        task.catch(reject)
        occupy(task)
      })
    },
    async status(site) {
      const rebuild = await readLast(store, site)
      if (!rebuild) return null
      const runs = store.shared ? ((await readLease(store))?.runs ?? false) : running !== null
      return { rebuild, runs }
    },
    async close() {
      closing.abort(new Error('closing'))
      await running
      await continuing
    },
  }
}
