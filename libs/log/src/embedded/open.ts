import { resolve } from 'node:path'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import type { TopicSpec } from '@millrace/shared'
import type { EventLog } from '../event-log.ts'
import { EmbeddedLogClient } from './client.ts'
import { lockFolder } from './lock.ts'
import type { LogNotice } from './notice.ts'
import type { WriterStart } from './protocol.ts'
import { threadEntry } from './thread-entry.ts'
import { makeTopicFolder } from './topic-files.ts'
import { WriterClient } from './writer-client.ts'

/** How the embedded log is opened. */
export interface EmbeddedLogOptions {
  /** Folder of the log; made if missing. One process at a time. */
  readonly dir: string
  /** Topics that must exist; missing ones are made. */
  readonly topics?: readonly TopicSpec[]
  /** Number of partitions of topics with `partitions: 'hits'`, when they are made. */
  readonly hitPartitions: number
  /** true: nothing expires before `releaseRetention()`. */
  readonly retentionHeld?: boolean
  /** A segment is closed at this size. */
  readonly segmentBytes?: number
  /** How often segments are closed by age, expired and compacted, in milliseconds. */
  readonly maintenanceMs?: number
  /** One float in shared memory: epoch ms that the writer takes for now; 0 = the system's clock. For tests. */
  readonly clock?: Float64Array<SharedArrayBuffer>
  /** Told what the log says of itself, what the start repaired included. */
  readonly onNotice?: (notice: LogNotice) => void
  /** Told of a failure that no call can be told of (a consumer or the writer cannot go on); without it, it is thrown. */
  readonly onFailure?: (error: Error) => void
}

/** The embedded log in the thread that opened it. */
export interface EmbeddedLog extends EventLog {
  /** A new line to the writer, to be transferred to another thread: see `attachEmbeddedLog`. */
  port(): MessagePort
  /** Bytes of a topic that a group has still to work off, to about 256 KB: from its oldest uncommitted record to the end. */
  backlogOf(group: string, topic: string): Promise<number>
  /** From now on nothing expires, however old. */
  holdRetention(): Promise<void>
  releaseRetention(): Promise<void>
  /** Closes segments by age, lets them expire, compacts: now, not only at the next turn. */
  maintain(): Promise<void>
  /** What the start found and repaired. */
  readonly startNotices: readonly LogNotice[]
}

const SEGMENT_BYTES = 256 << 20
const MAINTENANCE_MS = 60_000

/**
 * Opens the log in `dir` and starts its writer thread.
 * @throws Error when another process uses the folder, when something in it cannot be read, or when a topic exists with
 * another number of partitions
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const dir = resolve(options.dir)
  makeTopicFolder(dir)
  const lock = lockFolder(dir)
  const startNotices: LogNotice[] = []
  const notify = (notice: LogNotice): void => {
    options.onNotice?.(notice)
  }
  try {
    const { worker, port } = await startWriter(dir, options)
    const exited = new Promise<void>((done) => worker.once('exit', () => done()))
    const client = new WriterClient(port)
    client.onNotice = (notice) => {
      startNotices.push(notice)
      notify(notice)
    }
    if (options.onFailure) client.onFailure = options.onFailure
    worker.on('error', (error) => client.onFailure(error as Error))
    if (lock.takenOverFrom !== null)
      client.onNotice({
        kind: 'lock_taken_over',
        text: `${dir} was held by process ${lock.takenOverFrom}, which is gone`,
      })
    await client.ready
    client.onNotice = notify
    const log = new OpenedLog(client, startNotices, async () => {
      await exited
      lock.release()
    })
    if (options.topics) await ensureOrClose(log, options.topics, options.hitPartitions)
    return log
  } catch (error) {
    lock.release()
    throw error
  }
}

async function ensureOrClose(log: EmbeddedLog, topics: readonly TopicSpec[], hitPartitions: number): Promise<void> {
  try {
    await log.admin().ensureTopics(topics, hitPartitions)
  } catch (error) {
    await log.close()
    throw error
  }
}

/** Uses the log of this process from another thread. `port` comes from `EmbeddedLog.port()`. */
export function attachEmbeddedLog(options: {
  readonly port: MessagePort
  readonly onNotice?: (notice: LogNotice) => void
  readonly onFailure?: (error: Error) => void
}): EventLog {
  const client = new WriterClient(options.port)
  if (options.onNotice) client.onNotice = options.onNotice
  if (options.onFailure) client.onFailure = options.onFailure
  return new EmbeddedLogClient(client)
}

class OpenedLog extends EmbeddedLogClient implements EmbeddedLog {
  readonly startNotices: readonly LogNotice[]
  readonly #stopped: () => Promise<void>

  constructor(client: WriterClient, startNotices: readonly LogNotice[], stopped: () => Promise<void>) {
    super(client)
    this.startNotices = [...startNotices]
    this.#stopped = stopped
  }

  port(): MessagePort {
    const { port1, port2 } = new MessageChannel()
    this.client.ask('attach', { port: port1 }, [port1]).catch(() => port2.close())
    return port2
  }

  backlogOf(group: string, topic: string): Promise<number> {
    return this.client.ask('backlog', { group, topic })
  }

  async holdRetention(): Promise<void> {
    await this.client.ask('holdRetention', { held: true })
  }

  async releaseRetention(): Promise<void> {
    await this.client.ask('holdRetention', { held: false })
  }

  async maintain(): Promise<void> {
    await this.client.ask('maintain', {})
  }

  protected override async disconnect(): Promise<void> {
    if (!this.client.isClosed) await this.client.ask('close', {})
    await this.#stopped()
    await super.disconnect()
  }
}

async function startWriter(dir: string, options: EmbeddedLogOptions): Promise<{ worker: Worker; port: MessagePort }> {
  const { port1, port2 } = new MessageChannel()
  const start: WriterStart = {
    dir,
    segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
    maintenanceMs: options.maintenanceMs ?? MAINTENANCE_MS,
    retentionHeld: options.retentionHeld ?? false,
    clock: options.clock?.buffer ?? null,
    port: port2,
  }
  const { url, execArgv } = threadEntry(new URL('./writer-thread.ts', import.meta.url))
  const worker = new Worker(url, { name: 'millrace log', workerData: start, transferList: [port2], execArgv })
  const problem = await new Promise<string | null>((done, fail) => {
    worker.once('message', done)
    worker.once('error', fail)
  })
  worker.removeAllListeners('error')
  if (problem !== null) throw new Error(problem)
  return { worker, port: port1 }
}
