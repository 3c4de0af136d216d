import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { GeoReader, readGeoDatabase } from '@millrace/enricher'
import { writeMmdb } from '@millrace/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fileFromTar } from './unpack-tar.ts'
import { updateGeo } from './update-geo.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-geo-update-'))
const target = join(folder, 'geo', 'GeoLite2-City.mmdb')
const KEY = { accountId: '4711', licenceKey: 'secret' }

/** A tar archive (ustar) of plain files and folders (names that end with `/`). */
function tar(files: Readonly<Record<string, Buffer>>): Buffer {
  const parts = Object.entries(files).flatMap(([name, content]) => {
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write(content.length.toString(8).padStart(11, '0'), 124)
    header.write(name.endsWith('/') ? '5' : '0', 156)
    header.write('ustar\x0000', 257)
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}
const city = (country: string, day: number): Buffer =>
  writeMmdb({
    type: 'GeoLite2-City',
    builtAt: Date.UTC(2026, 10, day) / 1_000,
    networks: { '203.0.113.0/24': { country: { iso_code: country } } },
  })
const archiveOf = (database: Buffer): Buffer =>
  gzipSync(
    tar({
      'GeoLite2-City_20261120/': Buffer.alloc(0),
      'GeoLite2-City_20261120/LICENSE.txt': Buffer.from('see maxmind.com'),
      'GeoLite2-City_20261120/GeoLite2-City.mmdb': database,
    }),
  )
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** What the server that plays the download answers with. */
let offered = { archive: archiveOf(city('DE', 20)), checksum: '', status: 200, cutAfter: Number.POSITIVE_INFINITY }
let asked: string[] = []
const offer = (archive: Buffer, more: Partial<typeof offered> = {}): void => {
  offered = { archive, checksum: sha256(archive), status: 200, cutAfter: Number.POSITIVE_INFINITY, ...more }
}

const server = createServer((request, response) => {
  const suffix = new URL(request.url!, 'http://x').searchParams.get('suffix')!
  asked.push(suffix)
  const isKnown = request.headers.authorization === `Basic ${Buffer.from('4711:secret').toString('base64')}`
  const status = isKnown ? offered.status : 401
  response.statusCode = status
  if (status !== 200) return response.end('no')
  if (suffix === 'tar.gz.sha256') return response.end(`${offered.checksum}  GeoLite2-City_20261120.tar.gz\n`)
  response.setHeader('content-length', offered.archive.length)
  if (offered.cutAfter >= offered.archive.length) return response.end(offered.archive)
  response.write(offered.archive.subarray(0, offered.cutAfter), () => response.destroy())
})
let url: string
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/geoip/databases/GeoLite2-City/download`
})
afterAll(() => {
  server.close()
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(() => {
  rmSync(join(folder, 'geo'), { recursive: true, force: true })
  asked = []
})

const countryIn = (path: string): string =>
  new GeoReader(readGeoDatabase(readFileSync(path))).locate('203.0.113.1').country

describe('updateGeo', () => {
  it('downloads, checks, unpacks and puts the database in its place', async () => {
    offer(archiveOf(city('DE', 20)))
    const progress: number[][] = []
    const update = { url, target, ...KEY, onProgress: (...step: number[]) => void progress.push(step) }
    expect(await updateGeo(update)).toEqual({
      changed: true,
      version: 'GeoLite2-City 2026-11-20',
      attribution: expect.stringContaining('MaxMind'),
    })
    expect(countryIn(target)).toBe('DE')
    expect(progress.at(-1)).toEqual([offered.archive.length, offered.archive.length])
    expect(readdirSync(join(folder, 'geo')).sort()).toEqual(['GeoLite2-City.mmdb', 'GeoLite2-City.mmdb.sha256'])
  })

  it('downloads nothing when there is nothing newer, and the new one when there is', async () => {
    offer(archiveOf(city('DE', 20)))
    await updateGeo({ url, target, ...KEY })
    asked = []
    expect(await updateGeo({ url, target, ...KEY })).toMatchObject({
      changed: false,
      version: 'GeoLite2-City 2026-11-20',
    })
    expect(asked).toEqual(['tar.gz.sha256'])
    offer(archiveOf(city('CH', 27)))
    expect(await updateGeo({ url, target, ...KEY })).toMatchObject({ changed: true })
    expect(countryIn(target)).toBe('CH')
  })

  it('downloads again what is gone', async () => {
    offer(archiveOf(city('DE', 20)))
    await updateGeo({ url, target, ...KEY })
    rmSync(target)
    expect(await updateGeo({ url, target, ...KEY })).toMatchObject({ changed: true })
  })

  it.each<[string, () => void, Partial<typeof KEY>, RegExp]>([
    [
      'a wrong key',
      () => offer(archiveOf(city('CH', 27))),
      { licenceKey: 'x' },
      /127\.0\.0\.1:\d+ refused: .*licence key/,
    ],
    ['an unknown database', () => offer(archiveOf(city('CH', 27)), { status: 404 }), {}, /no such database/],
    ['too many downloads', () => offer(archiveOf(city('CH', 27)), { status: 429 }), {}, /tomorrow/],
    ['a fault over there', () => offer(archiveOf(city('CH', 27)), { status: 502 }), {}, /answered 502/],
    ['a wrong checksum', () => offer(archiveOf(city('CH', 27)), { checksum: '0'.repeat(64) }), {}, /is damaged/],
    ['no checksum', () => offer(archiveOf(city('CH', 27)), { checksum: '<html>' }), {}, /no checksum/],
    ['a cut connection', () => offer(archiveOf(city('CH', 27)), { cutAfter: 100 }), {}, /broke off/],
    ['what is no archive', () => offer(Buffer.from('hello')), {}, /cannot be unpacked/],
    ['what is no tar archive', () => offer(gzipSync(Buffer.alloc(2048, 'x'))), {}, /no tar archive/],
    [
      'an archive that is cut off',
      () => offer(gzipSync(tar({ 'a.mmdb': city('CH', 27) }).subarray(0, 600))),
      {},
      /cut off/,
    ],
    [
      'an archive without a database',
      () => offer(gzipSync(tar({ 'README.txt': Buffer.from('x') }))),
      {},
      /no database/,
    ],
    ['what is no database', () => offer(archiveOf(Buffer.from('x'.repeat(100)))), {}, /cannot be read/],
  ])('leaves the file as it was after %s, and says so', async (_, prepare, key, message) => {
    offer(archiveOf(city('DE', 20)))
    await updateGeo({ url, target, ...KEY })
    prepare()
    await expect(updateGeo({ url, target, ...KEY, ...key })).rejects.toThrow(message)
    expect(countryIn(target)).toBe('DE')
    expect(readdirSync(join(folder, 'geo'))).toHaveLength(2)
  })

  it('never says the key', async () => {
    offer(archiveOf(city('DE', 20)), { status: 500 })
    await expect(updateGeo({ url, target, ...KEY })).rejects.not.toThrow(/secret/)
  })

  it('says where nobody answers, and where it cannot write', async () => {
    const nowhere = 'http://127.0.0.1:1/download'
    await expect(updateGeo({ url: nowhere, target, ...KEY })).rejects.toThrow(/127\.0\.0\.1:1 cannot be reached/)
    offer(archiveOf(city('DE', 20)))
    writeFileSync(join(folder, 'file'), '')
    await expect(updateGeo({ url, target: join(folder, 'file', 'x.mmdb'), ...KEY })).rejects.toThrow(
      /cannot be written/,
    )
  })
})

describe('fileFromTar', () => {
  it('finds a file behind others, and nothing in an empty archive', () => {
    const archive = tar({ 'a.txt': Buffer.alloc(700, 'a'), 'b.mmdb/': Buffer.alloc(0), 'c/d.mmdb': Buffer.from('d') })
    expect(fileFromTar(archive, '.mmdb')?.toString()).toBe('d')
    expect(fileFromTar(tar({}), '.mmdb')).toBeNull()
    expect(fileFromTar(Buffer.alloc(0), '.mmdb')).toBeNull()
  })
})
