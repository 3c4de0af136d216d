import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedLog } from '@millrace/log'
import { createLogger, createServer, serveReference } from '@millrace/server'
import { HITS_RAW, type RawLine } from '@millrace/shared'
import { type ConfigFixture, configFixture } from './config.fixture.ts'
import { settingsWith } from './settings.fixture.ts'
import type { CollectorSettings } from './settings.ts'
import { type CollectorOptions, startCollector } from './start.ts'

/** A collector on a log of its own. */
export interface RunningCollector extends ConfigFixture {
  readonly url: string
  /** The lines that came into the log since it was asked last. */
  lines(): Promise<RawLine[]>
  /** Value of a metric, such as `millrace_collector_hits_refused_total{code="forbidden"}`; 0 = not counted yet. */
  metric(name: string): Promise<number>
  readonly logged: readonly string[]
  close(): Promise<void>
}

export async function runCollector(
  settings: Partial<CollectorSettings> = {},
  options: Partial<CollectorOptions> = {},
): Promise<RunningCollector> {
  const dir = await mkdtemp(join(tmpdir(), 'collector-'))
  const log = await openEmbeddedLog({ dir, topics: [HITS_RAW], hitPartitions: 2 })
  const logged: string[] = []
  const logger = createLogger('info', 'collector', { write: (line) => void logged.push(line) })
  const server = createServer({ host: '127.0.0.1', port: 0, name: 'collector', logger })
  const fixture = configFixture()
  const { config } = fixture
  const collector = await startCollector({ log, config, server, settings: settingsWith(settings), ...options })
  // It does not start unless every route is described.
  serveReference(server.app, 'test')
  const url = await server.listen()
  let seen = await log.admin().endOffsets(HITS_RAW.name)

  async function lines(): Promise<RawLine[]> {
    const found: RawLine[] = []
    for (const [partition, from] of seen) {
      for await (const records of log.reader().read(HITS_RAW.name, partition, from, Number.MAX_SAFE_INTEGER)) {
        for (const { value } of records) {
          for (const text of value!.toString().trimEnd().split('\n')) found.push(JSON.parse(text) as RawLine)
        }
      }
    }
    seen = await log.admin().endOffsets(HITS_RAW.name)
    return found
  }

  async function metric(name: string): Promise<number> {
    const text = await (await fetch(`${url}/metrics`)).text()
    const line = text.split('\n').find((one) => one.startsWith(`${name} `))
    return line === undefined ? 0 : Number(line.slice(name.length))
  }

  async function close(): Promise<void> {
    await collector.close()
    await server.close()
    await log.close()
    await rm(dir, { recursive: true })
  }

  return { ...fixture, url, lines, metric, logged, close }
}
