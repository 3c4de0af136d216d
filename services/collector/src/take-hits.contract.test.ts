import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfigBook, type ConfigWriter, openConfigBook, openConfigWriter } from '@millrace/config'
import { type EventLog, openEmbeddedLog } from '@millrace/log'
import { TOPICS } from '@millrace/shared'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningCollector, runCollector } from './collector.fixture.ts'

const page = 'https://example.com/'

describe('a collector that follows millrace.config', () => {
  let dir: string
  let log: EventLog
  let book: ConfigBook
  let writer: ConfigWriter
  let collector: RunningCollector
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'config-'))
    log = await openEmbeddedLog({ dir, topics: TOPICS, hitPartitions: 1 })
    book = await openConfigBook(log)
    writer = openConfigWriter(log, book)
    collector = await runCollector({}, { config: book })
  })
  afterAll(async () => {
    await collector.close()
    await writer.close()
    await book.close()
    await log.close()
    await rm(dir, { recursive: true })
  })

  async function send(hit: object, key?: string): Promise<[status: number, code: unknown]> {
    const response = await fetch(`${collector.url}/v1/hits`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
      body: JSON.stringify(hit),
    })
    return [response.status, ((await response.json()) as { code?: string }).code]
  }

  it('it takes hits of a site from the moment on that it is there, and by its settings', async () => {
    expect(await send({ site: 'blog', url: page })).toEqual([404, 'site_unknown'])
    await writer.addSite('blog', {})
    expect(await send({ site: 'blog', url: page })).toEqual([202, undefined])
    expect(await collector.lines()).toMatchObject([{ site: 'blog', config_at: book.at() }])
    await writer.changeSite('blog', { hostnames: ['example.org'] })
    expect(await send({ site: 'blog', url: page })).toEqual([403, 'hostname_not_allowed'])
    await writer.removeSite('blog')
    expect(await send({ site: 'blog', url: page })).toEqual([404, 'site_unknown'])
  })

  it('it trusts a key until it is revoked', async () => {
    await writer.addSite('shop', { ingest_key_required: true })
    const { key, text } = await writer.addKey({ name: 'server', scopes: ['ingest'], sites: ['shop'] })
    expect(await send({ url: page, ip: '203.0.113.1' }, text)).toEqual([202, undefined])
    expect(await collector.lines()).toMatchObject([{ site: 'shop', trust: 'secret', ip: '203.0.113.1' }])
    expect(await send({ site: 'shop', url: page })).toEqual([401, 'unauthorized'])
    await writer.revokeKey(key.id)
    expect(await send({ url: page }, text)).toEqual([401, 'unauthorized'])
  })
})
