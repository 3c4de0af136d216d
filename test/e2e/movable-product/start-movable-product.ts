import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { plainEnvironment } from '@millrace/testing'
import type { Ask } from './movable-product.child.ts'

const CHILD = fileURLToPath(new URL('movable-product.child.ts', import.meta.url))

/** The product in a process of its own, by a clock that stands still until it is moved. */
export interface MovableProduct {
  readonly url: string
  /** Everything that it wrote to stdout and stderr so far. */
  written(): string
  /** Sets the clock, epoch ms. Returns at once; does nothing when the process has gone. */
  setClock(now: number): void
  /** Resolves when it has closed. @throws Error when it did not end with 0 */
  stop(): Promise<void>
  kill(): void
}

export interface MovableOptions {
  readonly dataDir: string
  /** What the clock says at first, epoch ms. */
  readonly startAt: number
  /** MILLRACE_* settings besides folder and port. */
  readonly settings?: Readonly<Record<string, string>>
  /** Stands in hits.raw before the product starts. */
  readonly unreadable?: string
}

/** Resolves when it answers. @throws Error with what it wrote when it ends before */
export async function startMovableProduct(options: MovableOptions): Promise<MovableProduct> {
  const child = fork(CHILD, [], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: {
      ...plainEnvironment(),
      ...{ MILLRACE_DATA_DIR: options.dataDir, MILLRACE_PORT: '0', MILLRACE_LOG_LEVEL: 'warn', ...options.settings },
      ...{ START_AT: String(options.startAt), UNREADABLE: options.unreadable ?? '' },
    },
  })
  let written = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (bytes: Buffer) => {
      written += bytes
    })
  }
  const say = (ask: Ask): void => {
    if (child.connected) child.send(ask)
  }
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  const endedEarly = ended.then((code) => Promise.reject(new Error(`it ended with ${code}:\n${written}`)))
  endedEarly.catch(() => {})
  const [message] = await Promise.race([once(child, 'message'), endedEarly])
  return {
    url: (message as { url: string }).url,
    written: () => written,
    setClock: (now) => say({ now }),
    async stop() {
      say({ stop: true })
      const code = await ended
      if (code !== 0) throw new Error(`it ended with ${code}:\n${written}`)
    },
    kill: () => void child.kill('SIGKILL'),
  }
}
