import { GeoReader } from '../steps/geo.ts'
import { builtInGeoFile, openGeoFile, stampOf } from './open-geo-file.ts'

/** How often the file is looked at. */
const LOOK_EVERY_MS = 5_000

/** What becomes of the file. */
export interface GeoFacts {
  /** A database is in use from now on. */
  geoOpened(version: string, attribution: string): void
  /** The file changed into something that cannot be read: the one before stays in use. */
  geoRefused(error: unknown): void
}

/** A reader whose database follows its file. */
export interface FollowedGeo {
  readonly geo: GeoReader
  close(): Promise<void>
}

/**
 * Opens the database at `path` ('' = the country data that comes with Millrace) and, when the file is replaced, the new
 * one, within seconds and without a hit that waits. A file that is missing or broken later changes nothing.
 * @throws Error with a sentence for the operator when it cannot be read at the start
 */
export async function followGeoFile(path: string, facts: GeoFacts, everyMs = LOOK_EVERY_MS): Promise<FollowedGeo> {
  const file = path || builtInGeoFile()
  let stamp = await stampOf(file)
  const geo = new GeoReader(await openGeoFile(file))
  facts.geoOpened(geo.version, geo.attribution)

  const look = async (): Promise<void> => {
    const now = await stampOf(file)
    if (now === stamp || now === '') return
    stamp = now
    try {
      geo.use(await openGeoFile(file))
      facts.geoOpened(geo.version, geo.attribution)
    } catch (error) {
      facts.geoRefused(error)
    }
  }
  let looking = Promise.resolve()
  const timer = path === '' ? null : setInterval(() => (looking = looking.then(look)), everyMs)
  timer?.unref()
  return {
    geo,
    async close() {
      if (timer) clearInterval(timer)
      await looking
    },
  }
}
