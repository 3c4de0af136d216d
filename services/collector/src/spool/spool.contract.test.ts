import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedLog } from '@millrace/log'
import { HITS_RAW, partitionFor } from '@millrace/shared'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { batchAppends, DEFAULT_LIMITS } from '../batch-appends.ts'
import { silentFacts } from '../silent.fixture.ts'
import { drainSpool } from './drain-spool.ts'
import { openSpool } from './open-spool.ts'
import {
  drained,
  idsInLog,
  metric,
  type RunningCollector,
  rawLines,
  runCollector,
  ShakyLog,
  send,
  sendMany,
  until,
  type Weather,
} from './spool.lab.fixture.ts'

let dir: string
let shaky: ShakyLog
let closeLog: () => Promise<void>

async function openLog(hitPartitions = 4): Promise<void> {
  const log = await openEmbeddedLog({ dir: join(dir, 'log'), topics: [HITS_RAW], hitPartitions })
  shaky = new ShakyLog(log)
  closeLog = () => log.close()
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'spool-'))
  await openLog()
})

afterEach(async () => {
  await closeLog()
  await rm(dir, { recursive: true, force: true })
})

async function start(name = 'spool', more: Parameters<typeof runCollector>[2] = {}): Promise<RunningCollector> {
  const collector = await runCollector(shaky.log, join(dir, name), more)
  let closed: Promise<void> | undefined
  const close = collector.close
  collector.close = () => {
    closed ??= close()
    return closed
  }
  onTestFinished(async () => {
    shaky.weather = 'works'
    await collector.close()
  })
  return collector
}

const spoolFiles = (name = 'spool'): Promise<string[]> =>
  readdir(join(dir, name)).then((names) => names.filter((each) => each.endsWith('.spool')))

const readyz = async ({ url }: RunningCollector): Promise<{ status: number; text: string }> => {
  const response = await fetch(`${url}/readyz`)
  return { status: response.status, text: await response.text() }
}

