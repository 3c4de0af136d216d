import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type LoadReport, spawnLoad } from './load/index.ts'

const SECONDS = 5

/** Single hits to a bare node:http server, as fast as answers come: what the machine gives just now. */
export async function loadBareServer(connections: number): Promise<LoadReport> {
  const server = fork(fileURLToPath(new URL('./bare-server.ts', import.meta.url)), {
    execArgv: ['--conditions=source', '--import', 'tsx'],
  })
  const [{ port }] = (await once(server, 'message')) as [{ port: number }]
  const options = { url: `http://127.0.0.1:${port}`, connections, hitsPerRequest: [1] }
  const report = await spawnLoad({ ...options, rate: 0, maxHits: 50_000_000, seconds: SECONDS, seed: 1 }).done
  server.kill('SIGKILL')
  return report
}
