import { query, waitUntil } from '@millrace/testing'

/** Every hit before this moment is in the reports of the instance at `url`; epoch milliseconds. `site`: any that it has. */
export async function completeUntil(url: string, site: string): Promise<number> {
  return Date.parse((await query(url, { site, period: 'today', metrics: ['page_views'] })).complete_until)
}

/** Resolves when every hit that was accepted before the call is counted. @throws Error when that takes longer than `timeoutMs` */
export async function untilCounted(url: string, site: string, timeoutMs: number): Promise<void> {
  const now = Date.now()
  await waitUntil('everything is counted', async () => (await completeUntil(url, site)) >= now, timeoutMs)
}
