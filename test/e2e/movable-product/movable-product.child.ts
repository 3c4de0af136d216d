/** The whole product in this process, with a clock that its parent moves. Started from what was built. */
import { join } from 'node:path'
import { openEmbeddedLog } from '@millrace/log'
import { HITS_RAW, TOPICS } from '@millrace/shared'
import { STANDALONE_SETTINGS, settingsFrom, startStandalone } from '@millrace/standalone'

/** What the parent asks for: a time, or the end. */
export type Ask = { now: number } | { stop: true }

const PARTITIONS = 4
const MAINTENANCE_MS = 200
const { START_AT, UNREADABLE, ...environment } = process.env

const clock = new Float64Array(new SharedArrayBuffer(8))
clock[0] = Number(START_AT)
const settings = settingsFrom(STANDALONE_SETTINGS, environment)

if (UNREADABLE) {
  // A line that nobody can read, so that there is something in hits.dead too.
  const dir = join(settings.MILLRACE_DATA_DIR, 'log')
  const log = await openEmbeddedLog({ dir, topics: TOPICS, hitPartitions: PARTITIONS, clock })
  const producer = log.producer()
  await producer.append(HITS_RAW.name, new Map([[0, [{ value: Buffer.from(UNREADABLE) }]]]))
  await producer.close()
  await log.close()
}

const onFailure = (error: Error): void => {
  console.error(error)
  process.exit(1)
}
const standalone = await startStandalone(settings, onFailure, { clock, maintenanceMs: MAINTENANCE_MS })
process.on('message', (ask: Ask) => {
  if ('now' in ask) clock[0] = ask.now
  else standalone.close().then(() => process.exit(0), onFailure)
})
process.send!({ url: standalone.url })
