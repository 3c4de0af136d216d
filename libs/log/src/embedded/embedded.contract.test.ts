import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ContractLog, eventLogContract } from '../event-log.suite.ts'
import { attachEmbeddedLog, openEmbeddedLog } from './open.ts'

async function openContractLog(): Promise<ContractLog> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-log-'))
  const clock = new Float64Array(new SharedArrayBuffer(8))
  const open = () => openEmbeddedLog({ dir, hitPartitions: 4, clock })
  let log = await open()
  return {
    get log() {
      return log
    },
    another: async () => attachEmbeddedLog({ port: log.port() }),
    reopen: async () => {
      await log.close()
      log = await open()
      return log
    },
    passTime: async (ms) => {
      clock[0] = (clock[0] || Date.now()) + ms
      await log.maintain()
    },
    close: async () => {
      await log.close()
      rmSync(dir, { recursive: true })
    },
  }
}

eventLogContract('embedded', openContractLog)
