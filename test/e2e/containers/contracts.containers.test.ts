/** The contracts of log and store against the servers themselves, in containers. `npm run e2e -- containers`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '@millrace/store'
import { afterAll, describe, it } from 'vitest'
import { eventLogContract } from '../../../libs/log/src/event-log.suite.ts'
import { brokerAt, openContractLog } from '../../../libs/log/src/kafka/broker.fixture.ts'
import { storeContract } from '../../../libs/store/src/store.suite.ts'
import { missingEngine } from './docker-engine.ts'
import { loadModules, type StartedContainer } from './load-modules.ts'

const KAFKA_IMAGE = 'confluentinc/cp-kafka:8.1.0'
const KAFKA_PORT = 9093
const KAFKA_DATA = '/var/lib/kafka/data'
const CLICKHOUSE_IMAGE = 'clickhouse/clickhouse-server:26.3'
const CLICKHOUSE_PORT = 8123

const started: StartedContainer[] = []
const dir = mkdtempSync(join(tmpdir(), 'millrace-containers-'))
afterAll(async () => {
  await Promise.all(started.map((container) => container.stop()))
  rmSync(dir, { recursive: true, force: true })
})

const missing = await missingEngine()
if (missing !== null) {
  console.warn(`Kafka and ClickHouse in containers are not tested: ${missing}`)
  describe('log and store in containers', () => it.skip(missing, () => undefined))
} else {
  const { KafkaContainer, ClickHouseContainer } = await loadModules()

  eventLogContract('kafka in a container', async () => {
    const container = await new KafkaContainer(KAFKA_IMAGE)
      .withKraft()
      .withEnvironment({
        KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
        KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS: '1000',
        KAFKA_LOG_CLEANER_BACKOFF_MS: '100',
      })
      .start()
    started.push(container)
    const run = async (...command: string[]): Promise<string> => (await container.exec(command)).output
    const broker = brokerAt([`${container.getHost()}:${container.getMappedPort(KAFKA_PORT)}`], {
      checkpoint: () => run('cat', `${KAFKA_DATA}/cleaner-offset-checkpoint`),
      files: async (partition) => (await run('ls', `${KAFKA_DATA}/${partition}`)).split(/\s+/),
    })
    return openContractLog(broker)
  })

  storeContract('clickhouse in a container', async () => {
    const container = await new ClickHouseContainer(CLICKHOUSE_IMAGE)
      .withUsername('millrace')
      .withPassword('secret')
      .withUlimits({ nofile: { hard: 262_144, soft: 262_144 } })
      .start()
    started.push(container)
    const at = `${container.getHost()}:${container.getMappedPort(CLICKHOUSE_PORT)}`
    return openStore({ url: `http://millrace:secret@${at}/millrace`, dataDir: dir })
  })
}