describe('a log that does not answer', () => {
  it('it answers 202 while the log hangs, and brings everything into it once, in order', async () => {
    const collector = await start()
    shaky.weather = 'hangs'
    const ids = await sendMany(collector.url, 20, 'anna')
    expect(ids).toHaveLength(20)
    expect(await rawLines(shaky.log)).toEqual([])
    expect(await metric(collector, 'spool_bytes')).toBeGreaterThan(0)
    expect((await readyz(collector)).status).toBe(200)

    shaky.weather = 'works'
    await drained(collector)
    const found = await idsInLog(shaky.log)
    expect(found.get('anna')).toEqual(ids)
    expect(await spoolFiles()).toEqual([])
    expect(await metric(collector, 'spooled_hits_total')).toBe(20)
  })

  it('it takes the late acknowledgement for an answer, and does not search the log', async () => {
    const collector = await start()
    shaky.weather = 'hangs'
    const id = randomUUID()
    expect(await send(collector.url, id)).toBe(202)
    shaky.weather = 'works'
    await drained(collector)
    expect((await rawLines(shaky.log)).map(({ hits }) => hits[0]!.hit_id)).toEqual([id])
    expect(await metric(collector, 'spool_left_out_hits_total')).toBe(1)
    expect(await metric(collector, 'spool_drained_hits_total')).toBe(0)
    expect(shaky.readers).toBe(1) // rawLines
  })

  it('it says spooled on what it brings from the spool, and keeps its time', async () => {
    let now = Date.now()
    const collector = await start('spool', { clock: () => now })
    const direct = await sendMany(collector.url, 1, 'anna')
    shaky.weather = 'fails'
    now += 1_000
    const later = await sendMany(collector.url, 2, 'anna')
    now += 60_000
    shaky.weather = 'works'
    await drained(collector)
    const lines = await rawLines(shaky.log)
    expect(lines.map(({ hits, spooled }) => [hits[0]!.hit_id, spooled])).toEqual([
      [direct[0], undefined],
      [later[0], true],
      [later[1], true],
    ])
    expect(lines.map(({ collected_at }) => now - collected_at)).toEqual([61_000, 60_000, 60_000])
  })

  it('it leaves out what had arrived although the log said that it failed', async () => {
    const collector = await start()
    shaky.weather = 'loses_answers'
    const ids = await sendMany(collector.url, 30, 'anna')
    expect(ids).toHaveLength(30)
    shaky.weather = 'works'
    await drained(collector)
    expect((await idsInLog(shaky.log)).get('anna')).toEqual(ids)
    expect(await metric(collector, 'spool_left_out_hits_total')).toBeGreaterThan(0)
  })

  it('it becomes empty also when there is never a moment without a new hit', async () => {
    const facts = silentFacts()
    const clock = Date.now
    const { spool, close } = await openSpool({ dir: join(dir, 'spool'), partitions: 4, maxBytes: 1e9, clock, facts })
    const producer = shaky.log.producer()
    const limits = { ...DEFAULT_LIMITS, spoolAfterMs: 5_000 }
    const sink = batchAppends(producer, HITS_RAW.name, limits, facts, spool)
    const drain = drainSpool({
      spool,
      log: shaky.log,
      producer,
      topic: HITS_RAW.name,
      partitions: 4,
      gate: sink,
      clock,
      facts,
    })
    let running = true
    onTestFinished(() => {
      running = false
    })
    const flood = async (): Promise<number> => {
      const puts: Promise<void>[] = []
      for (; running; await new Promise((turn) => setImmediate(turn)))
        puts.push(sink.put([{ partition: 0, text: `{"n":${puts.length},"user_agent":"flood","hits":[]}`, hits: 0 }]))
      await Promise.all(puts)
      return puts.length
    }
    shaky.weather = 'fails'
    const flooded = flood()
    await until(() => spool.state.bytes > 50_000)
    shaky.weather = 'works'
    await until(() => !spool.occupied)
    running = false
    const count = await flooded
    await sink.close()
    await drain.close(1_000)
    await close()
    const numbers = (await rawLines(shaky.log)).map((line) => (line as unknown as { n: number }).n)
    expect(numbers).toEqual([...Array(count).keys()])
  })

  it('it is exact in any weather, in the order of each sender, and the log gets hits directly again', async () => {
    const collector = await start('spool', { limits: { spoolAfterMs: 40 }, maxMb: 64 })
    const weathers: Weather[] = ['fails', 'works', 'loses_answers', 100, 'hangs', 'works', 'loses_answers', 20, 'fails']
    let running = true
    const visitors = [...Array(8).keys()].map((i) => `visitor ${i}`)
    const sending = Promise.all(
      visitors.map(async (visitor) => {
        const ids: string[] = []
        while (running) ids.push(...(await sendMany(collector.url, 5, visitor)))
        return ids
      }),
    )
    for (const weather of weathers) {
      shaky.weather = weather
      const target = (await metric(collector, 'hits_accepted_total')) + 150
      await until(async () => (await metric(collector, 'hits_accepted_total')) >= target)
    }
    shaky.weather = 'works'
    // Under load, too, the spool becomes empty.
    await drained(collector)
    running = false
    const ids = await sending
    await drained(collector)
    const found = await idsInLog(shaky.log)
    for (const [i, visitor] of visitors.entries()) expect(found.get(visitor)).toEqual(ids[i])
    expect(await metric(collector, 'spool_left_out_hits_total')).toBeGreaterThan(0)
    expect(await metric(collector, 'spool_drained_hits_total')).toBeGreaterThan(0)
    await sendMany(collector.url, 1, 'last')
    expect((await rawLines(shaky.log)).find(({ user_agent }) => user_agent === 'last')?.spooled).toBeUndefined()
  })
})

