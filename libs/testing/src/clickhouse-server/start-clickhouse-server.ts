import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Exit } from '../product.ts'
import { type Fault, NOT_ENOUGH_SPACE, TABLE_IS_READ_ONLY } from './faults.ts'

export interface ClickHouseServerOptions {
  /** Folder of its data; the one of an earlier server that ended, in whatever way, goes on with its tables. */
  readonly dir: string
  /** Default: any free one. */
  readonly port?: number
  /** The one user that is let in: default `default` without a password. */
  readonly user?: string
  readonly password?: string
}

/** Faults for requests to come. Each fires so often as it says, in the order in which they were set; one of a request. */
export interface Faults {
  add(fault: Fault): Promise<void>
  /** Inserts are refused with TABLE_IS_READ_ONLY until clear(). */
  readOnly(): Promise<void>
  /** Inserts are refused with NOT_ENOUGH_SPACE until clear(); with `afterMs` after having run for so long. */
  diskFull(options?: { afterMs?: number }): Promise<void>
  clear(): Promise<void>
  /** How many have fired since the server started. */
  fired(): Promise<number>
}

/** The stand-in for a ClickHouse server (see clickhouse-server.child.ts), running in a process of its own. */
export interface ClickHouseServer {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string
  readonly pid: number
  readonly exited: Promise<Exit>
  readonly faults: Faults
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<Exit>
  /** SIGSTOP, and SIGCONT after `ms`, or when resume() is called. */
  stall(ms?: number): void
  resume(): void
  /** SIGTERM; what runs may end, for 5 s. Resolves when it is gone. */
  stop(): Promise<Exit>
}

const SOURCE = import.meta.url.endsWith('.ts')

/** Starts the stand-in; resolves when it answers. @throws Error with what it wrote when it ends before */
export async function startClickHouseServer(options: ClickHouseServerOptions): Promise<ClickHouseServer> {
  const { dir, port = 0, user = 'default', password = '' } = options
  const program = fileURLToPath(
    new URL(SOURCE ? './clickhouse-server.child.ts' : './clickhouse-server.child.js', import.meta.url),
  )
  const loader = SOURCE ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : []
  const child = spawn(process.execPath, [...loader, program, '--dir', dir, '--port', String(port), '--with-parent'], {
    // Each statement of the engine holds a thread of the pool.
    env: { ...process.env, UV_THREADPOOL_SIZE: '32', CLICKHOUSE_USER: user, CLICKHOUSE_PASSWORD: password },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const stderr: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    stderr.push(line)
    console.error(line)
  })
  const exited = new Promise<Exit>((resolve) => child.on('close', (code, signal) => resolve({ code, signal })))
  // A test that fails must leave nothing behind.
  const killAtExit = (): boolean => child.kill('SIGKILL')
  process.once('exit', killAtExit)
  void exited.then(() => process.off('exit', killAtExit))

  const line = new Promise<string>((resolve) => createInterface({ input: child.stdout }).once('line', resolve))
  const first = await Promise.race([line, exited])
  if (typeof first !== 'string') {
    throw new Error(
      `the ClickHouse stand-in ended with ${first.code ?? first.signal}:\n${stderr.slice(-20).join('\n')}`,
    )
  }
  const { url } = JSON.parse(first) as { url: string }
  let timer: NodeJS.Timeout | undefined
  const resume = (): void => {
    clearTimeout(timer)
    child.kill('SIGCONT')
  }
  return {
    url,
    pid: child.pid!,
    exited,
    faults: faultsOf(url),
    resume,
    stall(ms) {
      child.kill('SIGSTOP')
      if (ms !== undefined) timer = setTimeout(resume, ms)
    },
    kill() {
      clearTimeout(timer)
      child.kill('SIGKILL')
      return exited
    },
    stop() {
      child.kill('SIGTERM')
      resume()
      return exited
    },
  }
}

/** Faults of a stand-in that another process has started. */
export function faultsOf(url: string): Faults {
  const control = async (method: string, body?: Fault): Promise<number> => {
    const response = await fetch(`${url}/__faults`, { method, ...(body && { body: JSON.stringify(body) }) })
    return ((await response.json()) as { fired: number }).fired
  }
  const add = async (fault: Fault): Promise<void> => {
    await control('POST', fault)
  }
  return {
    add,
    readOnly: () => add({ kind: 'refuse', when: 'before', times: null, ...TABLE_IS_READ_ONLY }),
    diskFull: ({ afterMs } = {}) =>
      add({
        kind: 'refuse',
        times: null,
        ...(afterMs === undefined ? { when: 'before' } : { when: 'midway', afterMs }),
        ...NOT_ENOUGH_SPACE,
      }),
    async clear() {
      await control('DELETE')
    },
    fired: () => control('GET'),
  }
}
