/** Where a visitor is: codes of ISO 3166. '' = not known. */
export interface Place {
  readonly country: string
  readonly region: string
  readonly regionName: string
  readonly city: string
}

/** Not known. */
export const NOWHERE: Place = { country: '', region: '', regionName: '', city: '' }

const COUNTRY = /^[A-Z]{2}$/
const SUBDIVISION = /^[A-Z0-9]{1,3}$/
const MAX_PLACE_NAME = 128

type Fields = Readonly<Record<string, unknown>>

const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})
const textOf = (value: unknown): string =>
  typeof value === 'string' ? value.slice(0, MAX_PLACE_NAME).toWellFormed() : ''
/** English, else the first name that there is. */
const nameOf = (names: unknown): string => {
  const all = fieldsOf(names)
  return textOf(all.en) || textOf(Object.values(all)[0])
}

/**
 * The place of a record of any of the known databases: GeoLite2, GeoIP2 and DB-IP (`country.iso_code`, `subdivisions`,
 * `city.names`), and flat ones (`country_code`, `state1`, `city`). Without a country there is no place. Region: the
 * largest subdivision, as in ISO 3166-2; its code where the data has one.
 */
export function placeOf(record: unknown): Place {
  const fields = fieldsOf(record)
  return 'country_code' in fields ? flatPlace(fields) : nestedPlace(fields)
}

function nestedPlace(fields: Fields): Place {
  const country = textOf(fieldsOf(fields.country).iso_code)
  if (!COUNTRY.test(country)) return NOWHERE
  const subdivisions = fields.subdivisions
  const region = fieldsOf(Array.isArray(subdivisions) ? subdivisions[0] : undefined)
  const code = textOf(region.iso_code)
  return {
    country,
    region: SUBDIVISION.test(code) ? `${country}-${code}` : '',
    regionName: nameOf(region.names),
    city: nameOf(fieldsOf(fields.city).names),
  }
}

function flatPlace(fields: Fields): Place {
  const country = textOf(fields.country_code)
  if (!COUNTRY.test(country)) return NOWHERE
  return { country, region: '', regionName: textOf(fields.state1), city: textOf(fields.city) }
}
