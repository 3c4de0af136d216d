import { readFile, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { isIP } from 'node:net'
import { Reader, type Response } from 'maxmind'
import type { GeoDatabase } from '../steps/geo.ts'
import { attributionOf } from './attribution.ts'
import { isReserved } from './reserved-networks.ts'

/** Decoded records that the reader remembers by their place in the file: cities repeat. */
const RECORD_CACHE = 10_000
/** Type of the built-in data. It is made of the registries' statistics and names countries for private networks too. */
const BUILT_IN_TYPE = /^country ipv/
const require = createRequire(import.meta.url)

/** Path of the country data that comes with Millrace. */
export const builtInGeoFile = (): string =>
  require.resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb')

/** Records by their offset; when it is full it starts anew, which costs a decoding each. */
class RecordCache {
  #records = new Map<string | number, unknown>()

  get(offset: string | number): unknown {
    return this.#records.get(offset)
  }

  set(offset: string | number, record: unknown): void {
    if (this.#records.size >= RECORD_CACHE) this.#records = new Map()
    this.#records.set(offset, record)
  }
}

/**
 * A database in MaxMind's format, from the bytes of its file. Addresses of IPv6 are unknown to one that holds IPv4 only.
 * @throws Error when the bytes are no such database, or not all of it
 */
export function readGeoDatabase(bytes: Buffer): GeoDatabase {
  const reader = new Reader<Response>(bytes, { cache: new RecordCache() })
  const { databaseType, buildEpoch, ipVersion, searchTreeSize } = reader.metadata
  if (searchTreeSize > bytes.length) throw new Error('the file is not complete')
  const knowsTooMuch = BUILT_IN_TYPE.test(databaseType)
  const date = Number.isNaN(buildEpoch.getTime()) ? 'undated' : buildEpoch.toISOString().slice(0, 10)
  return {
    version: `${databaseType} ${date}`,
    attribution: attributionOf(databaseType),
    get(ip) {
      const family = isIP(ip)
      if (family === 0 || (family === 6 && ipVersion === 4)) return null
      return knowsTooMuch && isReserved(ip) ? null : reader.get(ip)
    },
  }
}

/** Opens a database, whole in memory. @throws Error with a sentence for the operator */
export async function openGeoFile(path: string): Promise<GeoDatabase> {
  try {
    return readGeoDatabase(await readFile(path))
  } catch (error) {
    throw new Error(`the geographical database ${path} cannot be read: ${(error as Error).message}`)
  }
}

/** What tells one content of a path from another; '' = there is no file. */
export async function stampOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => null)
  return found === null ? '' : `${found.ino} ${found.size} ${found.mtimeMs}`
}
