import { registerAdminApi } from '@millrace/aggregator'
import { openConfigBook, openConfigWriter } from '@millrace/config'
import { openEmbeddedLog } from '@millrace/log'
import { createLogger, createServer } from '@millrace/server'
import { CONFIG } from '@millrace/shared'
import type { Exchange } from './instance.ts'

/** The admin API without a port, on the log in a folder, which belongs to this process until it is closed. */
export async function openFolder(dir: string): Promise<{ exchange: Exchange; close(): Promise<void> }> {
  const log = await openEmbeddedLog({ dir, topics: [CONFIG], hitPartitions: 1, retentionHeld: true }).catch(
    (error: Error) => {
      throw new Error(`${error.message}. If an instance uses the folder, say where it listens by --url`)
    },
  )
  const config = await openConfigBook(log)
  const writer = openConfigWriter(log, config)
  const logger = createLogger('error', 'admin', process.stderr)
  const { app } = createServer({ host: '127.0.0.1', port: 0, name: 'admin', logger })
  registerAdminApi({ server: { app, logger }, config, writer })
  await app.ready()
  return {
    async exchange(method, path, body) {
      const sent = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, payload: body }
      const { statusCode, payload } = await app.inject({ method, url: path, ...sent })
      return { status: statusCode, text: payload }
    },
    async close() {
      await app.close()
      await writer.close()
      await config.close()
      await log.close()
    },
  }
}
