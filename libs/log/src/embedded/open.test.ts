import { once } from 'node:events'
import { appendFileSync, existsSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { AppendInDoubt } from '../event-log.ts'
import { attachEmbeddedLog, type EmbeddedLog, type EmbeddedLogOptions, openEmbeddedLog } from './open.ts'
import { threadEntry } from './thread-entry.ts'
import { removeTemporaryFolders, SPEC, temporaryFolder } from './topic-log.fixture.ts'

const text = (value: string) => ({ value: Buffer.from(value) })
const one = (value: string) => new Map([[0, [text(value)]]])
const opened = new Set<EmbeddedLog>()

async function open(options: Partial<EmbeddedLogOptions> & { dir: string }): Promise<EmbeddedLog> {
  const log = await openEmbeddedLog({ hitPartitions: 2, topics: [SPEC], ...options })
  opened.add(log)
  return log
}

async function readAll(log: Pick<EmbeddedLog, 'reader'>): Promise<string[]> {
  const values: string[] = []
  for await (const batch of log.reader().read(SPEC.name, 0, 0, 1e9))
    values.push(...batch.map(({ value }) => String(value)))
  return values
}

afterEach(async () => {
  for (const log of opened) await log.close()
  opened.clear()
})
afterAll(removeTemporaryFolders)

describe('the embedded log', () => {
  it('refuses a folder that is open, and opens it after that was closed', async () => {
    const dir = temporaryFolder()
    const log = await open({ dir })
    await expect(open({ dir })).rejects.toThrow('already open')
    await log.close()
    await open({ dir })
  })

  it('says what it cut off', async () => {
    const dir = temporaryFolder()
    const log = await open({ dir })
    await log.producer().append(SPEC.name, one('kept'))
    expect(log.startNotices).toEqual([])
    await log.close()
    appendFileSync(join(dir, 'topics', SPEC.name, '0000000000000000.log'), 'torn')
    const again = await open({ dir })
    expect(again.startNotices).toEqual([
      { kind: 'tail_cut', topic: SPEC.name, text: expect.stringContaining('4 bytes') },
    ])
    expect(await readAll(again)).toEqual(['kept'])
  })

  it('stops following at any moment, also where nothing comes any more', async () => {
    const log = await open({ dir: temporaryFolder() })
    const turn = () => new Promise((done) => setImmediate(done))
    for (let turns = 0; turns < 600; turns += 3) {
      const following = log.reader().follow(SPEC.name, () => {})
      for (let i = 0; i < turns; i++) await turn()
      await following.stop()
    }
  })

  it('frees the folder when it cannot be opened', async () => {
    const dir = temporaryFolder()
    await (await open({ dir })).close()
    writeFileSync(join(dir, 'offsets'), 'damaged')
    for (const _ of [1, 2]) await expect(open({ dir })).rejects.toThrow('offsets is damaged')
    expect(existsSync(join(dir, 'lock'))).toBe(false)
  })

  it('refuses an existing topic with another number of partitions, and is closed then', async () => {
    const dir = temporaryFolder()
    const topics = [{ ...SPEC, partitions: 'hits' as const }]
    await (await open({ dir, topics })).close()
    await expect(open({ dir, topics, hitPartitions: 3 })).rejects.toThrow('has 2 partitions, not 3')
    await open({ dir, topics })
  })

  it('lets nothing expire while retention is held', async () => {
    const clock = new Float64Array(new SharedArrayBuffer(8))
    clock[0] = 1_000
    const log = await open({ dir: temporaryFolder(), clock, retentionHeld: true })
    await log.producer().append(SPEC.name, one('old'))
    clock[0] = 1e9
    await log.maintain()
    await log.producer().append(SPEC.name, one('young'))
    expect(await readAll(log)).toEqual(['old', 'young'])
    await log.releaseRetention()
    await log.maintain()
    expect(await readAll(log)).toEqual(['young'])
    clock[0] = 2e9
    await log.holdRetention()
    await log.maintain()
    expect(await readAll(log)).toEqual(['young'])
  })

  it('lets an idle reader keep no expired segment open', async () => {
    const clock = new Float64Array(new SharedArrayBuffer(8))
    clock[0] = 1_000
    const log = await open({ dir: temporaryFolder(), clock })
    await log.producer().append(SPEC.name, one('old'))
    const following = log.reader().follow(SPEC.name, () => {})
    await following.caughtUp
    clock[0] = 1e9
    await log.maintain()
    // The message of the removal comes before the answer.
    const openFiles = readdirSync('/proc/self/fd').flatMap((fd) => linkOf(`/proc/self/fd/${fd}`))
    expect(openFiles.filter((path) => path.includes('.log (deleted)'))).toEqual([])
    await following.stop()
  })

  it('reads on where it was while compaction rewrites the segments under it', async () => {
    const clock = new Float64Array(new SharedArrayBuffer(8))
    clock[0] = 1_000
    const topics = [{ ...SPEC, cleanup: 'compact' as const }]
    const log = await open({ dir: temporaryFolder(), clock, topics })
    const producer = log.producer()
    const value = Buffer.alloc(400_000)
    for (const key of ['a', 'b', 'a', 'c', 'a', 'd', 'b', 'a']) {
      await producer.append(SPEC.name, new Map([[0, [{ key: Buffer.from(key), value }]]]))
      clock[0]! += SPEC.segmentMs / 2
    }
    const read: number[] = []
    for await (const batch of log.reader().read(SPEC.name, 0, 0, 1e9)) {
      read.push(...batch.map(({ offset }) => offset))
      await log.maintain()
    }
    expect(read.slice(-4)).toEqual([3, 5, 6, 7])
    expect(new Set(read).size).toBe(read.length)
    const again: number[] = []
    for await (const batch of log.reader().read(SPEC.name, 0, 0, 1e9)) again.push(...batch.map(({ offset }) => offset))
    expect(again).toEqual([3, 5, 6, 7])
  })

  it('serves several threads, each record once and in its thread’s order; a thread that ends frees its groups', async () => {
    const log = await open({ dir: temporaryFolder() })
    const { url, execArgv } = threadEntry(new URL('./open.thread.ts', import.meta.url))
    const count = 50
    const threads = ['a', 'b', 'c'].map((name) => {
      const port = log.port()
      const workerData = { port, topic: SPEC.name, name, count }
      return new Worker(url, { execArgv, workerData, transferList: [port] })
    })
    const offsets: number[][] = await Promise.all(threads.map(async (thread) => (await once(thread, 'message'))[0]))
    const values = await readAll(log)
    expect(values).toHaveLength(3 * count)
    for (const [i, name] of ['a', 'b', 'c'].entries())
      expect(offsets[i]!.map((offset) => values[offset])).toEqual(offsets[i]!.map((_, n) => `${name}/${n}`))
    const handlers = { onAssigned: async () => {}, onBatch: async () => {}, onLost: async () => {} }
    await expect(log.consumer('a').run([SPEC.name], handlers)).rejects.toThrow('has a consumer')
    await threads[0]!.terminate()
    await vi.waitFor(() => log.consumer('a').run([SPEC.name], handlers))
    for (const thread of threads) await thread.terminate()
  })

  it('leaves an append in doubt when it closes before the answer', async () => {
    const log = await open({ dir: temporaryFolder() })
    const attached = attachEmbeddedLog({ port: log.port() })
    const producer = attached.producer()
    await producer.append(SPEC.name, one('before'))
    const late = expect(
      (async () => {
        while (true) await producer.append(SPEC.name, one('again'))
      })(),
    ).rejects.toThrow(AppendInDoubt)
    await log.close()
    await late
  })
})

function linkOf(path: string): string[] {
  try {
    return [readlinkSync(path)]
  } catch {
    return []
  }
}
