import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createSilent } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { missingEngine } from './docker-engine.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-engine-'))
const servers: { close(): unknown }[] = []
afterAll(() => {
  for (const server of servers) server.close()
  rmSync(dir, { recursive: true })
})

async function engine(status: number, path: string | number): Promise<Server> {
  const server = createServer((_, response) => response.writeHead(status).end('OK'))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return server
}

describe('missingEngine', () => {
  it('finds an engine behind a socket and behind a port', async () => {
    const path = join(dir, 'docker.sock')
    await engine(200, path)
    expect(await missingEngine(`unix://${path}`)).toBeNull()
    const { port } = (await engine(200, 0)).address() as AddressInfo
    expect(await missingEngine(`tcp://127.0.0.1:${port}`)).toBeNull()
  })

  it('says why there is none', async () => {
    expect(await missingEngine(`unix://${join(dir, 'none')}`)).toMatch(/does not exist/)
    expect(await missingEngine('ssh://host')).toMatch(/only unix/)
    const { port } = (await engine(500, 0)).address() as AddressInfo
    expect(await missingEngine(`tcp://127.0.0.1:${port}`)).toMatch(/answers 500/)
  })

  it('does not wait for one that is silent', async () => {
    const path = join(dir, 'silent.sock')
    const silent = createSilent(() => undefined)
    servers.push(silent)
    await new Promise<void>((resolve) => silent.listen(path, resolve))
    expect(await missingEngine(`unix://${path}`)).toMatch(/no answer within/)
  })
})
