import type { SiteSettings } from '@millrace/shared'
import type { SeenAgent } from './steps/agent.ts'
import type { Place } from './steps/place.ts'
import { detach } from './steps/text.ts'
import type { VisitorIds } from './steps/visitor.ts'

/** What a line says of who sent it: the same for all of its hits, and for every line of the same visitor on the same site. */
export interface Sender {
  readonly site: string
  readonly userAgent: string
  readonly acceptLanguage: string
  /** What the collector kept of the request's headers, by lower-case name; nothing in it is trusted to be a text. */
  readonly headers: Readonly<Record<string, unknown>>
  /** As the collector normalised it; for the place and for networks, and never in a row. */
  readonly ip: string
  /** Holds the address too, and answers with hashes only. */
  readonly visitor: VisitorIds
  /** What it is remembered by. */
  text: string
  /** Under which settings and secret it was read: under others it is read anew. */
  readonly settings: SiteSettings
  readonly secret: Buffer | null
  /** What the pipeline has found out of it: what its headers tell, and where a database has its address. */
  seen: SeenAgent | null
  place: Place | null
  placedBy: object | null
}

const HOUR_MS = 3_600_000
/** About 1.5 KB each. */
const MAX_YOUNG = 20_000

/**
 * Senders by the text that a line has of them, so that most lines are not read but recognised. Two generations: what was
 * not asked for while the younger one filled up, or for an hour of the log's time, is forgotten.
 */
export class Senders {
  readonly #max: number
  #young = new Map<string, Sender>()
  #old = new Map<string, Sender>()
  #bornAt = Number.NEGATIVE_INFINITY

  constructor(max = MAX_YOUNG) {
    this.#max = max
  }

  /** How many are remembered: at most twice the maximum. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** `time`: of the record that the text stands in, epoch ms. */
  get(text: string, time: number): Sender | undefined {
    if (this.#young.size >= this.#max || time - this.#bornAt > HOUR_MS) this.#age(time)
    const known = this.#young.get(text)
    if (known !== undefined) return known
    const older = this.#old.get(text)
    if (older !== undefined) this.#young.set(older.text, older)
    return older
  }

  set(text: string, sender: Sender): void {
    sender.text = detach(text)
    this.#young.set(sender.text, sender)
  }

  #age(time: number): void {
    // After an hour without a line the old ones are older than an hour, too.
    this.#old = this.#young
    this.#young = new Map()
    this.#bornAt = time
  }
}
