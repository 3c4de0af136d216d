/** One life of what stands behind the collector: records of hits.raw are enriched and inserted into the embedded ClickHouse. */
import { openEmbeddedLog } from '@millrace/log'
import { HITS_RAW, readSettings, TOPICS } from '@millrace/shared'
import { migrate, openStore } from '@millrace/store'
import { waitUntil } from '@millrace/testing'
import { openConfigBook, openConfigWriter } from '../../../libs/config/src/index.ts'
import { createLogger, Registry } from '../../../libs/server/src/index.ts'
import { startAggregator } from '../../../services/aggregator/src/index.ts'
import { ENRICHER_SETTINGS, startEnricher } from '../../../services/enricher/src/index.ts'
import { notesOf, thisLife } from './life.ts'
import { numbersIn, type Parcel, parcelsOf, recordOf } from './pipeline-load.ts'

const PARTITIONS = 2
const HITS = 24
const REPEATED = 6
const PATIENCE_MS = 200_000

const life = thisLife()
const clock = new Float64Array(new SharedArrayBuffer(8))
// The first minutes of a month: every batch has hits of two.
clock[0] = Date.UTC(2026, 10, 1, 0, 1, 20 * life.number)
const log = await openEmbeddedLog({ dir: `${life.dir}/log`, hitPartitions: PARTITIONS, topics: TOPICS, clock })
const store = await openStore({ dataDir: life.dir })
await migrate(store)
// A fault that is planted to see the judge find it: what a flush in doubt is missing is not inserted.
if (process.env.PLANT === 'no repair') store.insertMissing = async () => {}
const config = await openConfigBook(log, { onProblem: () => {} })
const configWriter = openConfigWriter(log, config)
await configWriter.ensureInstallation(['blog'])
const logger = createLogger('info', 'life')
const parts = { log, logger, registry: new Registry() }
const enricher = await startEnricher({
  ...parts,
  ...{ config, settings: readSettings(ENRICHER_SETTINGS, {}), clock: () => clock[0]! },
  // Behind a loss of power checkpoints are another boot's, and not read; here they are another program's.
  build: `test ${process.env.BOOT ?? '0'}`,
  // Next to nothing stays in memory, and every batch is behind a checkpoint.
  ...{ asideDir: `${life.dir}/aside`, inMemory: { sessions: 1, entries: 4 }, checkpointPace: { rows: 1, ms: 0 } },
})
const aggregator = await startAggregator({
  ...parts,
  ...{ store, settings: { MILLRACE_TIMEZONE: 'UTC', MILLRACE_RETENTION_DAYS: 0 } },
})
const producer = log.producer()

async function send(parcels: readonly Parcel[]): Promise<void> {
  const records = new Map<number, { value: Buffer }[]>()
  for (const parcel of parcels) {
    const list = records.get(parcel.partition) ?? []
    records.set(parcel.partition, [...list, { value: recordOf(parcel, clock[0]!) }])
  }
  await producer.append(HITS_RAW.name, records)
}

async function sendAndInsert(numbers: readonly number[]): Promise<void> {
  life.note(['sent', ...numbers].join(' '))
  await send(parcelsOf(numbers, PARTITIONS))
  life.note(['answered', ...numbers].join(' '))
  const now = Date.now()
  await waitUntil('the hits are counted', async () => (await aggregator.completeUntil()) >= now, PATIENCE_MS)
}

// What a life before was not answered is sent again, as a client does.
const notes = notesOf(process.argv[3]!)
const answered = new Set(numbersIn(notes, 'answered'))
const unanswered = [...new Set(numbersIn(notes, 'sent'))].filter((number) => !answered.has(number))
if (unanswered.length > 0) await sendAndInsert(unanswered)
life.begin()
const fresh = Array.from({ length: HITS }, (_, i) => life.number * HITS + i)
// Some hits of lives before come once more, and are known.
await sendAndInsert([...fresh, ...[...answered].slice(-REPEATED)])
await producer.close()
await enricher.close()
await aggregator.close()
await configWriter.close()
await store.close()
await config.close()
await log.close()
life.note('finished')
process.exit(0)
