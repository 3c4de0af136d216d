import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MmdbValue, waitUntil, writeMmdb } from '@millrace/testing'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { GeoReader } from '../steps/geo.ts'
import { NOWHERE } from '../steps/place.ts'
import { attributionOf } from './attribution.ts'
import { followGeoFile } from './follow-geo-file.ts'
import { builtInGeoFile, openGeoFile, readGeoDatabase } from './open-geo-file.ts'
import { isReserved } from './reserved-networks.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-geo-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A record of GeoLite2 City, GeoIP2 City and DB-IP City, with what else such records hold. */
const BERLIN: MmdbValue = {
  city: { geoname_id: 2950159, names: { de: 'Berlin', en: 'Berlin' } },
  continent: { code: 'EU' },
  country: { iso_code: 'DE', names: { en: 'Germany' } },
  registered_country: { iso_code: 'NL' },
  subdivisions: [{ iso_code: 'BE', names: { de: 'Land Berlin', en: 'State of Berlin' } }],
}
const city = (record: MmdbValue = BERLIN, builtAt = Date.UTC(2026, 10, 20) / 1_000): Buffer =>
  writeMmdb({
    type: 'GeoLite2-City',
    builtAt,
    networks: { '203.0.113.0/24': record, '198.51.100.7/32': { country: { iso_code: 'AT' } }, '2001:db8::/32': record },
  })

describe('a City database', () => {
  const geo = new GeoReader(readGeoDatabase(city()))

  it.each([
    ['203.0.113.9', { country: 'DE', region: 'DE-BE', regionName: 'State of Berlin', city: 'Berlin' }],
    ['203.0.113.255', { country: 'DE', region: 'DE-BE', regionName: 'State of Berlin', city: 'Berlin' }],
    ['2001:db8::1', { country: 'DE', region: 'DE-BE', regionName: 'State of Berlin', city: 'Berlin' }],
    ['198.51.100.7', { ...NOWHERE, country: 'AT' }],
    ['198.51.100.8', NOWHERE],
    ['203.0.114.1', NOWHERE],
    ['10.0.0.1', NOWHERE],
    ['::1', NOWHERE],
    ['', NOWHERE],
    ['localhost', NOWHERE],
    ['203.0.113', NOWHERE],
  ])('tells where %j is', (ip, expected) => {
    expect(geo.locate(ip)).toEqual(expected)
  })

  it('says what it is', () => {
    expect(geo.version).toBe('GeoLite2-City 2026-11-20')
    expect(geo.attribution).toContain('https://www.maxmind.com')
  })
})

describe('placeOf, through a database', () => {
  const placeIn = (record: MmdbValue) => new GeoReader(readGeoDatabase(city(record))).locate('203.0.113.1')

  it.each([
    ['a flat record of a country', { country_code: 'US' }, { ...NOWHERE, country: 'US' }],
    [
      'a flat record of a city',
      { country_code: 'US', state1: 'Texas', state2: 'Travis', city: 'Austin', latitude: 'x' },
      { country: 'US', region: '', regionName: 'Texas', city: 'Austin' },
    ],
    [
      'a region without a code (DB-IP Lite)',
      { country: { iso_code: 'FR' }, subdivisions: [{ names: { en: 'Brittany' } }] },
      { country: 'FR', region: '', regionName: 'Brittany', city: '' },
    ],
    [
      'the larger of two regions',
      { country: { iso_code: 'GB' }, subdivisions: [{ iso_code: 'ENG' }, { iso_code: 'KEN' }] },
      { country: 'GB', region: 'GB-ENG', regionName: '', city: '' },
    ],
    [
      'names that are not in English',
      { country: { iso_code: 'JP' }, city: { names: { ja: '京都' } } },
      { country: 'JP', region: '', regionName: '', city: '京都' },
    ],
    ['no country', { continent: { code: 'EU' }, city: { names: { en: 'Atlantis' } } }, NOWHERE],
    ['a registered country only', { registered_country: { iso_code: 'NL' } }, NOWHERE],
    ['codes that are none', { country: { iso_code: 'Germany' } }, NOWHERE],
    ['texts where records should be', { country: 'DE', subdivisions: 'BE', city: 'Berlin' }, NOWHERE],
    ['nothing', {}, NOWHERE],
  ])('reads %s', (_, record, expected) => {
    expect(placeIn(record as MmdbValue)).toEqual(expected)
  })
})

describe('a database of IPv4 alone', () => {
  it('knows no address of IPv6', () => {
    const database = writeMmdb({
      type: 'T',
      builtAt: 0,
      ipVersion: 4,
      networks: { '0.0.0.0/1': { country_code: 'DE' } },
    })
    const geo = new GeoReader(readGeoDatabase(database))
    expect([geo.locate('1.2.3.4').country, geo.locate('::1').country, geo.locate('2001:db8::1').country]).toEqual([
      'DE',
      '',
      '',
    ])
  })
})

