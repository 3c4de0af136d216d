import { openStore } from '@millrace/store'

/** Kept rows by site, of the folder of a stopped product or of a ClickHouse server. */
export async function keptBySite(place: { dataDir: string } | { url: string }): Promise<Map<string, number>> {
  const store = await openStore({ dataDir: '', ...place, role: 'read' })
  const rows = await store.query<{ site: string; hits: string }>(
    "SELECT toString(site) AS site, count() AS hits FROM millrace.hits WHERE verdict = 'keep' GROUP BY site",
  )
  await store.close()
  return new Map(rows.map(({ site, hits }) => [site, Number(hits)]))
}
