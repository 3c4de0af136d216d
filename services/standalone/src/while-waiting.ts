import { createServer, type ServerOptions } from '@millrace/server'
import { patiently, type Reach } from './reach.ts'

/**
 * Answers /livez, /readyz, /health and /metrics at the service's address while `work` waits for other machines, then
 * makes room: routes cannot be added to a server that listens. @throws what `work` throws
 */
export async function whileWaiting<T>(options: ServerOptions, work: (reach: Reach) => Promise<T>): Promise<T> {
  const front = createServer(options)
  front.readiness.set(options.name, 'starting')
  await front.listen()
  try {
    return await work(patiently({ logger: options.logger, readiness: front.readiness }))
  } finally {
    await front.close()
  }
}