describe('a restart', () => {
  it('it brings the spool of an earlier run into the log first', async () => {
    const first = await start()
    shaky.weather = 'fails'
    const before = await sendMany(first.url, 10, 'anna')
    await first.close()
    expect(await spoolFiles()).toHaveLength(1)

    const second = await start()
    expect(second.logged.join()).toMatch(/"hits":10,.*the spool holds hits of an earlier run/)
    const after = await sendMany(second.url, 3, 'anna')
    shaky.weather = 'works'
    await drained(second)
    expect((await idsInLog(shaky.log)).get('anna')).toEqual([...before, ...after])
  })

  it('it leaves out what an earlier run brought into the log, and what came by another way', async () => {
    const first = await start()
    shaky.weather = 'fails'
    const ids = await sendMany(first.url, 10, 'anna')
    await first.close()
    shaky.weather = 'works'
    // The sender of two of them did not get the answer, and tried another collector.
    const other = await start('other')
    for (const id of ids.slice(3, 5)) expect(await send(other.url, id, 'anna')).toBe(202)

    const second = await start('spool', { spoolLimits: { windowBytes: 1 } })
    await drained(second)
    expect(await metric(second, 'spool_left_out_hits_total')).toBe(2)
    const found = (await idsInLog(shaky.log)).get('anna')!
    expect(found).toHaveLength(10)
    expect([...found].sort()).toEqual([...ids].sort())
  })

  it('it does not take the hit of somebody else with the same hit_id for its own', async () => {
    const first = await start()
    const id = randomUUID()
    shaky.weather = 'fails'
    for (const visitor of ['anna', 'berta']) expect(await send(first.url, id, visitor)).toBe(202)
    await first.close()
    shaky.weather = 'works'
    const other = await start('other')
    expect(await send(other.url, id, 'anna')).toBe(202)
    await drained(await start())
    expect(await idsInLog(shaky.log)).toEqual(
      new Map([
        ['anna', [id]],
        ['berta', [id]],
      ]),
    )
  })

  it('it searches once for many segments that survived', async () => {
    const first = await start('spool', { maxMb: 1 })
    shaky.weather = 'fails'
    const ids = await sendMany(first.url, 400, 'anna')
    await first.close()
    expect((await spoolFiles()).length).toBeGreaterThan(2)
    const { readers } = shaky
    shaky.weather = 'works'
    const second = await start('spool', { maxMb: 1 })
    await drained(second)
    expect(shaky.readers - readers).toBe(1)
    expect((await idsInLog(shaky.log)).get('anna')).toEqual(ids)
  })

  it('it finds the partitions anew when the log has another number of them', async () => {
    const first = await start()
    shaky.weather = 'fails'
    const ids = await Promise.all([...Array(20).keys()].map((i) => sendMany(first.url, 1, `visitor ${i}`)))
    await first.close()
    await closeLog()
    await rename(join(dir, 'log'), join(dir, 'old'))
    await openLog(7)
    const second = await start()
    await drained(second)
    const lines = await rawLines(shaky.log)
    expect(new Set(lines.map(({ hits }) => hits[0]!.hit_id))).toEqual(new Set(ids.flat()))
    for (const { partition, site, ip, user_agent } of lines)
      expect(partition).toBe(partitionFor(site, `${ip}\0${user_agent}`, 7))
  })

  it('it does not share its folder', async () => {
    await start()
    await expect(start()).rejects.toThrow('already open')
  })

  it('it closes although the log hangs, and loses nothing', async () => {
    const first = await start()
    shaky.weather = 'hangs'
    const answer = sendMany(first.url, 1, 'anna')
    await until(() => shaky.appends === 1)
    await first.collector.close()
    const ids = await answer
    expect(ids).toHaveLength(1)
    shaky.weather = 'works'
    const second = await start()
    await drained(second)
    expect((await idsInLog(shaky.log)).get('anna')).toEqual(ids)
  })
})

