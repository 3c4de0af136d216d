/** One life of a collector: its log is full for a while, so that hits wait in the spool and go to the log when it has room. */
import { openEmbeddedLog } from '@millrace/log'
import { HITS_RAW } from '@millrace/shared'
import { hitId } from '@millrace/testing'
import { drained, runCollector, send } from '../../../services/collector/src/spool/spool.lab.fixture.ts'
import { thisLife } from './life.ts'

/** Twenty hits of this size need more than one segment of the spool. */
const PATH_BYTES = 3_500
const SENDERS = 10

const life = thisLife()
const log = await openEmbeddedLog({ dir: `${life.dir}/log`, hitPartitions: 2, topics: [HITS_RAW] })
const collector = await runCollector(log, `${life.dir}/spool`, { maxMb: 1 })
await drained(collector)
life.begin()
let sent = life.number * 1_000

/** Hits of some visitors at the same time; each is one that an earlier life may have sent too. */
async function sendSome(): Promise<void> {
  const first = sent
  sent += SENDERS
  const one = async (number: number): Promise<void> => {
    const status = await send(collector.url, hitId(number), `visitor ${number % 3}`, `/${'x'.repeat(PATH_BYTES)}`)
    life.note(status === 202 ? `answered ${number}` : `wrong status ${status}`)
  }
  await Promise.all(Array.from({ length: SENDERS }, (_, i) => one(first + i)))
}

await sendSome()
life.fill(`${life.dir}/log/topics/${HITS_RAW.name}`)
for (let round = 0; round < 3; round++) await sendSome()
life.fill()
await drained(collector)
await sendSome()
await collector.close()
await log.close()
life.note('finished')
process.exit(0)
