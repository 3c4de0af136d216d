import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { threadEntry } from '@millrace/log'
import type { Place, SpoolFilesOptions, SpoolFound, SpoolRead } from './spool-files.ts'

export type SpoolQuestion = { readonly id: number } & (
  | { readonly kind: 'append'; readonly frames: Uint8Array }
  | { readonly kind: 'read'; readonly place: Place }
  | { readonly kind: 'drop'; readonly place: Place; readonly all: boolean }
  | { readonly kind: 'try' }
  | { readonly kind: 'close' }
)

export interface SpoolAnswer {
  readonly id: number
  /** Size of all files. */
  readonly bytes: number
  readonly read?: SpoolRead | null
  readonly error?: { readonly message: string; readonly code: string | undefined }
}

/** The spool's files behind their thread, which writes and syncs while requests go on. Calls are done in their order. */
export interface SpoolDisk {
  readonly found: SpoolFound
  /** Size of all files. */
  readonly bytes: number
  /** Takes the bytes over. Resolves when they are durable; rejects when none of them is. */
  append(frames: Buffer): Promise<void>
  read(place: Place): Promise<SpoolRead | null>
  drop(place: Place, all: boolean): Promise<void>
  /** Resolves when something could be written; rejects when nothing can. */
  tryOut(): Promise<void>
  close(): Promise<void>
}

type Ask = SpoolQuestion extends infer Each ? (Each extends { id: number } ? Omit<Each, 'id'> : never) : never

/** Starts the thread. @throws Error when the folder cannot be read */
export async function openSpoolDisk(options: Omit<SpoolFilesOptions, 'io'>): Promise<SpoolDisk> {
  const { url, execArgv } = threadEntry(new URL('./spool-thread.ts', import.meta.url))
  const worker = new Worker(url, { name: 'millrace spool', workerData: options, execArgv })
  const [found] = (await once(worker, 'message')) as [SpoolFound]
  return new SpoolThread(worker, found)
}

class SpoolThread implements SpoolDisk {
  readonly found: SpoolFound
  readonly #worker: Worker
  readonly #open = new Map<number, { done: (answer: SpoolAnswer) => void; fail: (error: Error) => void }>()
  #bytes: number
  #lastId = 0
  #gone: Error | null = null

  constructor(worker: Worker, found: SpoolFound) {
    this.#worker = worker
    this.found = found
    this.#bytes = found.bytes
    worker.on('message', (answer: SpoolAnswer) => this.#take(answer))
    worker.on('error', (error) => this.#end(error as Error))
    worker.on('exit', () => this.#end(new Error('the thread of the spool has ended')))
  }

  get bytes(): number {
    return this.#bytes
  }

  async append(frames: Buffer): Promise<void> {
    await this.#ask({ kind: 'append', frames }, [frames.buffer as ArrayBuffer])
  }

  async read(place: Place): Promise<SpoolRead | null> {
    return (await this.#ask({ kind: 'read', place })).read ?? null
  }

  async drop(place: Place, all: boolean): Promise<void> {
    await this.#ask({ kind: 'drop', place, all })
  }

  async tryOut(): Promise<void> {
    await this.#ask({ kind: 'try' })
  }

  async close(): Promise<void> {
    if (this.#gone) return
    const exited = once(this.#worker, 'exit')
    await this.#ask({ kind: 'close' })
    await exited
  }

  #ask(question: Ask, transfer: ArrayBuffer[] = []): Promise<SpoolAnswer> {
    if (this.#gone) return Promise.reject(this.#gone)
    const id = ++this.#lastId
    return new Promise((done, fail) => {
      this.#open.set(id, { done, fail })
      this.#worker.postMessage({ id, ...question }, transfer)
    })
  }

  #take(answer: SpoolAnswer): void {
    this.#bytes = answer.bytes
    const asked = this.#open.get(answer.id)
    this.#open.delete(answer.id)
    if (answer.error) asked?.fail(Object.assign(new Error(answer.error.message), { code: answer.error.code }))
    else asked?.done(answer)
  }

  #end(error: Error): void {
    this.#gone ??= error
    for (const { fail } of this.#open.values()) fail(this.#gone)
    this.#open.clear()
  }
}