describe('the built-in database', () => {
  it('tells countries of both families, and names its sources', async () => {
    const geo = new GeoReader(await openGeoFile(builtInGeoFile()))
    // Google and Quad9 publish where these are: developers.google.com/speed/public-dns, quad9.net.
    expect([geo.locate('8.8.8.8').country, geo.locate('2001:4860:4860::8888').country]).toEqual(['US', 'US'])
    expect(geo.locate('193.0.6.139').country).toBe('NL') // ripe.net
    for (const ip of ['192.168.0.1', '10.1.2.3', '127.0.0.1', '203.0.113.9', 'fd00::1', 'fe80::1', '::1'])
      expect(geo.locate(ip)).toEqual(NOWHERE)
    expect(geo.version).toMatch(/^country ipvAll \d{4}-\d{2}-\d{2}$/)
    expect(geo.attribution).toContain('https://www.nro.net')
  })
})

describe('isReserved', () => {
  it.each([
    ['0.1.2.3', '10.9.8.7', '100.64.0.1', '127.9.9.9', '169.254.1.1', '172.31.255.255', '192.0.0.8', '192.0.2.1'],
    ['192.168.99.1', '198.18.0.1', '198.19.255.255', '198.51.100.1', '203.0.113.1', '224.0.0.1', '255.255.255.255'],
    ['::', '::1', '100::1', '2001:db8::1', 'fc00::1', 'FD12::1', 'fe80::1', 'febf::1', 'ff02::1'],
  ])('knows %s and others', (...ips) => {
    expect(ips.filter((ip) => !isReserved(ip))).toEqual([])
  })

  it.each([
    ['1.1.1.1', '8.8.8.8', '11.0.0.1', '100.63.255.255', '100.128.0.1', '126.1.1.1', '172.15.0.1', '172.32.0.1'],
    ['192.0.1.1', '192.169.0.1', '198.17.0.1', '198.20.0.1', '203.0.114.1', '223.255.255.255'],
    ['2001:4860:4860::8888', '2a00::1', '2001:db9::1', '1000::1', 'fec0:not:an:address'],
  ])('leaves %s and others alone', (...ips) => {
    expect(ips.filter((ip) => isReserved(ip))).toEqual([])
  })
})

describe('GeoReader', () => {
  it('never throws, and says the same of the same', () => {
    const geo = new GeoReader(readGeoDatabase(city()), 10)
    const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ unit: 'binary' }), fc.constant('203.0.113.77'))
    fc.assert(
      fc.property(address, (ip) => {
        expect(geo.locate(ip)).toEqual(geo.locate(ip))
      }),
    )
  })

  it('stays bounded under a flood of addresses', () => {
    const geo = new GeoReader(readGeoDatabase(city()), 50)
    for (let i = 0; i < 500; i++) geo.locate(`10.0.${i >> 8}.${i & 255}`)
    expect(geo.size).toBe(50)
  })

  it('knows nothing without a database', () => {
    expect([new GeoReader(null).locate('203.0.113.1'), new GeoReader(null).version]).toEqual([NOWHERE, ''])
  })
})

describe('attributionOf', () => {
  it.each([
    ['GeoLite2-City', 'MaxMind'],
    ['GeoLite2-Country', 'MaxMind'],
    ['GeoIP2-City', 'MaxMind'],
    ['DBIP-City-Lite', 'DB-IP'],
    ['country ipvAll', 'Number Resource Organization'],
  ])('of %s names %s', (type, name) => {
    expect(attributionOf(type)).toContain(name)
  })

  it('is empty for others', () => {
    expect(attributionOf('My-Networks')).toBe('')
  })
})

describe('followGeoFile', () => {
  const path = join(folder, 'city.mmdb')
  const replace = (bytes: Buffer): void => {
    writeFileSync(`${path}.new`, bytes)
    renameSync(`${path}.new`, path)
  }
  const facts = () => {
    const opened: string[] = []
    const refused: unknown[] = []
    return {
      ...{ opened, refused },
      geoOpened: (version: string) => void opened.push(version),
      geoRefused: (error: unknown) => void refused.push(error),
    }
  }

  it('uses a replaced file, keeps the old one while a new one is broken or missing, and recovers', async () => {
    replace(city())
    const told = facts()
    const { geo, close } = await followGeoFile(path, told, 10)
    expect(geo.locate('203.0.113.9').city).toBe('Berlin')

    replace(city({ country: { iso_code: 'CH' } }, Date.UTC(2026, 10, 27) / 1_000))
    await waitUntil('the new file is in use', () => told.opened.length === 2)
    expect([geo.locate('203.0.113.9').country, geo.version]).toEqual(['CH', 'GeoLite2-City 2026-11-27'])

    replace(Buffer.from('half a download'))
    await waitUntil('the broken file is refused', () => told.refused.length === 1)
    expect(geo.locate('203.0.113.9').country).toBe('CH')

    rmSync(path)
    replace(city({ country: { iso_code: 'IT' } }, Date.UTC(2026, 11, 4) / 1_000))
    await waitUntil('the third file is in use', () => told.opened.length === 3)
    expect(geo.locate('203.0.113.9').country).toBe('IT')
    await close()
  })

  it('does not start with a file that cannot be read', async () => {
    await expect(followGeoFile(join(folder, 'missing.mmdb'), facts())).rejects.toThrow(/missing\.mmdb cannot be read/)
    const cut = join(folder, 'cut.mmdb')
    writeFileSync(cut, city().subarray(0, 40))
    await expect(followGeoFile(cut, facts())).rejects.toThrow(/cut\.mmdb cannot be read/)
  })
})
