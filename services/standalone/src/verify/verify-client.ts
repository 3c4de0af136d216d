import { type MessagePort, Worker } from 'node:worker_threads'
import type { ThreadSettings } from '../threads.ts'
import type { VerifyReport } from './findings.ts'

/** To the thread: verify, over a line to the embedded log (null: on Kafka), or end what runs. */
export type VerifyOrder = { readonly logPort: MessagePort | null } | 'stop'
export type VerifyAnswer = { progress: string } | { report: VerifyReport } | { error: string }

/** The main thread's side of the thread that verifies. */
export interface Verifier {
  /** One at a time. @throws Error when it cannot be done, or when `signal` has ended it */
  verify(progress: (text: string) => void, signal: AbortSignal): Promise<VerifyReport>
  /** Resolves when nothing runs any more. */
  idle(): Promise<void>
}

interface Run {
  readonly progress: (text: string) => void
  readonly resolve: (report: VerifyReport) => void
  readonly reject: (error: Error) => void
}

/**
 * The thread is started when it is needed first. `lineToLog` gives a new line to the embedded log, null where the log is on
 * Kafka. `onDeath` is called when the thread ends by itself: the process must not go on without it, as the embedded engine
 * then hangs.
 */
export function openVerifier(
  settings: ThreadSettings,
  lineToLog: () => MessagePort | null,
  onDeath: (error: Error) => void,
): Verifier {
  let worker: Worker | null = null
  let current: Run | null = null
  let running: Promise<unknown> = Promise.resolve()

  function startThread(): Worker {
    const thread = new Worker(new URL('./verify-thread.js', import.meta.url), { workerData: settings })
    thread.unref()
    thread.on('message', (message: VerifyAnswer) => {
      if ('progress' in message) current?.progress(message.progress)
      else if ('report' in message) current?.resolve(message.report)
      else current?.reject(new Error(message.error))
    })
    thread.on('error', (error: Error) => {
      current?.reject(error)
      onDeath(error)
    })
    return thread
  }

  async function run(progress: Run['progress'], signal: AbortSignal): Promise<VerifyReport> {
    signal.throwIfAborted()
    worker ??= startThread()
    const send = (order: VerifyOrder, transferred: MessagePort[] = []): void => worker!.postMessage(order, transferred)
    const stop = (): void => send('stop')
    const logPort = lineToLog()
    signal.addEventListener('abort', stop, { once: true })
    try {
      return await new Promise<VerifyReport>((resolve, reject) => {
        current = { progress, resolve, reject }
        send({ logPort }, logPort ? [logPort] : [])
      })
    } finally {
      signal.removeEventListener('abort', stop)
      current = null
    }
  }

  return {
    verify(progress, signal) {
      const report = run(progress, signal)
      running = report.catch(() => undefined)
      return report
    },
    idle: async () => void (await running),
  }
}
