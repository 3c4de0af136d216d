import type { EventLog } from '@millrace/log'
import type { RawLine, StampedHit } from '@millrace/shared'
import { identityOf } from './spooled-line.ts'

const HIT_ID = Buffer.from('"hit_id":"')
const UUID_LENGTH = 36
const LF = 0x0a

/** Finds out which hits of a set are in the log already. Every look goes on where the last one ended. */
export class Arrivals {
  readonly #log: EventLog
  readonly #topic: string
  readonly #clockSkewMs: number
  /** hit_id -> its senders. */
  readonly #wanted = new Map<string, string[]>()
  readonly #partitions = new Set<number>()
  readonly #found = new Set<string>()
  #since = Number.POSITIVE_INFINITY
  /** Partition -> offset up to which was looked. */
  #looked: Map<number, number> | null = null

  /** `clockSkewMs`: how far the clocks of log and collector may be apart. */
  constructor(log: EventLog, topic: string, clockSkewMs: number) {
    this.#log = log
    this.#topic = topic
    this.#clockSkewMs = clockSkewMs
  }

  /** Before the first look. The line cannot have come into the log before `since`, epoch ms. */
  add(partition: number, line: RawLine, since: number): void {
    this.#since = Math.min(this.#since, since)
    const sender = identityOf(line)
    this.#partitions.add(partition)
    for (const { hit_id } of line.hits) {
      const senders = this.#wanted.get(hit_id)
      if (!senders) this.#wanted.set(hit_id, [sender])
      else if (!senders.includes(sender)) senders.push(sender)
    }
  }

  /** Whether anything was found. */
  get any(): boolean {
    return this.#found.size > 0
  }

  /** The hits of a line that are not in the log, as far as was looked. */
  missingOf(line: RawLine): StampedHit[] {
    const sender = identityOf(line)
    return line.hits.filter(({ hit_id }) => !this.#found.has(hit_id + sender))
  }

  /** Reads what came into the log since the last look. @throws Error when the log cannot be read: look again */
  async look(): Promise<void> {
    const admin = this.#log.admin()
    const reader = this.#log.reader()
    try {
      // The end is asked after what is in flight has been settled, and before it is read.
      const ends = await admin.endOffsets(this.#topic)
      this.#looked ??= await admin.offsetsForTime(this.#topic, this.#since - this.#clockSkewMs)
      for (const partition of this.#partitions) {
        const end = ends.get(partition) ?? 0
        const from = this.#looked.get(partition) ?? 0
        for await (const records of reader.read(this.#topic, partition, from, end))
          for (const { value } of records) if (value) this.#lookInto(value)
        this.#looked.set(partition, Math.max(from, end))
      }
    } finally {
      await Promise.all([reader.close(), admin.close()])
    }
  }

  /** Only lines with a hit_id that is wanted are parsed. Within strings the pattern cannot stand: quotes are escaped there. */
  #lookInto(value: Buffer): void {
    for (let at = value.indexOf(HIT_ID); at >= 0; at = value.indexOf(HIT_ID, at + 1)) {
      const idAt = at + HIT_ID.length
      if (!this.#wanted.has(value.toString('latin1', idAt, idAt + UUID_LENGTH))) continue
      const start = value.lastIndexOf(LF, at) + 1
      const end = value.indexOf(LF, at)
      this.#takeLine(value.toString('utf8', start, end < 0 ? value.length : end))
    }
  }

  #takeLine(text: string): void {
    const line = parseLine(text)
    if (!line) return
    const sender = identityOf(line)
    for (const { hit_id } of line.hits) if (this.#wanted.get(hit_id)?.includes(sender)) this.#found.add(hit_id + sender)
  }
}

/** null for what is no line of a collector: whoever wrote it, it is none of ours. */
function parseLine(text: string): RawLine | null {
  try {
    const line = JSON.parse(text) as RawLine
    return Array.isArray(line.hits) && line.hits.every((hit) => typeof hit?.hit_id === 'string') ? line : null
  } catch {
    return null
  }
}
