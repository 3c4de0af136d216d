import { areEqual, hashOf } from './byte-words.ts'
import type { Client, Sender } from './sender.ts'
import { Remembered } from './steps/remembered.ts'

const HOUR_MS = 3_600_000
/** About 500 bytes each. */
const MAX_YOUNG = 40_000
/** Distinct ones, about 3 KB each. */
const MAX_CLIENTS = 5_000
/** Of one address on one site: behind some there are very many people. */
const MAX_OF_ONE = 64
/** Of addresses, for each sender on average: only where senders push each other out are there more. */
const ADDRESS_BYTES = 128
const COMMA = 44
const LETTER_H = 104
const LETTER_S = 115

/** The bytes of a line, as it is searched for its sender. */
export interface LineBytes {
  readonly bytes: Buffer
  /** Of the same bytes. */
  readonly view: DataView
}

/**
 * Senders by what a line says of them, so that most lines are not read but recognised: by the bytes of site, trust and
 * address, which stand first, then by those of the client. Two generations: what was not asked for while the younger one
 * filled up, or for an hour of the log's time, is forgotten.
 */
export class Senders {
  readonly #max: number
  #young = new Generation()
  #old = new Generation()
  #bornAt = Number.NEGATIVE_INFINITY
  readonly #clients = new Remembered<Client>(MAX_CLIENTS)

  constructor(max = MAX_YOUNG) {
    this.#max = max
  }

  /** How many are remembered: at most twice the maximum. */
  get size(): number {
    return this.#young.count + this.#old.count
  }

  /** The sender whose address stands at [address, client) in a line, and its client behind. `time`: of the record, epoch ms. */
  find(line: LineBytes, address: number, client: number, time: number): Sender | undefined {
    if (this.#young.isFull(this.#max) || time - this.#bornAt > HOUR_MS) this.#age(time)
    const hash = hashOf(line.view, address, client)
    const known = this.#young.find(hash, line, address, client)
    if (known !== undefined) return known
    const older = this.#old.find(hash, line, address, client)
    if (older === undefined) return undefined
    this.#old.remove(hash, older)
    this.#young.add(hash, older, line.view, address, client)
    return older
  }

  /** Remembers the sender of a line, in place of the one that `find` gives for it. */
  add(sender: Sender, { bytes, view }: LineBytes, address: number, client: number): void {
    const hash = hashOf(view, address, client)
    const before = this.#young.find(hash, { bytes, view }, address, client)
    if (before !== undefined) this.#young.remove(hash, before)
    this.#young.add(hash, sender, view, address, client)
  }

  /** The client with these bytes, one for all senders that have it; `read` makes what is not known yet. */
  clientOf<Found extends Client | null>(bytes: Buffer, read: (copy: Buffer) => Found): Client | Found {
    const text = bytes.toString('latin1')
    const known = this.#clients.get(text)
    if (known !== undefined) return known
    const client = read(Buffer.from(bytes))
    if (client !== null) this.#clients.set(text, client)
    return client
  }

  #age(time: number): void {
    // After an hour without a line the old ones are older than an hour, too.
    this.#old = this.#young
    this.#young = new Generation()
    this.#bornAt = time
  }
}

/** Senders by the hash of their address; those with the same hang on `next`, the oldest first. */
class Generation {
  count = 0
  readonly #first = new Map<number, Sender>()
  /** The addresses, one behind the other: far cheaper than an object for each. */
  #addresses = new DataView(new ArrayBuffer(1 << 16))
  #used = 0

  isFull(max: number): boolean {
    return this.count >= max || this.#used > max * ADDRESS_BYTES
  }

  /**
   * After a client comes `,"sent_at"` or `,"hits"` (or its `user`, which makes it another one): where neither can stand, a
   * client of another length is told without comparing it.
   */
  find(hash: number, { bytes, view }: LineBytes, address: number, start: number): Sender | undefined {
    const length = start - address
    for (let sender = this.#first.get(hash) ?? null; sender !== null; sender = sender.next) {
      if (sender.addressLength !== length) continue
      if (!areEqual(this.#addresses, sender.addressAt, view, address, length)) continue
      const client = sender.client.bytes
      const end = start + client.length
      const next = bytes[end + 2]
      if (bytes[end] !== COMMA || (next !== LETTER_S && next !== LETTER_H)) continue
      if (bytes.compare(client, 0, client.length, start, end) === 0) return sender
    }
    return undefined
  }

  add(hash: number, sender: Sender, view: DataView, address: number, client: number): void {
    sender.addressAt = this.#keep(view, address, client)
    sender.addressLength = client - address
    sender.next = null
    this.count++
    const first = this.#first.get(hash)
    if (first === undefined) {
      this.#first.set(hash, sender)
      return
    }
    let last = first
    let length = 1
    for (; last.next !== null; last = last.next) length++
    last.next = sender
    if (length >= MAX_OF_ONE) this.remove(hash, first)
  }

  remove(hash: number, sender: Sender): void {
    this.count--
    const first = this.#first.get(hash)!
    if (first !== sender) {
      let before = first
      while (before.next !== sender) before = before.next!
      before.next = sender.next
    } else if (sender.next !== null) this.#first.set(hash, sender.next)
    else this.#first.delete(hash)
    sender.next = null
  }

  #keep(view: DataView, from: number, to: number): number {
    const at = this.#used
    this.#used += to - from
    if (this.#used > this.#addresses.byteLength) {
      const larger = new Uint8Array(Math.max(this.#used, this.#addresses.byteLength * 2))
      larger.set(new Uint8Array(this.#addresses.buffer))
      this.#addresses = new DataView(larger.buffer)
    }
    new Uint8Array(this.#addresses.buffer).set(new Uint8Array(view.buffer, view.byteOffset + from, to - from), at)
    return at
  }
}
