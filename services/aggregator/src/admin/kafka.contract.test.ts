import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openKafkaLog } from '@millrace/log'
import { describe } from 'vitest'
import { missingTools, startKafka } from '../../../../infra/kafka/kafka.mjs'
import { adminApiContract } from './admin-api.suite.ts'

const missing = await missingTools()
if (missing && !process.env.CI) describe.skip(`the admin API on Kafka (${missing})`, () => {})
else
  adminApiContract('Kafka', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-admin-kafka-'))
    const kafka = await startKafka({ nodes: 1, dir })
    const log = await openKafkaLog({ brokers: kafka.brokers, logger: { debug() {}, warn() {} } })
    return {
      log,
      close: async () => {
        await log.close()
        await kafka.stop()
        rmSync(dir, { recursive: true, force: true })
      },
    }
  })
