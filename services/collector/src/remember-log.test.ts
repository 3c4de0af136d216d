import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EventLog, openEmbeddedLog } from '@millrace/log'
import { CONFIG, HITS_RAW } from '@millrace/shared'
import { waitUntil } from '@millrace/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { rememberLog, remembers } from './remember-log.ts'

/** The log, until it is taken away: then every question about it fails, or is never answered. */
function shaky(log: EventLog) {
  const state: { away: 'no' | 'fails' | 'hangs'; partitions: number | null } = { away: 'no', partitions: null }
  const ask = async <T>(question: () => Promise<T>): Promise<T> => {
    if (state.away === 'hangs') return new Promise(() => {})
    if (state.away === 'fails') throw new Error('no broker answers')
    return question()
  }
  const admin = log.admin()
  const given: EventLog = {
    ...{ producer: () => log.producer(), consumer: (group) => log.consumer(group) },
    ...{ epoch: () => log.epoch(), close: () => log.close() },
    admin: () => ({
      ...admin,
      partitions: (topic) => ask(async () => state.partitions ?? (await admin.partitions(topic))),
      endOffsets: (topic) => ask(() => admin.endOffsets(topic)),
    }),
    reader: () => {
      const reader = log.reader()
      return {
        read: (...range) => reader.read(...range),
        close: () => reader.close(),
        follow(topic, onRecords) {
          if (state.away === 'no') return reader.follow(topic, onRecords)
          let end = (): void => {}
          const ended = new Promise<void>((resolve) => {
            end = resolve
          })
          const done = Promise.race([ended, ask(() => Promise.resolve())])
          done.catch(() => {})
          return { caughtUp: done, done, stop: async () => end() }
        },
      }
    },
  }
  return { given, state }
}

describe('rememberLog', () => {
  let dir: string
  let log: EventLog
  let file: string
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-remember-'))
    file = join(dir, 'spool', 'remembered.json')
    log = await openEmbeddedLog({ dir: join(dir, 'log'), topics: [HITS_RAW, CONFIG], hitPartitions: 6 })
  })
  afterEach(async () => {
    await log.close()
    rmSync(dir, { recursive: true, force: true })
  })

  const write = async (key: string, value: string | null): Promise<void> => {
    const producer = log.producer()
    const record = { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
    await producer.append(CONFIG.name, new Map([[0, [record]]]))
  }
  const failures: string[] = []
  const open = (given: EventLog): Promise<EventLog> =>
    rememberLog(given, { file, onFailure: (error) => failures.push(error.message), patienceMs: 20 })
  /** What a collector asks at its start; it goes on to follow. */
  async function start(given: EventLog) {
    const remembering = await open(given)
    const found: Record<string, string | null> = {}
    const reader = remembering.reader()
    const end = (await remembering.admin().endOffsets(CONFIG.name)).get(0)
    const following = reader.follow(CONFIG.name, (_, records) => {
      for (const { key, value } of records) found[String(key)] = value && String(value)
    })
    await following.caughtUp
    return { found, end, partitions: await remembering.admin().partitions(HITS_RAW.name), stop: () => following.stop() }
  }

  it.each(['fails', 'hangs'] as const)('gives a start what it gave the last one when the log %s', async (away) => {
    const { given, state } = shaky(log)
    await write('site/shop', '{"v":1}')
    await write('site/gone', '{"v":1}')
    await write('site/gone', null)
    await write('installation/1', '{"secret":"c2VjcmV0"}')
    const first = await start(given)
    await first.stop()
    expect(remembers(file)).toBe(true)

    state.away = away
    const second = await start(given)
    expect(second).toMatchObject({ found: { 'site/shop': '{"v":1}' }, end: 4, partitions: 6 })
    await second.stop()
    expect(readFileSync(file, 'utf8')).not.toContain('installation')
  })

  it('goes on with the log when that is back', async () => {
    const { given, state } = shaky(log)
    await write('site/shop', '{"v":1}')
    await (await start(given)).stop()
    state.away = 'fails'
    const { found, stop } = await start(given)
    await write('site/shop', '{"v":2}')
    state.away = 'no'
    await waitUntil('the newer record is known', () => found['site/shop'] === '{"v":2}')
    await stop()
    expect(failures).toEqual([])
  })

  it('says so when hits.raw turns out to have another number of partitions', async () => {
    const { given, state } = shaky(log)
    await (await start(given)).stop()
    state.away = 'fails'
    const { partitions, stop } = await start(given)
    expect(partitions).toBe(6)
    Object.assign(state, { away: 'no', partitions: 12 })
    await waitUntil('it is noticed', () => failures.length > 0)
    expect(failures).toEqual(['hits.raw has 12 partitions, not 6 as it had'])
    await stop()
    expect((await start(given)).partitions).toBe(12)
  })

  it('has nothing to say before the first start with a log', async () => {
    const { given, state } = shaky(log)
    state.away = 'fails'
    const remembering = await open(given)
    expect(remembers(file)).toBe(false)
    await expect(remembering.admin().partitions(HITS_RAW.name)).rejects.toThrow('no broker answers')
    expect(existsSync(file)).toBe(false)
  })
})
