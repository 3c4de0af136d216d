import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppendInDoubt, type EventLog, type LogProducer, type LogReader } from '@millrace/log'
import { createLogger, createServer, type Server } from '@millrace/server'
import { HITS_RAW, type RawLine } from '@millrace/shared'
import { EVERY_SITE } from '../config.fixture.ts'
import { settingsWith } from '../settings.fixture.ts'
import { type Collector, type CollectorOptions, startCollector } from '../start.ts'

/**
 * What the log does with an append: `works`; `fails`; `loses_answers` = writes it and fails; `hangs` until the weather
 * changes, and then does it; a number = works after so many milliseconds.
 */
export type Weather = 'works' | 'fails' | 'loses_answers' | 'hangs' | number

/** The real log in bad weather. */
export class ShakyLog {
  readonly log: EventLog
  #weather: Weather = 'works'
  #change: () => void = () => undefined
  #changed: Promise<void> = Promise.resolve()
  /** How often somebody began to read the log. */
  readers = 0
  /** Appends that have begun. */
  appends = 0
  /** Told of the number of appends that the log has done. */
  onAppended: (count: number) => void = () => undefined
  #done = 0

  constructor(real: EventLog) {
    const producer = (): LogProducer => {
      const inner = real.producer()
      return {
        append: (topic, records) => this.#append(() => inner.append(topic, records)),
        close: () => inner.close(),
      }
    }
    const reader = (): LogReader => {
      this.readers++
      return real.reader()
    }
    this.log = Object.assign(Object.create(real) as EventLog, { producer, reader })
  }

  set weather(weather: Weather) {
    this.#weather = weather
    this.#change()
    this.#changed = new Promise((done) => {
      this.#change = done
    })
  }

  async #append(append: () => Promise<Map<number, number>>): Promise<Map<number, number>> {
    this.appends++
    const weather = this.#weather
    if (weather === 'hangs') await this.#changed
    else if (typeof weather === 'number') await sleep(weather)
    else if (weather === 'fails') throw new AppendInDoubt('it fails now')
    const offsets = await append()
    this.onAppended(++this.#done)
    if (weather === 'loses_answers') throw new AppendInDoubt('the answer is lost')
    return offsets
  }
}

export interface RunningCollector {
  readonly url: string
  readonly server: Server
  readonly collector: Collector
  /** Log lines. */
  readonly logged: string[]
  close(): Promise<void>
}

/** A collector on a port of its own. */
export async function runCollector(
  log: EventLog,
  spoolDir: string,
  more: Partial<CollectorOptions> & { maxMb?: number } = {},
): Promise<RunningCollector> {
  const logged: string[] = []
  const logger = createLogger('info', 'collector', { write: (line) => void logged.push(line) })
  const server = createServer({ host: '127.0.0.1', port: 0, name: 'collector', logger })
  const { maxMb = 2048, ...options } = more
  const settings = settingsWith({ MILLRACE_SPOOL_MAX_MB: maxMb })
  const collector = await startCollector({ log, config: EVERY_SITE, server, settings, spoolDir, ...options })
  const url = await server.listen()
  const close = async (): Promise<void> => {
    await collector.close()
    await server.close()
  }
  return { url, server, collector, logged, close }
}

/** Sends one hit; resolves with its status. */
export async function send(url: string, hitId: string, visitor = 'visitor', path = '/'): Promise<number> {
  const response = await fetch(`${url}/v1/hits`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': visitor },
    body: JSON.stringify({ site: 'blog', hit_id: hitId, url: `https://example.com${path}` }),
  })
  await response.arrayBuffer()
  return response.status
}

/** Sends `count` hits of one visitor, one after another, and gives the ids of those that were accepted. */
export async function sendMany(url: string, count: number, visitor: string): Promise<string[]> {
  const accepted: string[] = []
  for (let i = 0; i < count; i++) {
    const id = randomUUID()
    if ((await send(url, id, visitor, `/${visitor}/${i}`)) === 202) accepted.push(id)
  }
  return accepted
}

/** Every line of hits.raw, partition by partition in the order of the log. */
export async function rawLines(log: EventLog): Promise<(RawLine & { partition: number; appendedAt: number })[]> {
  const lines: (RawLine & { partition: number; appendedAt: number })[] = []
  const reader = log.reader()
  for (const [partition, end] of await log.admin().endOffsets(HITS_RAW.name))
    for await (const records of reader.read(HITS_RAW.name, partition, 0, end))
      for (const { value, timestamp } of records)
        for (const text of value!.toString().split('\n').slice(0, -1))
          lines.push({ ...(JSON.parse(text) as RawLine), partition, appendedAt: timestamp })
  await reader.close()
  return lines
}

/** The hit_ids of hits.raw, by visitor in the order of the log. */
export async function idsInLog(log: EventLog): Promise<Map<string, string[]>> {
  const ids = new Map<string, string[]>()
  for (const { user_agent, hits } of await rawLines(log)) {
    const known = ids.get(user_agent) ?? []
    ids.set(user_agent, [...known, ...hits.map(({ hit_id }) => hit_id)])
  }
  return ids
}

/** A metric of a server, 0 where it was never counted. */
export async function metric({ server }: RunningCollector, name: string): Promise<number> {
  const text = await server.registry.getSingleMetricAsString(`millrace_collector_${name}`)
  return Number(/^millrace\S* (\S+)$/m.exec(text)?.[1] ?? 0)
}

/** Waits until `holds`; the time limit of the test is the only one. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(5)
}

/** Waits until nothing waits in the spool. */
export const drained = (collector: RunningCollector): Promise<void> =>
  until(async () => (await metric(collector, 'spool_bytes')) === 0)
