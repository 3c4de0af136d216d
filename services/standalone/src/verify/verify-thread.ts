/** The thread in which a running instance verifies itself: neither hits nor reports wait for what it computes. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { openConfigBook } from '@millrace/config'
import { attachEmbeddedLog, type EventLog } from '@millrace/log'
import { createLogger } from '@millrace/server'
import { openStore, type Store } from '@millrace/store'
import { openKafka } from '../open-log.ts'
import { AT_ONCE } from '../reach.ts'
import type { ThreadSettings } from '../threads.ts'
import type { VerifyReport } from './findings.ts'
import { type VerifyParts, verify } from './verify.ts'
import type { VerifyAnswer, VerifyOrder } from './verify-client.ts'

const settings = workerData as ThreadSettings
const logger = createLogger(settings.MILLRACE_LOG_LEVEL, 'verify')
let isStopped = false

const answer = (message: VerifyAnswer): void => parentPort!.postMessage(message)

function assertWanted(): void {
  if (isStopped) throw new Error('the comparison was broken off')
}

function progress(text: string): void {
  assertWanted()
  answer({ progress: text })
}

/** All that takes long asks the store again and again, but for following the chain through a partition. */
const whileWanted = (store: Store): VerifyParts['store'] => ({
  targets: () => store.targets(),
  query: async (sql, options) => {
    assertWanted()
    return store.query(sql, options)
  },
})

/** All that it opens is closed behind it. The thread stays: the embedded engine hangs when one that used it ends. */
async function run(log: EventLog): Promise<VerifyReport> {
  const { MILLRACE_CLICKHOUSE_URL: url, MILLRACE_CLICKHOUSE_CLUSTER: cluster, MILLRACE_DATA_DIR: dataDir } = settings
  const store = await openStore({ url, cluster, dataDir, role: 'read', queryConnections: 1 })
  try {
    const config = await openConfigBook(log)
    const parts = { log, store: whileWanted(store), config, settings, isLive: true, progress }
    return await verify(parts).finally(() => config.close())
  } finally {
    await store.close()
  }
}

async function runOn({ logPort }: Extract<VerifyOrder, object>): Promise<VerifyReport> {
  const log = logPort ? attachEmbeddedLog({ port: logPort }) : await openKafka(settings, { reach: AT_ONCE, logger })
  return run(log).finally(() => log.close())
}

/** A heap in which nothing happens is not collected by itself: what a run has left would stay for good. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
}

parentPort!.on('message', (order: VerifyOrder) => {
  isStopped = order === 'stop'
  if (order === 'stop') return
  runOn(order)
    .then(
      (report): VerifyAnswer => ({ report }),
      (error: Error): VerifyAnswer => ({ error: error.message }),
    )
    .then((result) => {
      collectGarbage()
      answer(result)
    })
})
