import { Worker } from 'node:worker_threads'
import type { PipelineInput, PipelineReply, PipelineRequest } from './threads.ts'

/** The main thread's side of the pipeline thread. */
export interface Pipeline {
  completeUntil(): Promise<number>
  metrics(): Promise<string>
  /** Why some of the work stands still until a person has looked at it; null = nothing does. */
  problem(): Promise<string | null>
  /** What the licence of the geographical data asks to be shown; '' = nothing. */
  geoNotice(): Promise<string>
  /** Lets the store stand still, see Writer.hold of the aggregator, until release(). @throws Error when that cannot be */
  hold(): Promise<{ release(): Promise<void> }>
  /** Finishes what is under way and commits; what is left in the log is done at the next start. */
  close(): Promise<void>
  readonly closed: boolean
}

/**
 * Starts enricher and aggregator in a thread of their own; resolves when both run. `onDeath` is called when the thread
 * ends by itself: the process must not go on without it.
 */
export async function startPipeline(input: PipelineInput, onDeath: (error: Error) => void): Promise<Pipeline> {
  const worker = new Worker(new URL('./pipeline-thread.js', import.meta.url), {
    workerData: input,
    transferList: input.logPort ? [input.logPort] : [],
  })
  const waiting = new Map<
    number,
    { resolve: (answer: number | string | null) => void; reject: (error: Error) => void }
  >()
  let lastId = 0
  let closing = false

  const fail = (error: Error): void => {
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
    if (!closing) onDeath(error)
  }
  worker.on('error', fail)
  worker.on('exit', (code) => fail(new Error(`the pipeline thread ended with code ${code}`)))

  await new Promise<void>((resolve, reject) => {
    worker.once('error', reject)
    worker.on('message', (message: PipelineReply) => {
      if ('ready' in message) return resolve()
      const asked = waiting.get(message.id)
      waiting.delete(message.id)
      if ('error' in message) asked?.reject(new Error(message.error))
      else asked?.resolve(message.answer)
    })
  })

  const ask = (what: PipelineRequest['ask']): Promise<number | string | null> =>
    new Promise((resolve, reject) => {
      const id = ++lastId
      waiting.set(id, { resolve, reject })
      worker.postMessage({ id, ask: what } satisfies PipelineRequest)
    })

  return {
    get closed() {
      return closing
    },
    completeUntil: async () => (await ask('complete_until')) as number,
    metrics: async () => (await ask('metrics')) as string,
    problem: async () => (await ask('problem')) as string | null,
    geoNotice: async () => (await ask('geo_notice')) as string,
    async hold() {
      await ask('hold')
      return { release: async () => void (await ask('release')) }
    },
    async close() {
      closing = true
      await ask('close')
    },
  }
}
