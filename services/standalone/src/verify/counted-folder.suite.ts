/** An installation in one folder and this process whose hits are all counted: enricher and writer have stopped. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startAggregator } from '@millrace/aggregator'
import { type ConfigBook, openConfigBook, openConfigWriter } from '@millrace/config'
import { startEnricher } from '@millrace/enricher'
import { type EmbeddedLog, openEmbeddedLog } from '@millrace/log'
import { createLogger, Registry } from '@millrace/server'
import { HITS_RAW, type RawLine, TOPICS } from '@millrace/shared'
import { migrate, openStore, type Store } from '@millrace/store'
import { engagement, event, hitId, pageView, rawLine, rawValue, waitUntil } from '@millrace/testing'

const PARTITIONS = 2
export const SETTINGS = {
  MILLRACE_TIMEZONE: 'UTC',
  MILLRACE_SESSION_TIMEOUT_MINUTES: 30,
  MILLRACE_RETENTION_DAYS: 0,
  MILLRACE_GEO_DATABASE: '',
  MILLRACE_DATACENTER_NETWORKS: null,
  MILLRACE_FINGERPRINT_KEY: '',
  MILLRACE_FINGERPRINT_INPUTS: [],
}

export interface CountedFolder {
  readonly dir: string
  readonly log: EmbeddedLog
  readonly store: Store
  readonly config: ConfigBook
  /** Appends records to hits.raw and counts them. */
  count(records: ReadonlyMap<number, readonly Buffer[]>): Promise<void>
  close(): Promise<void>
}

/** Makes it, with two sites of which one has its own zone and timeout. */
export async function openCountedFolder(): Promise<CountedFolder> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-counted-'))
  const log = await openEmbeddedLog({ dir: join(dir, 'log'), hitPartitions: PARTITIONS, topics: TOPICS })
  const config = await openConfigBook(log)
  const writer = openConfigWriter(log, config)
  await writer.ensureInstallation(['blog'])
  await writer.addSite('shop', { timezone: 'Pacific/Auckland', session_timeout_minutes: 5 })
  await writer.close()
  const store = await openStore({ dataDir: dir })
  await migrate(store)
  return {
    ...{ dir, log, store, config },
    count: (records) => count({ log, store, config }, records),
    async close() {
      await store.close()
      await config.close()
      await log.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

async function count(
  { log, store, config }: Pick<CountedFolder, 'log' | 'store' | 'config'>,
  records: ReadonlyMap<number, readonly Buffer[]>,
): Promise<void> {
  const parts = { log, logger: createLogger('error', 'test'), registry: new Registry(), settings: SETTINGS }
  const producer = log.producer()
  for (const [partition, values] of records)
    for (const value of values) await producer.append(HITS_RAW.name, new Map([[partition, [{ value }]]]))
  await producer.close()
  const appendedAt = Date.now()
  const enricher = await startEnricher({ ...parts, config, build: 'test', batchEveryMs: 1, commitEveryMs: 10 })
  const aggregator = await startAggregator({ ...parts, registry: new Registry(), store })
  await waitUntil('everything is counted', async () => (await aggregator.completeUntil()) >= appendedAt, 60_000)
  await enricher.close()
  await aggregator.close()
}

/** Some visits of some visitors: pages, events, signals, requests sent twice, lines that nobody can read, late ones, a bot. */
export function someVisits(): Map<number, Buffer[]> {
  const records = new Map<number, Buffer[]>()
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const values: Buffer[] = []
    for (let n = 0; n < 40; n++) values.push(n === 17 ? Buffer.from('no line\n') : rawValue(linesOf(partition, n)))
    records.set(partition, values)
  }
  return records
}

function linesOf(partition: number, n: number): RawLine[] {
  const id = (k: number): string => hitId(partition * 10_000 + n * 10 + k)
  const visitor = n % 7
  const others = {
    ...{ collected_at: Date.now(), site: n % 3 === 0 ? 'shop' : 'blog', ip: `203.0.113.${partition * 50 + visitor}` },
    ...(visitor === 5 && { user_agent: 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)' }),
  }
  const page = { hit_id: id(0), url: `https://example.com/page/${n % 5}`, title: `Page ${n % 5}` }
  const lines = [rawLine([{ ...pageView(page), hit_id: id(0) }], others)]
  if (n % 4 === 0) lines.push(rawLine([{ ...event({ interactive: n % 8 === 0 }), hit_id: id(1) }], others))
  if (n % 4 === 1)
    lines.push(rawLine([{ ...engagement({ page_id: id(0), engaged_ms: 3_000 * (n % 6) }), hit_id: id(2) }], others))
  if (n % 10 === 3) lines.push(rawLine([{ ...pageView(page), hit_id: id(0) }], others))
  if (n % 10 === 4) {
    const campaign = pageView({ url: `https://example.com/?utm_source=news${n}` })
    lines.push(rawLine([{ ...campaign, hit_id: id(3) }], others))
  }
  if (n % 10 === 6) {
    const late = { ...pageView(page), hit_id: id(4), created_at: others.collected_at - 3_600_000 }
    lines.push(rawLine([late], { ...others, sent_at: others.collected_at }))
  }
  return lines
}
