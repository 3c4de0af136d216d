import { readFileSync } from 'node:fs'
import { builtInGeoFile, GeoReader, readGeoDatabase, Senders } from '@millrace/enricher'
import { DEFAULT_SITE_SETTINGS, LocalDays } from '@millrace/shared'

/** What an enricher that is measured works with: default settings, one salt, the built-in countries. */
export const RULES = {
  days: new LocalDays('UTC'),
  sessionTimeoutMs: 30 * 60_000,
  settings: DEFAULT_SITE_SETTINGS,
  rate: { hits: 2_000, perSecond: 20 },
}
const SALT = Buffer.alloc(32, 7)

/** Reads raw records, and remembers their senders. */
export const newReading = () => ({
  salts: { saltOf: () => SALT },
  rulesOf: () => RULES,
  installationSecret: () => null,
  fingerprintHeaders: [],
  senders: new Senders(),
})

/** The built-in countries, with nothing looked up yet. */
export const newGeo = (): GeoReader => new GeoReader(readGeoDatabase(readFileSync(builtInGeoFile())))

/** Whole numbers below `below`, the same for the same seed. */
export function randomFrom(first: number): (below: number) => number {
  let seed = first
  return (below) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 4_294_967_296) * below)
  }
}
