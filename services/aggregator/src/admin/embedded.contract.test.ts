import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedLog } from '@millrace/log'
import { TOPICS } from '@millrace/shared'
import { adminApiContract } from './admin-api.suite.ts'

adminApiContract('the embedded log', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-admin-'))
  const log = await openEmbeddedLog({ dir, topics: TOPICS, hitPartitions: 1 })
  return {
    log,
    close: async () => {
      await log.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
})
