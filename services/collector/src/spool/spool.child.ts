import { join } from 'node:path'
import { openEmbeddedLog } from '@millrace/log'
import { HITS_RAW } from '@millrace/shared'
import { drained, runCollector, ShakyLog, type Weather } from './spool.lab.fixture.ts'

/** The process that `spool-kill.contract.test.ts` kills: log and collector in one folder, in the weather of the moment. */
export type FromChild = { url: string } | { appended: number } | { drained: true }

/** After so many appends the log hangs: whoever kills then finds the rest in the spool, however long the kill takes. */
const [, , dir, weather, hangAfter = 'Infinity'] = process.argv
const tell = (message: FromChild): void => void process.send!(message)

const log = await openEmbeddedLog({ dir: join(dir!, 'log'), topics: [HITS_RAW], hitPartitions: 4 })
const shaky = new ShakyLog(log)
shaky.onAppended = (appended) => {
  if (appended >= Number(hangAfter)) shaky.weather = 'hangs'
  tell({ appended })
}
shaky.weather = JSON.parse(weather!) as Weather
const collector = await runCollector(shaky.log, join(dir!, 'spool'), { maxMb: 2 })
tell({ url: collector.url })
process.on('message', async () => {
  await drained(collector)
  tell({ drained: true })
  await collector.close()
  await log.close()
  process.disconnect()
})
