/**
 * The salts of millrace.salts: key = date, value = 32 random bytes, the first record of a date wins for everybody. A salt
 * is in use for at most 80 h after its first use; then it is overwritten in memory, and the topic's retention removes it
 * from disk. With it gone, nobody can tell whose the visitor ids of that day were.
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { EventLog, StoredRecord } from '@millrace/log'
import { dateOfDay, dayOfDate, SALTS } from '@millrace/shared'
import type { Facts } from './facts.ts'
import { retryInDoubt } from './partition/append.ts'
import type { SaltsByDay } from './steps/visitor.ts'

const SALT_BYTES = 32
const HOUR_MS = 3_600_000
/** 50 h of time zones, the 24 h clamp and the 6 h spool. */
export const SALT_LIFE_MS = 80 * HOUR_MS
/** A few days are in use at any time. */
const MAX_FIXED_SALTS = 1_000
const DATE = /^\d{4}-\d{2}-\d{2}$/

export interface Salts extends SaltsByDay {
  /** Whether `day` has a salt, or had one that is gone. */
  isDecided(day: number): boolean
  /** Makes the missing salts of `days`; resolves when each of them is decided. @throws when the topic cannot be followed */
  ensure(days: ReadonlySet<number>): Promise<void>
  close(): Promise<void>
}

/** A salt; its bytes are null once it is gone. */
interface Salt {
  bytes: Buffer | null
  readonly expiresAt: number
}

class FollowedSalts implements Salts {
  readonly #log: EventLog
  readonly #clock: () => number
  readonly #facts: Facts
  readonly #salts = new Map<number, Salt>()
  readonly #waiting = new Map<number, Promise<void>>()
  readonly #decided = new Map<number, () => void>()
  readonly #following: { caughtUp: Promise<void>; done: Promise<void>; stop(): Promise<void> }
  readonly #reader
  readonly #producer
  readonly #failed: Promise<never>
  readonly #timer: NodeJS.Timeout

  constructor(log: EventLog, clock: () => number, facts: Facts) {
    this.#log = log
    this.#clock = clock
    this.#facts = facts
    this.#reader = this.#log.reader()
    this.#producer = this.#log.producer()
    this.#following = this.#reader.follow(SALTS.name, (_, records) => this.#read(records))
    this.#failed = this.#following.done.then(() => {
      throw new Error('millrace.salts is no longer followed')
    })
    this.#failed.catch(() => {})
    this.#timer = setInterval(() => this.#expire(), 60_000)
    this.#timer.unref()
  }

  get caughtUp(): Promise<void> {
    return this.#following.caughtUp
  }

  saltOf(day: number): Buffer | null {
    const salt = this.#salts.get(day)
    if (salt === undefined || salt.bytes === null) return null
    if (salt.expiresAt > this.#clock()) return salt.bytes
    this.#drop(day, salt)
    return null
  }

  isDecided(day: number): boolean {
    return this.#salts.has(day)
  }

  async ensure(days: ReadonlySet<number>): Promise<void> {
    const missing = [...days].filter((day) => !this.#salts.has(day))
    await Promise.race([Promise.all(missing.map((day) => this.#make(day))), this.#failed])
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#following.stop()
    await this.#reader.close()
    await this.#producer.close()
  }

  /** One attempt a day at a time; whoever's record comes first in the log decides. */
  #make(day: number): Promise<void> {
    let waiting = this.#waiting.get(day)
    if (waiting === undefined) {
      const decided = new Promise<void>((resolve) => this.#decided.set(day, resolve))
      waiting = this.#append(day).then(() => decided)
      this.#waiting.set(day, waiting)
      const settled = (): void => void this.#waiting.delete(day)
      waiting.then(settled, settled)
    }
    return waiting
  }

  async #append(day: number): Promise<void> {
    const record = { key: Buffer.from(dateOfDay(day)), value: randomBytes(SALT_BYTES) }
    await retryInDoubt(() => this.#producer.append(SALTS.name, new Map([[0, [record]]])))
  }

  #read(records: readonly StoredRecord[]): void {
    for (const { key, value, timestamp, headers } of records) {
      const date = key?.toString() ?? ''
      if (!DATE.test(date) || value?.length !== SALT_BYTES) continue
      const day = dayOfDate(date)
      if (Number.isNaN(day) || this.#salts.has(day)) continue
      // One that was moved from another log lives no longer for it.
      const madeAt = Math.min(timestamp, Number(headers.made_at ?? timestamp))
      const expiresAt = madeAt + SALT_LIFE_MS
      this.#salts.set(day, { bytes: expiresAt > this.#clock() ? Buffer.from(value) : null, expiresAt })
      this.#decided.get(day)?.()
      this.#decided.delete(day)
    }
  }

  #drop(day: number, salt: Salt): void {
    if (salt.bytes === null) return
    salt.bytes.fill(0)
    salt.bytes = null
    this.#facts.saltDropped(dateOfDay(day))
  }

  /** Forgets what is too old, and that it was there once the topic has forgotten it too. */
  #expire(): void {
    const now = this.#clock()
    for (const [day, salt] of this.#salts) {
      if (salt.expiresAt <= now) this.#drop(day, salt)
      if (now > salt.expiresAt + SALTS.retentionMs) this.#salts.delete(day)
    }
  }
}

/** Reads all salts and follows them. @throws when the topic cannot be read */
export async function openSalts(log: EventLog, clock: () => number, facts: Facts): Promise<Salts> {
  const salts = new FollowedSalts(log, clock, facts)
  await salts.caughtUp
  return salts
}

/**
 * Salts of the operator's own key: that of a day is HMAC-SHA256(key, date). They are the same in every installation with
 * the key, need no topic, and are never gone: by option only, with a warning (docs/privacy.md).
 */
export function fixedSalts(key: string): Salts {
  const salts = new Map<number, Buffer>()
  return {
    saltOf(day) {
      let salt = salts.get(day)
      if (salt === undefined) {
        if (salts.size >= MAX_FIXED_SALTS) salts.clear()
        salt = createHmac('sha256', key).update(dateOfDay(day)).digest()
        salts.set(day, salt)
      }
      return salt
    },
    isDecided: () => true,
    ensure: async () => {},
    close: async () => {},
  }
}
