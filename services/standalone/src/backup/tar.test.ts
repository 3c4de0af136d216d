import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { afterAll, describe, expect, it } from 'vitest'
import { readTar, TarWriter } from './tar.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-tar-'))
afterAll(() => rmSync(dir, { recursive: true }))

const LONG = `store/${'a'.repeat(60)}/${'b'.repeat(60)}/data.bin`
const big = Buffer.alloc(700_001, 'x')

async function archive(): Promise<Buffer> {
  const path = join(dir, 'big')
  writeFileSync(path, big)
  const out = new PassThrough({ highWaterMark: 1 << 24 })
  const tar = new TarWriter(out)
  await tar.folder('store')
  await tar.bytes('store/empty', Buffer.alloc(0))
  await tar.bytes(LONG, Buffer.from('512 and a bit'.padEnd(513, '.')))
  await tar.link('metadata/millrace', '../store/d3c')
  await tar.file('big', path, big.length)
  await tar.end()
  out.end()
  return Buffer.concat(await out.toArray())
}

/** Pieces that no block and no file begins with. */
const inPieces = (bytes: Buffer, size: number): Readable =>
  Readable.from(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size)),
  )

describe('TarWriter and readTar', () => {
  it.each([7, 512, 100_000])('read back what was written, in pieces of %i bytes', async (size) => {
    const found: [string, string, number | string][] = []
    for await (const entry of readTar(inPieces(await archive(), size))) {
      const content = Buffer.concat(await Readable.from(entry.content).toArray())
      expect(content).toHaveLength(entry.size)
      found.push([entry.type, entry.name, entry.type === 'link' ? entry.target : entry.size])
    }
    expect(found).toEqual([
      ['folder', 'store', 0],
      ['file', 'store/empty', 0],
      ['file', LONG, 513],
      ['link', 'metadata/millrace', '../store/d3c'],
      ['file', 'big', big.length],
    ])
  })

  it('skip what is not read', async () => {
    const names: string[] = []
    for await (const { name } of readTar(inPieces(await archive(), 1_000))) names.push(name)
    expect(names).toHaveLength(5)
  })

  it.each([3_000, 5])('say that an archive is cut off (%i bytes missing)', async (missing) => {
    const bytes = (await archive()).subarray(0, -missing - 1_020)
    const read = async (): Promise<void> => {
      for await (const _ of readTar(inPieces(bytes, 4_096)));
    }
    await expect(read()).rejects.toThrow('cut off')
  })

  it('say that a header is damaged', async () => {
    const bytes = await archive()
    bytes[3]! ^= 1
    await expect(readTar(inPieces(bytes, 4_096)).next()).rejects.toThrow('damaged')
  })

  it('write what tar reads', async () => {
    writeFileSync(join(dir, 'a.tar'), await archive())
    const { status, stderr } = spawnSync('tar', ['-xf', 'a.tar'], { cwd: dir, encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
    expect(readFileSync(join(dir, LONG)).length).toBe(513)
    expect(readlinkSync(join(dir, 'metadata/millrace'))).toBe('../store/d3c')
  })
})
