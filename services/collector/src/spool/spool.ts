import { MillraceError } from '@millrace/shared'
import type { Facts } from '../facts.ts'
import { addLine, type RecordDrafts } from '../record-drafts.ts'
import type { PartitionLine } from '../stamp-lines.ts'
import { encodeFrames } from './encode-frames.ts'
import type { SpoolDisk } from './spool-disk.ts'
import { type Place, type SpoolRead, START } from './spool-files.ts'
import { markSpooled } from './spooled-line.ts'

export interface SpoolLimits {
  /** Size of the files at which hits are refused. */
  readonly maxBytes: number
  /** Hits are refused while the oldest has waited this long. */
  readonly maxAgeMs: number
  /** Share of both limits from which on the collector is not ready. */
  readonly alarmAt: number
  /** A group of this size waits for nothing more. */
  readonly maxGroupBytes: number
  /** Senders are told `log_unavailable` when the disk has not taken their hits after this time. */
  readonly giveUpMs: number
}

export const SPOOL_LIMITS: Omit<SpoolLimits, 'maxBytes'> = {
  maxAgeMs: 6 * 3_600_000,
  alarmAt: 0.8,
  maxGroupBytes: 4 << 20,
  giveUpMs: 5_000,
}

/** An append of these lines to the log that was not acknowledged in time. */
export interface Doubt {
  /** How long ago it began. */
  readonly agoMs: number
  /** Never rejects: whether the log acknowledged it after all; false = nobody knows. */
  readonly outcome: Promise<boolean>
}

/**
 * What is known of a frame: `survivor` of an earlier run, `untried` on the log, `doubtful` = it may be in the log,
 * `acknowledged` by it after all.
 */
export type Standing = 'survivor' | 'untried' | 'doubtful' | 'acknowledged'

/** Lines that become durable together. */
interface Group {
  readonly drafts: RecordDrafts
  readonly since: number
  readonly doubt: Doubt | undefined
  readonly durable: Promise<void>
  readonly succeed: () => void
  readonly fail: (error: MillraceError) => void
  readonly deadline: NodeJS.Timeout
  bytes: number
  hits: number
}

/** Frames [from, to) of an append in doubt. */
interface Doubted {
  readonly from: number
  readonly to: number
  standing: 'doubtful' | 'acknowledged'
}

/**
 * Hits that the log did not take, durable on the collector's own disk, first in first out. Groups are written one at a
 * time: what arrives during a write goes into the next.
 */
export class Spool {
  readonly #disk: SpoolDisk
  readonly #limits: SpoolLimits
  readonly #clock: () => number
  readonly #facts: Facts
  /** Oldest first. */
  readonly #groups: Group[] = []
  #writing = false
  #waitingBytes = 0
  /** Durable frames that are not in the log. */
  #frames: number
  /** Frames below are of an earlier run. */
  readonly #firstSeq: number
  #nextSeq: number
  readonly #doubts: Doubted[] = []
  /** Epoch ms of the first frame that is not in the log; null = there is none. */
  #oldest: number | null
  #place: Place = START
  #failing: string | null = null
  #trying = false
  #wake: () => void = () => undefined

  constructor(disk: SpoolDisk, limits: SpoolLimits, clock: () => number, facts: Facts) {
    const { found } = disk
    this.#disk = disk
    this.#limits = limits
    this.#clock = clock
    this.#facts = facts
    this.#frames = found.frames
    this.#firstSeq = found.nextSeq
    this.#nextSeq = found.nextSeq
    this.#oldest = found.oldest
    facts.watchSpool(() => this.state)
  }

  /** Lines wait here: newer ones must come behind them. */
  get occupied(): boolean {
    return this.#frames > 0 || this.#groups.length > 0 || this.#writing
  }

  /** All that was put is on the disk. */
  get written(): boolean {
    return this.#groups.length === 0 && !this.#writing
  }

