import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { addSites } from './http.ts'
import { spawnMillrace } from './run-millrace.ts'
import { waitUntil } from './wait-until.ts'

/** A line that the product wrote: parsed when it is JSON, else only as text. */
export interface LogLine {
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The built product, running in a process of its own. */
export interface Product {
  readonly url: string
  readonly pid: number
  /** Everything written to stdout and stderr so far. */
  readonly lines: readonly LogLine[]
  readonly exited: Promise<Exit>
  /** Resolves when /readyz says 200 and the sites are there. @throws Error with the last lines when the process ends before */
  ready(timeoutMs?: number): Promise<void>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<Exit>
  /** SIGTERM; resolves when it is gone. Kills it when it takes longer than `timeoutMs`. */
  stop(timeoutMs?: number): Promise<Exit>
}

export interface ProductOptions {
  readonly dataDir: string
  readonly port: number
  /** MILLRACE_* settings besides folder and port. */
  readonly env?: Readonly<Record<string, string>>
  /** Made by ready(); TEST_SITES if left out. */
  readonly sites?: readonly string[]
}

/** Starts `millrace start` from what was built; does not wait until it is ready. */
export function startProduct({ dataDir, port, env = {}, sites }: ProductOptions): Product {
  const child = spawnMillrace(['start'], { MILLRACE_DATA_DIR: dataDir, MILLRACE_PORT: String(port), ...env })
  const lines: LogLine[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (text) => lines.push({ text, fields: parsed(text) }))
  }
  let exit: Exit | undefined
  const exited = new Promise<Exit>((resolve) => {
    child.on('close', (code, signal) => {
      exit = { code, signal }
      resolve(exit)
    })
  })
  // A test that fails must leave nothing behind.
  const killAtExit = () => child.kill('SIGKILL')
  process.once('exit', killAtExit)
  void exited.then(() => process.off('exit', killAtExit))

  const url = `http://127.0.0.1:${port}`
  const lastLines = () =>
    lines
      .slice(-20)
      .map(({ text }) => text)
      .join('\n')
  return {
    url,
    pid: child.pid!,
    lines,
    exited,
    async ready(timeoutMs = 60_000) {
      await waitUntil(
        `${url}/readyz answers 200`,
        async () => exit !== undefined || (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) })).ok,
        timeoutMs,
      ).catch((error: Error) => {
        throw new Error(`${error.message}; the product wrote:\n${lastLines()}`)
      })
      if (exit)
        throw new Error(`the product ended with ${exit.code ?? exit.signal} before it was ready:\n${lastLines()}`)
      await addSites(url, sites, env.MILLRACE_ADMIN_KEY)
    },
    kill() {
      child.kill('SIGKILL')
      return exited
    },
    async stop(timeoutMs = 60_000) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
      const result = await exited
      clearTimeout(timer)
      return result
    },
  }
}

function parsed(text: string): Record<string, unknown> {
  if (!text.startsWith('{')) return {}
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}
