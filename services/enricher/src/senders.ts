import type { SiteSettings } from '@millrace/shared'
import type { Session } from './sessions/session.ts'
import type { SeenAgent } from './steps/agent.ts'
import type { Rule } from './steps/bots.ts'
import type { Place } from './steps/place.ts'
import { Remembered } from './steps/remembered.ts'
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
  /** The bytes of its client in a line, by which it is recognised. */
  readonly client: Buffer
  /** Under which settings and secret it was read: under others it is read anew. */
  readonly settings: SiteSettings
  readonly secret: Buffer | null
  /** What the pipeline has found out of it: what its headers tell, and where a database has its address. */
  seen: SeenAgent | null
  /** Bot rules that it breaks besides those of its client, and by which list of networks. */
  broken: readonly Rule[] | null
  judgedBy: object | undefined
  place: Place | null
  placedBy: object | null
  /** Where the sessionizer found its sessions last; it checks whether they are still there. */
  session: Session | null
}

const HOUR_MS = 3_600_000
/** About 1 KB each. */
const MAX_YOUNG = 20_000
/** Distinct ones, about 1 KB each. */
const MAX_CLIENTS = 5_000
/** Of one address on one site: behind some there are very many people. */
const MAX_OF_ONE = 64
const COMMA = 44
const LETTER_H = 104
const LETTER_S = 115

/**
 * Senders by what a line says of them, so that most lines are not read but recognised: by the text of site, trust and
 * address, then by the bytes of the client. Two generations: what was not asked for while the younger one filled up, or for
 * an hour of the log's time, is forgotten.
 */
export class Senders {
  readonly #max: number
  #young = new Map<string, Sender[]>()
  #old = new Map<string, Sender[]>()
  #youngCount = 0
  #oldCount = 0
  #bornAt = Number.NEGATIVE_INFINITY
  /** Bytes of clients, that senders share. */
  readonly #clients = new Remembered<Buffer>(MAX_CLIENTS)

  constructor(max = MAX_YOUNG) {
    this.#max = max
  }

  /** How many are remembered: at most twice the maximum. */
  get size(): number {
    return this.#youngCount + this.#oldCount
  }

  /** The sender with this address whose client stands at `client` in `line`. `time`: of the record, epoch ms. */
  find(address: string, line: Buffer, client: number, time: number): Sender | undefined {
    if (this.#youngCount >= this.#max || time - this.#bornAt > HOUR_MS) this.#age(time)
    const known = findClient(this.#young.get(address), line, client)
    if (known !== undefined) return known
    const older = findClient(this.#old.get(address), line, client)
    if (older !== undefined) this.#keep(detach(address), older)
    return older
  }

  add(address: string, sender: Sender): void {
    this.#keep(detach(address), sender)
  }

  /** A copy of the client's bytes, one for all senders that have the same. */
  clientOf(bytes: Buffer): Buffer {
    const text = bytes.toString('latin1')
    const known = this.#clients.get(text)
    if (known !== undefined) return known
    const copy = Buffer.from(bytes)
    this.#clients.set(text, copy)
    return copy
  }

  #keep(address: string, sender: Sender): void {
    const known = this.#young.get(address)
    const same = known?.findIndex(({ client }) => client.equals(sender.client)) ?? -1
    if (known === undefined) this.#young.set(address, [sender])
    else if (same >= 0) known[same] = sender
    else known.push(sender)
    if (same === -1) this.#youngCount++
    if (known !== undefined && known.length > MAX_OF_ONE) {
      known.shift()
      this.#youngCount--
    }
  }

  #age(time: number): void {
    // After an hour without a line the old ones are older than an hour, too.
    this.#old = this.#young
    this.#oldCount = this.#youngCount
    this.#young = new Map()
    this.#youngCount = 0
    this.#bornAt = time
  }
}

/**
 * After a client comes `,"sent_at"` or `,"hits"` (or its `user`, which makes it another one): where neither can stand, a
 * client of another length is told without comparing it.
 */
function findClient(senders: readonly Sender[] | undefined, line: Buffer, start: number): Sender | undefined {
  if (senders === undefined) return undefined
  for (const sender of senders) {
    const { client } = sender
    const end = start + client.length
    const next = line[end + 2]
    if (line[end] !== COMMA || (next !== LETTER_S && next !== LETTER_H)) continue
    if (line.compare(client, 0, client.length, start, end) === 0) return sender
  }
  return undefined
}
