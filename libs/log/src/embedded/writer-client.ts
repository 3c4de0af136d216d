import type { MessagePort, TransferListItem } from 'node:worker_threads'
import { AppendInDoubt } from '../event-log.ts'
import type { LogNotice } from './notice.ts'
import { type Announcement, errorOf, type Operation, type Operations, type Reply, type TopicInfo } from './protocol.ts'
import { SharedPositions } from './shared-positions.ts'
import type { StoredSpec } from './topic-files.ts'

/** A topic as a thread that does not write sees it. */
export interface TopicView {
  readonly name: string
  readonly dir: string
  readonly flag: number
  readonly positions: SharedPositions
  spec: StoredSpec
  /** Base positions of the segments, rising. */
  bases: readonly number[]
  /** Called when there may be more to read, or the segments changed. */
  readonly listeners: Set<() => void>
}

interface Pending {
  readonly op: Operation
  resolve(answer: unknown): void
  reject(error: Error): void
}

export class UnknownTopic extends Error {
  override readonly name = 'UnknownTopic'
}

/** This thread's line to the writer thread. */
export class WriterClient {
  readonly #port: MessagePort
  readonly #topics = new Map<string, TopicView>()
  readonly #pending = new Map<number, Pending>()
  readonly #ready: Promise<void>
  #hello!: (error?: Error) => void
  #wanted!: Int32Array
  #epoch = 0
  #lastId = 0
  #closed = false
  /** Told everything that the writer says of itself. */
  onNotice: (notice: LogNotice) => void = () => {}
  /** Told of a failure that no call is there to be told of: a consumer that cannot go on. */
  onFailure: (error: Error) => void = raise

  constructor(port: MessagePort) {
    this.#port = port
    this.#ready = new Promise((resolve, reject) => {
      this.#hello = (error) => (error ? reject(error) : resolve())
    })
    this.#ready.catch(() => {})
    port.on('message', (message: Announcement) => this.#hear(message))
    port.on('close', () => this.#lose())
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Resolves when the writer has told what topics there are. */
  get ready(): Promise<void> {
    return this.#ready
  }

  async epoch(): Promise<number> {
    await this.#ready
    return this.#epoch
  }

  /** @throws UnknownTopic */
  async topic(name: string): Promise<TopicView> {
    await this.#ready
    // What another thread has just made may be on its way.
    if (!this.#topics.has(name)) await this.ask('ping', {})
    const view = this.#topics.get(name)
    if (view === undefined) throw new UnknownTopic(`there is no topic ${name}`)
    return view
  }

  /** Asks the writer. @throws AppendInDoubt for an append, else Error, when the writer goes away before it answers */
  ask<O extends Operation>(
    op: O,
    ask: Operations[O]['ask'],
    transfer: readonly TransferListItem[] = [],
  ): Promise<Operations[O]['answer']> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(goneError(op, 'the log is closed'))
      const id = ++this.#lastId
      this.#pending.set(id, { op, resolve: resolve as (answer: unknown) => void, reject })
      this.#port.postMessage({ op, id, ...ask }, transfer)
    })
  }

  /** Has the listeners of a topic called after the next append to it. */
  wantWake(view: TopicView): void {
    Atomics.store(this.#wanted, view.flag, 1)
  }

  /** Closes this thread's line; what is not answered yet is rejected. */
  close(): void {
    this.#port.close()
    this.#lose()
  }

  #hear(message: Announcement): void {
    switch (message.op) {
      case 'replies':
        for (const reply of message.replies) this.#settle(reply)
        return
      case 'wake':
        for (const name of message.topics) this.#call(name)
        return
      case 'segments': {
        const view = this.#topics.get(message.topic)
        if (view) view.bases = message.bases
        this.#call(message.topic)
        return
      }
      case 'topic':
        this.#learn(message.topic)
        return
      case 'notice':
        this.onNotice(message.notice)
        return
      case 'hello':
        this.#wanted = new Int32Array(message.wanted)
        this.#epoch = message.epoch
        this.#hello()
    }
  }

  #learn({ spec, dir, flag, positions, bases }: TopicInfo): void {
    const known = this.#topics.get(spec.name)
    if (known) {
      known.spec = spec
      return
    }
    const shared = new SharedPositions(spec.partitions, positions)
    const { name } = spec
    this.#topics.set(name, { name, dir, flag, positions: shared, spec, bases, listeners: new Set() })
  }

  #call(topic: string): void {
    const listeners = this.#topics.get(topic)?.listeners
    if (listeners) for (const listener of [...listeners]) listener()
  }

  #settle({ id, answer, error }: Reply): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    if (error) pending.reject(errorOf(error))
    else pending.resolve(answer)
  }

  #lose(): void {
    if (this.#closed) return
    this.#closed = true
    const text = 'the log was closed before it answered'
    this.#hello(new Error(text))
    for (const { op, reject } of this.#pending.values()) reject(goneError(op, text))
    this.#pending.clear()
    for (const { listeners } of this.#topics.values()) for (const listener of [...listeners]) listener()
  }
}

const goneError = (op: Operation, text: string): Error => (op === 'append' ? new AppendInDoubt(text) : new Error(text))

/** Without anybody to tell, a failure ends the process: a consumer that silently stands still is worse. */
function raise(error: Error): void {
  setImmediate(() => {
    throw error
  })
}
