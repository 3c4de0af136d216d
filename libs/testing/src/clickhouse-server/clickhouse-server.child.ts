/*
 * A stand-in for a ClickHouse server, for tests where none can be had: chDB, which is ClickHouse's engine, behind
 * ClickHouse's HTTP dialect, in a process of its own that can be killed, stalled and made to fail.
 *
 *   clickhouse-server.child.ts --dir <folder> [--port <n>] [--with-parent]
 *
 * User and password: CLICKHOUSE_USER (default), CLICKHOUSE_PASSWORD (empty). Listens on loopback only; the first line on
 * stdout says where: {"url": "http://127.0.0.1:8123"}. --with-parent: ends when its stdin ends.
 *
 * Not as a server: one folder, one replica, no cluster (ON CLUSTER, Replicated tables), no users and grants; answers come
 * whole, never with an error in mid-stream; no progress headers, no external tables, no native compression (compress=1); an
 * INSERT reads its whole body before it begins, so that of a body cut off nothing is stored; system.query_log is missing.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { Engine } from './engine.ts'
import { HttpFront } from './http-front.ts'
import { Processes } from './processes.ts'
import { Sessions } from './sessions.ts'

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    port: { type: 'string', default: '0' },
    'with-parent': { type: 'boolean', default: false },
  },
})
if (!values.dir) throw new Error('--dir is missing')

const { CLICKHOUSE_USER: user = 'default', CLICKHOUSE_PASSWORD: password = '' } = process.env
const engine = openEngine(values.dir)
const processes = new Processes(engine)
const front = new HttpFront({ engine, processes, sessions: new Sessions(engine), user, password })
const server = createServer({ keepAliveTimeout: 10_000 }, (request, response) => {
  const { socket } = request
  front.handle(request, response).catch((error: unknown) => {
    console.error(error)
    socket.destroy()
  })
})

function openEngine(dir: string): Engine {
  try {
    return new Engine(dir)
  } catch (error) {
    console.error((error as Error).message)
    process.exit(1)
  }
}

/** What runs may end; then the process does, without waiting for clients that keep connections open. */
async function stop(): Promise<void> {
  server.close()
  await processes.idle(5_000)
  process.exit(0)
}
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
if (values['with-parent']) process.stdin.on('end', () => process.exit(0)).resume()

server.listen(Number(values.port), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`)
})
