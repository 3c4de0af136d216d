import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'

const script = fileURLToPath(new URL('update-spam-list.mjs', import.meta.url))
const shipped = fileURLToPath(new URL('../services/enricher/data/spam-referrers.txt', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'millrace-spam-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const update = (from: string, to: string): Promise<{ failed: boolean; out: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [script, '--from', from, '--to', to], (error, stdout, stderr) =>
      resolve({ failed: error !== null, out: stdout + stderr }),
    )
  })
const many = Array.from({ length: 600 }, (_, i) => `spam-${i}.example`)

describe('update-spam-list', () => {
  test('it sorts, leaves out what comes twice, what is no host and what people come from', async () => {
    const to = join(folder, 'list.txt')
    const list = ['B.example', 'a.example', 'a.example', '', 'https://c.example/', 'uptime.com', ...many].join('\r\n')
    const server = createServer((_request, response) => response.end(list)).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { failed, out } = await update(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, to)
    server.close()
    expect([failed, out]).toEqual([false, expect.stringContaining('left out, no hosts: https://c.example/')])
    const hosts = readFileSync(to, 'utf8')
      .trimEnd()
      .split('\n')
      .filter((line) => !line.startsWith('#'))
    expect(hosts).toEqual(['a.example', 'b.example', ...many].sort())
  })

  test('it leaves the file alone when what came is not the list', async () => {
    const [from, to] = [join(folder, 'short.txt'), join(folder, 'kept.txt')]
    writeFileSync(from, 'a.example\n')
    writeFileSync(to, 'before')
    const { failed, out } = await update(from, to)
    expect([failed, out, readFileSync(to, 'utf8')]).toEqual([true, expect.stringContaining('only 1 hosts'), 'before'])
    expect(readdirSync(folder)).not.toContain('kept.txt.new')
  })

  test('the list that is shipped is as the script makes it', async () => {
    const again = join(folder, 'again.txt')
    expect((await update(shipped, again)).failed).toBe(false)
    expect(readFileSync(again, 'utf8')).toBe(readFileSync(shipped, 'utf8'))
  })
})
