import { existsSync } from 'node:fs'
import { get, type RequestOptions } from 'node:http'

const PATIENCE_MS = 1_000
const SOCKET = '/var/run/docker.sock'

/** Why no container can be started on this machine, as a sentence; null = a Docker engine answers. */
export async function missingEngine(host = process.env.DOCKER_HOST ?? ''): Promise<string | null> {
  const address = addressOf(host)
  if (address === null) return `DOCKER_HOST is ${host}: only unix:// and tcp:// are looked at`
  if (address.socketPath && !existsSync(address.socketPath))
    return `no Docker engine: ${address.socketPath} does not exist`
  return new Promise((resolve) => {
    const request = get({ ...address, path: '/_ping', timeout: PATIENCE_MS }, (response) => {
      response.resume()
      resolve(response.statusCode === 200 ? null : `the Docker engine answers ${response.statusCode}`)
    })
    // An engine that is stopped may take the connection and never answer.
    request.on('timeout', () => request.destroy(new Error(`no answer within ${PATIENCE_MS} ms`)))
    request.on('error', (error) => resolve(`no Docker engine: ${error.message}`))
  })
}

function addressOf(host: string): RequestOptions | null {
  if (host === '') return { socketPath: SOCKET }
  if (host.startsWith('unix://')) return { socketPath: host.slice('unix://'.length) }
  if (!host.startsWith('tcp://') || !URL.canParse(host)) return null
  const { hostname, port } = new URL(host)
  return { hostname, port: port || 2375 }
}
