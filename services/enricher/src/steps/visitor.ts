import { randomBytes } from 'node:crypto'
import { Hash64, NO_HASH } from '@millrace/shared'
import { shortHash } from './short-hash.ts'

/** Salts by local day. null = none was made for that day, or it is gone. */
export interface SaltsByDay {
  saltOf(day: number): Buffer | null
}

const NO_SALTS: SaltsByDay = { saltOf: () => null }
const SALT_BYTES = 32
const SCRATCH = Buffer.allocUnsafeSlow(16 * 1024)
let scratchSalt: Buffer | null = null

/**
 * visitor_id: the first 64 bits of sha256(salt 0 site 0 ip 0 user agent). `identity` is everything after the salt, with the
 * leading zero.
 */
function hashIdentity(salt: Buffer, identity: string): Hash64 {
  if (identity.length * 3 + SALT_BYTES > SCRATCH.length || salt.length !== SALT_BYTES) {
    return shortHash(Buffer.concat([salt, Buffer.from(identity)]))
  }
  if (salt !== scratchSalt) {
    salt.copy(SCRATCH)
    scratchSalt = salt
  }
  const length = SCRATCH.write(identity, SALT_BYTES)
  return shortHash(SCRATCH.subarray(0, SALT_BYTES + length))
}

/** The names of one site, address and agent, by local day. Each is hashed when it is first asked for. */
export class VisitorIds {
  /** The same on every day; null = it is not. */
  #fixed: Hash64 | null = null
  readonly #salts: SaltsByDay
  // Salts of at most a day and its neighbours are asked for: three slots, no map.
  #salt0: Buffer | null = null
  #id0 = NO_HASH
  #salt1: Buffer | null = null
  #id1 = NO_HASH
  #salt2: Buffer | null = null
  #id2 = NO_HASH
  readonly #site: string
  readonly #ip: string
  readonly #agent: string

  /** `agent`: the user agent, and what else tells visitors apart, each with a leading zero. */
  constructor(salts: SaltsByDay, site: string, ip: string, agent: string) {
    this.#salts = salts
    this.#site = site
    this.#ip = ip
    this.#agent = agent
  }

  /** The name of a visitor whom the sender knows by an id of its own: the first 64 bits of sha256(secret 0 site 0 user), on every day. */
  static ofUser(secret: Buffer, site: string, user: string): VisitorIds {
    const ids = new VisitorIds(NO_SALTS, site, '', '')
    ids.#fixed = hashIdentity(secret, `\0${site}\0${user}`)
    return ids
  }

  /** The visitor's id under the salt of `day`; null when there is no such salt, or no longer. */
  on(day: number): Hash64 | null {
    if (this.#fixed !== null) return this.#fixed
    const salt = this.#salts.saltOf(day)
    if (salt === null) return null
    if (salt === this.#salt0) return this.#id0
    if (salt === this.#salt1) return this.#id1
    if (salt === this.#salt2) return this.#id2
    return this.#keep(salt, hashIdentity(salt, `\0${this.#site}\0${this.#ip}\0${this.#agent}`))
  }

  /** As `on`, with a random id that nobody else ever gets, nor this hit again, where the salt is gone. */
  own(day: number): Hash64 {
    return this.on(day) ?? Hash64.of(randomBytes(8).toString('hex'))
  }

  #keep(salt: Buffer, id: Hash64): Hash64 {
    this.#salt2 = this.#salt1
    this.#id2 = this.#id1
    this.#salt1 = this.#salt0
    this.#id1 = this.#id0
    this.#salt0 = salt
    this.#id0 = id
    return id
  }
}
