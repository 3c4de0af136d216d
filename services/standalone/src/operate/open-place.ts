/** An installation that this process opens itself: a folder that nobody uses, or Kafka and ClickHouse. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type ConfigBook, openConfigBook } from '@millrace/config'
import { type EventLog, openEmbeddedLog } from '@millrace/log'
import { createLogger } from '@millrace/server'
import { openStore, type Store } from '@millrace/store'
import { assertRestored } from '../backup/restore-backup.ts'
import { PATIENCE_MS } from '../commands/migrate.ts'
import { openKafka } from '../open-log.ts'
import { patiently } from '../reach.ts'
import type { OperatorSettings } from '../settings.ts'

/** A log that was opened here. */
export interface OpenPlace {
  readonly log: EventLog
  readonly dataDir: string
  /** Services may work on it meanwhile. */
  readonly isLive: boolean
  close(): Promise<void>
}

/** Opens the log of the folder `dataDir` (else MILLRACE_DATA_DIR), or the topics on Kafka. @throws Error with what to do */
export async function openPlace(settings: OperatorSettings, dataDir: string | undefined): Promise<OpenPlace> {
  const dir = resolve(dataDir ?? settings.MILLRACE_DATA_DIR)
  if (settings.MILLRACE_LOG === 'kafka' && dataDir === undefined) {
    const logger = createLogger(settings.MILLRACE_LOG_LEVEL, 'operate', process.stderr)
    const log = await openKafka(settings, { reach: patiently({ logger, patienceMs: PATIENCE_MS }), logger })
    return { log, dataDir: dir, isLive: true, close: () => log.close() }
  }
  const logDir = join(dir, 'log')
  if (!existsSync(logDir))
    throw new Error(`nothing answers at ${settings.MILLRACE_URL || 'http://127.0.0.1:8700'}, and ${dir} holds no data:
say where Millrace runs by --url, or where its data are by --data-dir`)
  assertRestored(dir)
  const log = await openEmbeddedLog({ dir: logDir, hitPartitions: 1, retentionHeld: true }).catch((error: Error) => {
    throw new Error(`${error.message}. If an instance uses the folder, say where it listens by --url`)
  })
  return { log, dataDir: dir, isLive: false, close: () => log.close() }
}

/** The same with its store and configuration. Nothing is migrated. */
export async function openWhole(
  settings: OperatorSettings,
  dataDir: string | undefined,
): Promise<OpenPlace & { readonly store: Store; readonly config: ConfigBook }> {
  const place = await openPlace(settings, dataDir)
  try {
    const url = dataDir === undefined ? settings.MILLRACE_CLICKHOUSE_URL : ''
    if (place.isLive && url === '')
      throw new Error(
        'MILLRACE_LOG is kafka and MILLRACE_CLICKHOUSE_URL is empty: say where the tables are, or where Millrace runs by --url',
      )
    const store = await openStore({
      ...{ url, dataDir: place.dataDir, role: 'read' },
      cluster: url === '' ? '' : settings.MILLRACE_CLICKHOUSE_CLUSTER,
    })
    const config = await openConfigBook(place.log)
    return {
      ...place,
      ...{ store, config },
      async close() {
        await store.close()
        await config.close()
        await place.close()
      },
    }
  } catch (error) {
    await place.close()
    throw error
  }
}
