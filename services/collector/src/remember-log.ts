import { existsSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type EventLog,
  type Following,
  type LogAdmin,
  type LogReader,
  replaceFile,
  type StoredRecord,
} from '@millrace/log'
import { CONFIG, HITS_RAW } from '@millrace/shared'

export interface RememberOptions {
  /** Beside the spool: what is remembered is worth as much as the hits that it lets in. For its owner only. */
  readonly file: string
  /** Told when the log turns out to be another one than remembered: this process has to start again. */
  readonly onFailure: (error: Error) => void
  /** How long the log is waited for where something is remembered. Milliseconds. */
  readonly patienceMs?: number
}

const VERSION = 1
const PATIENCE_MS = 3_000
const PAUSE_MS = 1_000
/** Kind of a record of millrace.config that only the enricher needs: the installation's secret stays where it is. */
const SECRET = 'installation/'

/** Whether a collector can start without its log. */
export const remembers = (file: string): boolean => readMemory(file) !== null

/**
 * A log that also answers while it cannot be reached, as it was when it last could be: the number of partitions of
 * hits.raw and the records of millrace.config. That is all that a collector asks at its start, so one that starts while
 * Kafka is away takes hits into its spool. @throws Error when the folder cannot be made
 */
export async function rememberLog(log: EventLog, options: RememberOptions): Promise<EventLog> {
  await mkdir(dirname(options.file), { recursive: true, mode: 0o700 })
  const memory = new Memory(options)
  return {
    producer: () => log.producer(),
    consumer: (group) => log.consumer(group),
    reader: () => rememberReader(log.reader(), memory),
    admin: () => rememberAdmin(log.admin(), memory),
    epoch: () => log.epoch(),
    close: () => log.close(),
  }
}

function rememberAdmin(admin: LogAdmin, memory: Memory): LogAdmin {
  return {
    ensureTopics: (specs, hitPartitions) => admin.ensureTopics(specs, hitPartitions),
    async partitions(topic) {
      if (topic !== HITS_RAW.name) return admin.partitions(topic)
      return memory.partitionsOr(() => admin.partitions(topic))
    },
    committed: (group, topic) => admin.committed(group, topic),
    lowOffsets: (topic) => admin.lowOffsets(topic),
    endOffsets: (topic) =>
      topic === CONFIG.name ? memory.endOr(() => admin.endOffsets(topic)) : admin.endOffsets(topic),
    offsetsForTime: (topic, timestampMs) => admin.offsetsForTime(topic, timestampMs),
    // What is asked once more after its answer came from memory outlives the caller; it closes with the log.
    close: async () => undefined,
  }
}

function rememberReader(reader: LogReader, memory: Memory): LogReader {
  return {
    read: (topic, partition, from, to) => reader.read(topic, partition, from, to),
    follow: (topic, onRecords) =>
      topic === CONFIG.name ? new RememberedFollowing(reader, memory, onRecords) : reader.follow(topic, onRecords),
    close: () => reader.close(),
  }
}

type OnRecords = Parameters<LogReader['follow']>[1]

/** Follows millrace.config; where the log does not answer in time, what is remembered comes first. It never ends by itself. */
class RememberedFollowing implements Following {
  readonly caughtUp: Promise<void>
  readonly done: Promise<void>
  readonly #reader: LogReader
  readonly #memory: Memory
  readonly #onRecords: OnRecords
  readonly #stopping = new AbortController()
  #current: Following | null = null

  constructor(reader: LogReader, memory: Memory, onRecords: OnRecords) {
    this.#reader = reader
    this.#memory = memory
    this.#onRecords = onRecords
    let reached = (): void => undefined
    const first = new Promise<void>((resolve) => {
      reached = resolve
    })
    this.done = this.#follow(reached)
    this.caughtUp = memory.patiently(
      () => Promise.race([first, this.done]),
      () => this.#recall(),
    )
  }

  async #follow(reached: () => void): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        const seen = new Set<string>()
        this.#current = this.#reader.follow(CONFIG.name, async (partition, records) => {
          for (const { key } of records) seen.add(key?.toString() ?? '')
          this.#memory.learn(records)
          await this.#onRecords(partition, records)
        })
        await this.#current.caughtUp
        if (this.#stopping.signal.aborted) return // before the end was reached
        this.#memory.keepOnly(seen)
        reached()
        await this.#current.done
      } catch {
        await sleep(PAUSE_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
      }
    }
  }

  async #recall(): Promise<void> {
    const records = this.#memory.recall()
    if (records.length > 0) await this.#onRecords(0, records)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#current?.stop()
    await this.done
  }
}

