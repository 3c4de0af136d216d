import { createServer, type ServerOptions } from '@millrace/server'
import { MillraceError } from '@millrace/shared'
import { patiently, type Reach } from './reach.ts'

/**
 * Answers /livez, /readyz, /health and /metrics at the service's address while `work` waits for other machines, then
 * makes room: routes cannot be added to a server that listens. Everything else is told to come again (503 with Retry-After): a
 * balancer that has not noticed the restart yet still sends hits here. @throws what `work` throws
 */
export async function whileWaiting<T>(options: ServerOptions, work: (reach: Reach) => Promise<T>): Promise<T> {
  const front = createServer(options)
  front.readiness.set(options.name, 'starting')
  // Before a body is read.
  const onRequest = async (): Promise<never> => {
    throw new MillraceError('not_ready', 'The service starts.')
  }
  front.app.all('/*', { onRequest }, onRequest)
  await front.listen()
  try {
    return await work(patiently({ logger: options.logger, readiness: front.readiness }))
  } finally {
    await front.close()
  }
}