  get state(): { bytes: number; oldestMs: number; problem: string | null } {
    const bytes = this.#disk.bytes
    const oldestMs = this.#ageMs()
    if (this.#failing !== null) void this.#tryAgain()
    return { bytes, oldestMs, problem: this.#problem(bytes, oldestMs) }
  }

  #ageMs(): number {
    return this.#oldest === null ? 0 : Math.max(0, this.#clock() - this.#oldest)
  }

  /** When hits go to the log again, nothing else would tell that the disk has room: whoever asks for the state has it tried. */
  async #tryAgain(): Promise<void> {
    if (this.#trying || !this.written) return
    this.#trying = true
    try {
      await this.#disk.tryOut()
      if (this.#failing !== null) this.#facts.spoolRecovered()
      this.#failing = null
    } catch {
      // it fails as before
    } finally {
      this.#trying = false
    }
  }

  #problem(bytes: number, oldestMs: number): string | null {
    const { maxBytes, maxAgeMs, alarmAt } = this.#limits
    if (this.#failing !== null) return `cannot be written: ${this.#failing}`
    if (bytes >= maxBytes * alarmAt) return `holds ${bytes} of ${maxBytes} bytes`
    if (oldestMs >= maxAgeMs * alarmAt)
      return `its oldest hits have waited for ${Math.floor(oldestMs / 60_000)} minutes`
    return null
  }

  /**
   * Resolves when the lines are durable here. With `doubt` they have been tried on the log, and none of other lines is
   * written between them.
   * @throws MillraceError log_unavailable: the spool is full or cannot be written; what it holds stays
   */
  put(lines: Iterable<PartitionLine>, doubt?: Doubt): Promise<void> {
    const { maxBytes, maxAgeMs } = this.#limits
    if (this.#disk.bytes + this.#waitingBytes >= maxBytes || this.#ageMs() >= maxAgeMs)
      return Promise.reject(unavailable('The log does not take hits now, and the spool is full.'))
    const group = this.#openGroup(doubt)
    for (const line of lines) {
      const bytes = addLine(group.drafts, markSpooled(line))
      group.bytes += bytes
      group.hits += line.hits
      this.#waitingBytes += bytes
    }
    if (!this.#writing) {
      this.#writing = true
      // After the requests of this turn of the event loop have joined.
      setImmediate(() => this.#write())
    }
    return group.durable
  }

  #openGroup(doubt: Doubt | undefined): Group {
    const last = this.#groups.at(-1)
    if (last && !doubt && !last.doubt && last.bytes < this.#limits.maxGroupBytes) return last
    const since = Math.floor(this.#clock() - (doubt?.agoMs ?? 0))
    const group = newGroup(since, doubt, this.#limits.giveUpMs)
    this.#groups.push(group)
    return group
  }

  async #write(): Promise<void> {
    for (let group = this.#groups.shift(); group; group = this.#groups.shift()) {
      const { bytes, frames } = encodeFrames(group.drafts, this.#nextSeq, group.since)
      const from = this.#nextSeq
      this.#nextSeq += frames
      try {
        await this.#disk.append(bytes)
        this.#took(group, from, frames)
      } catch (error) {
        this.#failed(group, error)
      }
      this.#waitingBytes -= group.bytes
      clearTimeout(group.deadline)
    }
    this.#writing = false
    this.#wake()
  }

  #took({ since, hits, doubt, succeed }: Group, from: number, frames: number): void {
    if (this.#frames === 0) this.#facts.spoolBegins()
    this.#failing = null
    this.#frames += frames
    this.#oldest ??= since
    if (doubt) {
      const doubted: Doubted = { from, to: from + frames, standing: 'doubtful' }
      this.#doubts.push(doubted)
      doubt.outcome.then((acknowledged) => {
        if (acknowledged) doubted.standing = 'acknowledged'
      })
    }
    this.#facts.spooled(hits)
    succeed()
    this.#wake()
  }

  #failed({ fail }: Group, error: unknown): void {
    this.#failing = (error as NodeJS.ErrnoException).code ?? (error as Error).message
    this.#facts.spoolFailed(error)
    fail(unavailable('The log does not take hits now, and the spool cannot be written.'))
  }

  /** Resolves when something may have changed: a group was written, or `wake()` was called. One caller at a time. */
  change(): Promise<void> {
    return new Promise((done) => {
      this.#wake = done
    })
  }

  wake(): void {
    this.#wake()
  }

  /** The first frames that are not in the log; null when none is durable yet. */
  async first(): Promise<SpoolRead | null> {
    const read = await this.#disk.read(this.#place)
    if (read) this.#oldest = read.frames[0]!.timestamp
    return read
  }

  /** Frames further on. */
  read(place: Place): Promise<SpoolRead | null> {
    return this.#disk.read(place)
  }

  /** To be asked when no append to the log is in flight. */
  standing(seq: number): Standing {
    if (seq < this.#firstSeq) return 'survivor'
    return this.#doubts.find(({ from, to }) => from <= seq && seq < to)?.standing ?? 'untried'
  }

  /** What `first()` gave is in the log: it is deleted. */
  async deliver(read: SpoolRead): Promise<void> {
    this.#place = read.next
    this.#frames -= read.frames.length
    const nextSeq = read.frames.at(-1)!.seq + 1
    while (this.#doubts[0] && this.#doubts[0].to <= nextSeq) this.#doubts.shift()
    if (this.#frames === 0) this.#oldest = null
    await this.#disk.drop(read.next, !this.occupied)
  }

  /** Writes what waits. What was not delivered stays for the next start. */
  async close(): Promise<void> {
    while (!this.written) await this.change()
    await this.#disk.close()
  }
}

const unavailable = (detail: string): MillraceError => new MillraceError('log_unavailable', detail)

function newGroup(since: number, doubt: Doubt | undefined, giveUpMs: number): Group {
  let succeed = (): void => undefined
  let fail = (_error: MillraceError): void => undefined
  const durable = new Promise<void>((resolve, reject) => {
    succeed = resolve
    fail = reject
  })
  // A disk that hangs: the lines may become durable later, and then go to the log.
  const deadline = setTimeout(() => fail(unavailable('Neither the log nor the spool answers.')), giveUpMs)
  return { drafts: new Map(), since, doubt, durable, succeed, fail, deadline, bytes: 0, hits: 0 }
}
