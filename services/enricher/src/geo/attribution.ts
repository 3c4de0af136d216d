/** What the licence of a database asks to be shown, by the beginning of its type. */
const ATTRIBUTIONS: readonly (readonly [type: RegExp, text: string])[] = [
  [/^GeoLite2/, 'This product includes GeoLite Data created by MaxMind, available from https://www.maxmind.com'],
  [/^GeoIP2/, 'This product includes GeoIP data created by MaxMind, available from https://www.maxmind.com'],
  [/^DBIP/, 'IP Geolocation by DB-IP, https://db-ip.com'],
  [
    /^country ipv/,
    'Country data: ip-location-db (CC0), with statistics of the Number Resource Organization, https://www.nro.net (CC BY 4.0)',
  ],
]

/** The sentence that the licence of a database of this type asks for; '' = none is known. */
export function attributionOf(databaseType: string): string {
  return ATTRIBUTIONS.find(([type]) => type.test(databaseType))?.[1] ?? ''
}
