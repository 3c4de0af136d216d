import { LRUCache } from 'lru-cache'
import { OnePerValue } from './one-per-value.ts'
import { NOWHERE, type Place, placeOf } from './place.ts'

/** A geographical database, opened. */
export interface GeoDatabase {
  /** Kind and date, such as `GeoLite2-City 2026-11-20`: stands in the records of hits.enriched. */
  readonly version: string
  /** What its licence asks to be shown; '' = nothing known. */
  readonly attribution: string
  /** The record of an address; null = none. @throws when the address is none, or the file is damaged */
  get(ip: string): unknown
}

/** Places of addresses that are remembered. */
const MAX_REMEMBERED = 50_000

/** Places by address. The database may be replaced at any time: what was remembered is then forgotten. */
export class GeoReader {
  #database: GeoDatabase | null
  readonly #places: LRUCache<string, Place>
  readonly #distinct = new OnePerValue<Place>()

  constructor(database: GeoDatabase | null, maxRemembered = MAX_REMEMBERED) {
    this.#database = database
    this.#places = new LRUCache({ max: maxRemembered })
  }

  /** '' = no database. */
  get version(): string {
    return this.#database?.version ?? ''
  }

  /** What places are from: another one after `use`. */
  get source(): object | null {
    return this.#database
  }

  get attribution(): string {
    return this.#database?.attribution ?? ''
  }

  /** Addresses remembered now. */
  get size(): number {
    return this.#places.size
  }

  use(database: GeoDatabase): void {
    this.#database = database
    this.#places.clear()
  }

  /** The place of an address; NOWHERE when it is none, private, or not in the database. Never throws. */
  locate(ip: string): Place {
    const known = this.#places.get(ip)
    if (known !== undefined) return known
    const place = this.#look(ip)
    this.#places.set(ip, place)
    return place
  }

  #look(ip: string): Place {
    try {
      return this.#database === null || ip === '' ? NOWHERE : this.#distinct.of(placeOf(this.#database.get(ip)))
    } catch {
      return NOWHERE
    }
  }
}
