import { fork } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { LoadOptions, LoadReport } from './generator.ts'

/** A load generator in a process of its own. */
export interface LoadProcess {
  readonly pid: number
  /** The last report of the run, without latencies of the earlier ones. @throws Error when the process failed */
  readonly done: Promise<LoadReport>
  /** Reports so far, one a second. */
  readonly reports: readonly LoadReport[]
  stop(): void
}

const SELF = fileURLToPath(import.meta.url)
const IS_SOURCE = SELF.endsWith('.ts')

/** Starts a load generator. It ends by itself, on `stop()`, and when this process ends. */
export function spawnLoad(options: Partial<LoadOptions>): LoadProcess {
  const source = fileURLToPath(new URL('./cli.ts', import.meta.url))
  const cli = IS_SOURCE ? source : source.replace(/\.ts$/, '.js')
  const execArgv = IS_SOURCE ? ['--conditions=source', '--import', 'tsx'] : []
  const child = fork(cli, [JSON.stringify(options)], { execArgv, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const reports: LoadReport[] = []
  let final: LoadReport | undefined
  let failure = ''
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const report = JSON.parse(line) as LoadReport & { final?: boolean }
    if (report.final) final = report
    else reports.push(report)
  })
  child.stderr!.on('data', (chunk: Buffer) => {
    failure = (failure + chunk.toString()).slice(-2_000)
  })
  const done = new Promise<LoadReport>((resolve, reject) => {
    child.on('close', (code) => {
      if (final) resolve(final)
      else reject(new Error(`the load generator ended with ${code}: ${failure}`))
    })
  })
  done.catch(() => {})
  return { pid: child.pid!, done, reports, stop: () => void child.kill('SIGTERM') }
}
