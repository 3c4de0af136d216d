import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { openStore } from './open-store.ts'
import { storeContract } from './store.suite.ts'

/** The stand-in for a ClickHouse server: a process, not an import, as a library knows no other one. */
const STAND_IN = fileURLToPath(
  new URL('../../testing/src/clickhouse-server/clickhouse-server.child.ts', import.meta.url),
)

const dir = mkdtempSync(join(tmpdir(), 'millrace-store-server-'))
let server: ChildProcess | undefined
afterAll(async () => {
  if (server && server.exitCode === null) {
    server.kill('SIGKILL')
    await new Promise((resolve) => server!.once('close', resolve))
  }
  rmSync(dir, { recursive: true, force: true })
})

storeContract('server', async () => {
  server = spawn(process.execPath, ['--import', 'tsx', STAND_IN, '--dir', dir, '--with-parent'], {
    env: { ...process.env, UV_THREADPOOL_SIZE: '32' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: server!.stdout! }).once('line', resolve)
    server!.once('close', (code) => reject(new Error(`the stand-in ended with ${code}`)))
  })
  return openStore({ url: `${(JSON.parse(line) as { url: string }).url}/millrace`, dataDir: dir })
})
