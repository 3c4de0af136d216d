import { openStore } from '@millrace/store'
import { fillSite, type SiteToFill } from './fill-site.ts'

const EVERY_MS = 500
const HITS_A_SESSION = 3.836

/** Ends the ingest and tells how many hits a second it brought in. */
export type StopIngest = () => Promise<number>

/**
 * Rows of another site come into the same tables, with their sessions and through all views, twice a second as the
 * aggregator inserts them, until stopped: what reports of a busy store have beside them. Inserts that take longer than half
 * a second are not made up for.
 */
export async function startIngest(
  dataDir: string,
  hitsPerSecond: number,
  site: Omit<SiteToFill, 'sessions' | 'seed'>,
): Promise<StopIngest> {
  const store = await openStore({ dataDir, role: 'read', queryConnections: 1 })
  const sessions = Math.round((hitsPerSecond * EVERY_MS) / 1000 / HITS_A_SESSION)
  const startedAt = performance.now()
  let [rounds, stopped] = [0, false]
  const run = async (): Promise<void> => {
    while (!stopped) {
      const dueMs = startedAt + rounds * EVERY_MS - performance.now()
      if (dueMs > 0) await new Promise((resolve) => setTimeout(resolve, dueMs))
      await fillSite(store, { ...site, sessions, seed: 1_000 + rounds++ })
    }
  }
  const running = run()
  return async () => {
    stopped = true
    await running
    const seconds = (performance.now() - startedAt) / 1000
    await store.close()
    return (rounds * sessions * HITS_A_SESSION) / seconds
  }
}