interface Remembered {
  readonly v: number
  /** Of hits.raw; 0 = not known. */
  readonly partitions: number
  /** Of millrace.config: the last record of each key. Values are text: JSON, as in the topic. */
  readonly end: number
  readonly records: readonly { readonly key: string; readonly value: string; readonly offset: number }[]
}

class Memory {
  readonly #options: RememberOptions
  readonly #remembered: Remembered | null
  readonly #records = new Map<string, { key: string; value: string; offset: number }>()
  #partitions = 0
  #end = 0
  /** Everything was read once, now or by an earlier process: from then on every change is written. */
  #isWhole = false

  constructor(options: RememberOptions) {
    this.#options = options
    this.#remembered = readMemory(options.file)
    this.#partitions = this.#remembered?.partitions ?? 0
    this.#end = this.#remembered?.end ?? 0
    this.#isWhole = this.#remembered !== null
    for (const record of this.#remembered?.records ?? []) this.#records.set(record.key, record)
  }

  /** What `ask` says, or in its place `recall` when that takes too long or fails and something is remembered. */
  async patiently<T>(ask: () => Promise<T>, recall: () => T | Promise<T>): Promise<T> {
    const asked = ask()
    if (this.#remembered === null) return asked
    const late = Symbol()
    const waited = new AbortController()
    const patience = sleep(this.#options.patienceMs ?? PATIENCE_MS, late, { signal: waited.signal })
    patience.catch(() => undefined)
    const answer = await Promise.race([asked, patience]).catch(() => late)
    waited.abort()
    return answer === late ? await recall() : (answer as T)
  }

  async partitionsOr(ask: () => Promise<number>): Promise<number> {
    return this.patiently(
      async () => this.#setPartitions(await ask()),
      () => {
        void this.#confirmPartitions(ask)
        return this.#partitions
      },
    )
  }

  async endOr(ask: () => Promise<Map<number, number>>): Promise<Map<number, number>> {
    return this.patiently(ask, () => new Map([[0, this.#remembered!.end]]))
  }

  #setPartitions(partitions: number): number {
    if (partitions !== this.#partitions) {
      this.#partitions = partitions
      this.#write()
    }
    return partitions
  }

  /** A visitor's hits belong into one partition: with another number of them nothing may be written. */
  async #confirmPartitions(ask: () => Promise<number>): Promise<void> {
    const remembered = this.#partitions
    for (;;) {
      const found = await ask().catch(() => 0)
      if (found > 0) {
        this.#setPartitions(found)
        if (found !== remembered)
          this.#options.onFailure(new Error(`${HITS_RAW.name} has ${found} partitions, not ${remembered} as it had`))
        return
      }
      await sleep(PAUSE_MS, undefined, { ref: false })
    }
  }

  learn(records: readonly StoredRecord[]): void {
    for (const { key, value, offset } of records) {
      const name = key?.toString() ?? ''
      this.#end = Math.max(this.#end, offset + 1)
      if (value === null) this.#records.delete(name)
      else if (!name.startsWith(SECRET)) this.#records.set(name, { key: name, value: value.toString(), offset })
    }
    this.#write()
  }

  /** The topic was read to its end: what it does not have any more was deleted meanwhile. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#records.keys()) if (!keys.has(key)) this.#records.delete(key)
    this.#isWhole = true
    this.#write()
  }

  recall(): StoredRecord[] {
    const records = this.#remembered?.records ?? []
    return records.map(({ key, value, offset }) => {
      return { offset, timestamp: 0, key: Buffer.from(key), value: Buffer.from(value), headers: {} }
    })
  }

  /** What cannot be written is not remembered. */
  #write(): void {
    if (!this.#isWhole) return
    const records = [...this.#records.values()].sort((a, b) => a.offset - b.offset)
    const memory: Remembered = { v: VERSION, partitions: this.#partitions, end: this.#end, records }
    try {
      replaceFile(this.#options.file, Buffer.from(JSON.stringify(memory)))
    } catch {
      // the next start waits for the log, as the first one did
    }
  }
}

/** null = nothing that helps: not written yet, or by another version. */
function readMemory(file: string): Remembered | null {
  if (!existsSync(file)) return null
  try {
    const memory = JSON.parse(readFileSync(file, 'utf8')) as Remembered
    return memory.v === VERSION && memory.partitions > 0 ? memory : null
  } catch {
    return null
  }
}