describe('limits', () => {
  it('it is not ready at 80 %, refuses at 100 %, and has lost nothing of what it took', async () => {
    const collector = await start('spool', { maxMb: 1 })
    shaky.weather = 'fails'
    const accepted: string[] = []
    const alarmed: boolean[] = []
    for (let refused = 0; refused < 3; ) {
      const id = randomUUID()
      const status = await send(collector.url, id, 'a'.repeat(2_000))
      if (status === 202) accepted.push(id)
      else refused++
      alarmed.push((await readyz(collector)).status === 503)
    }
    const share = alarmed.indexOf(true) / alarmed.length
    expect(share).toBeGreaterThan(0.75)
    expect(share).toBeLessThan(0.85)
    expect((await readyz(collector)).text).toMatch(/spool: holds \d+ of 1048576 bytes/)
    const answer = await fetch(`${collector.url}/v1/hits`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"url":"https://example.com/"}',
    })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await answer.json()).toMatchObject({ code: 'log_unavailable', detail: expect.stringContaining('full') })

    shaky.weather = 'works'
    await drained(collector)
    expect((await readyz(collector)).status).toBe(200)
    expect([...(await idsInLog(shaky.log)).values()]).toEqual([accepted])
    expect(await sendMany(collector.url, 1, 'anna')).toHaveLength(1)
  })

  it('it refuses while the oldest hit is 6 h old, and says before that it will', async () => {
    let now = Date.now()
    const collector = await start('spool', { clock: () => now })
    shaky.weather = 'fails'
    const first = await sendMany(collector.url, 1, 'anna')
    now += 4 * 3_600_000
    const second = await sendMany(collector.url, 1, 'anna')
    expect((await readyz(collector)).status).toBe(200)
    now += 3_600_000
    expect((await readyz(collector)).text).toContain('spool: its oldest hits have waited for 300 minutes')
    expect(await metric(collector, 'spool_oldest_seconds')).toBeCloseTo(18_000, 0)
    const third = await sendMany(collector.url, 1, 'anna')
    now += 3_600_000
    expect(await send(collector.url, randomUUID())).toBe(503)
    shaky.weather = 'works'
    await drained(collector)
    expect(await metric(collector, 'spool_oldest_seconds')).toBe(0)
    const last = await sendMany(collector.url, 1, 'anna')
    expect((await idsInLog(shaky.log)).get('anna')).toEqual([...first, ...second, ...third, ...last])
  })

  it('it refuses what it cannot write, keeps what it has, and goes on by itself', async () => {
    const collector = await start('spool', { maxMb: 1 })
    shaky.weather = 'fails'
    const before = await sendMany(collector.url, 1, 'a'.repeat(2_000))
    // The next segment cannot be made: its folder is away.
    await rename(join(dir, 'spool'), join(dir, 'away'))
    const accepted = [...before]
    for (let status = 202; status === 202; ) {
      const id = randomUUID()
      status = await send(collector.url, id, 'a'.repeat(2_000))
      if (status === 202) accepted.push(id)
      else expect(status).toBe(503)
    }
    expect((await readyz(collector)).text).toContain('spool: cannot be written: ENOENT')
    expect(collector.logged.join()).toContain('the spool cannot be written')
    await rename(join(dir, 'away'), join(dir, 'spool'))
    accepted.push(...(await sendMany(collector.url, 5, 'a'.repeat(2_000))))
    expect((await readyz(collector)).status).toBe(200)
    shaky.weather = 'works'
    await drained(collector)
    expect([...(await idsInLog(shaky.log)).values()]).toEqual([accepted])
  })

  it('it takes hits again when neither spool nor log could have them for a while', async () => {
    const collector = await start()
    await rm(join(dir, 'spool'), { recursive: true })
    shaky.weather = 'fails'
    expect(await send(collector.url, randomUUID())).toBe(503)
    shaky.weather = 'works'
    const direct = await sendMany(collector.url, 1, 'anna')
    shaky.weather = 'fails'
    expect(await send(collector.url, randomUUID())).toBe(503)
    await mkdir(join(dir, 'spool'))
    const spooled = await sendMany(collector.url, 2, 'anna')
    shaky.weather = 'works'
    await drained(collector)
    expect((await idsInLog(shaky.log)).get('anna')).toEqual([...direct, ...spooled])
  })
})

describe('two collectors', () => {
  it('it neither loses nor doubles when both drain into one log at once', async () => {
    // Small segments, and so many appends.
    const more = { maxMb: 1 }
    const a = await start('a', more)
    const b = await start('b', more)
    const ids: string[] = []
    const sendBoth = async (count: number): Promise<void> => {
      const each = [a, b].flatMap(({ url }, which) =>
        [...Array(6).keys()].map((i) => sendMany(url, count, `${which} ${i} `.padEnd(1_500, 'x'))),
      )
      ids.push(...(await Promise.all(each)).flat())
    }
    shaky.weather = 'loses_answers'
    await sendBoth(5)
    shaky.weather = 'fails'
    await sendBoth(30)
    await Promise.all([a.close(), b.close()])
    shaky.weather = 'hangs'
    const { appends } = shaky
    const again = [await start('a', more), await start('b', more)]
    await until(() => shaky.appends === appends + 2)
    shaky.weather = 'loses_answers'
    await until(() => shaky.appends >= appends + 6)
    shaky.weather = 'works'
    await Promise.all(again.map(drained))
    const found = [...(await idsInLog(shaky.log)).values()].flat()
    expect(found).toHaveLength(ids.length)
    expect(new Set(found)).toEqual(new Set(ids))
  })
})
