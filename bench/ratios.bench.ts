/**
 * `npm run bench -- ratios`: has something become slower? Every part is measured by turns with a calibrator that this code
 * cannot change, so that the speed of the machine and of the day cancels out. Exit 1 when the middle ratio of a part is more
 * than `--slack` (1.4) times the one in bench/ratios.json. Options: --rounds (5) --only enrich,log,store,single --record (writes the file).
 */
import {
  closeSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openEmbeddedLog } from '@millrace/log'
import { HITS_RAW } from '@millrace/shared'
import { migrate, openStore } from '@millrace/store'
import { freePort, startProduct } from '@millrace/testing'
import { enrichedBlocks, rawRecords } from './enriched-blocks.ts'
import { spawnLoad } from './load/index.ts'
import { loadBareServer } from './load-bare-server.ts'
import { cpuOfProcess } from './measure-process.ts'

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const { values: args } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    slack: { type: 'string', default: '1.4' },
    only: { type: 'string', default: 'enrich,log,store,single' },
    record: { type: 'boolean', default: false },
  },
})
const FILE = fileURLToPath(new URL('./ratios.json', import.meta.url))

/** A part that is watched, and what it is compared with. Both give a time or CPU for the same amount of work. */
interface Part {
  readonly against: string
  measure(): Promise<number> | number
  calibrate(): Promise<number> | number
  close(): Promise<void> | void
}

const cpuMs = (): number => cpuOfProcess(process.pid) / 1_000

/** CPU from raw lines to Native blocks, against JSON.parse of the same lines. */
function enriching(): Part {
  const records = rawRecords(20_000, 200)
  enrichedBlocks(records)
  return {
    against: 'JSON.parse of the same lines',
    measure: () => cpuOf(() => enrichedBlocks(records)),
    calibrate: () =>
      cpuOf(() => {
        for (const { value } of records) for (const line of value!.toString().trimEnd().split('\n')) JSON.parse(line)
      }),
    close: () => undefined,
  }
}

function cpuOf(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

const APPENDS = 400
const GROUP = Array.from({ length: 16 }, () => ({ value: Buffer.alloc(532, 97) }))

/** Time of appends of 16 records, each fsynced, against a write and fdatasync of as many bytes. */
async function logging(): Promise<Part> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-ratios-'))
  const log = await openEmbeddedLog({ dir: join(dir, 'log'), topics: [HITS_RAW], hitPartitions: 1 })
  const producer = log.producer()
  const fd = openSync(join(dir, 'plain'), 'w')
  const bytes = Buffer.concat(GROUP.map(({ value }) => value))
  return {
    against: 'write and fdatasync of as many bytes',
    async measure() {
      const startedAt = performance.now()
      for (let i = 0; i < APPENDS; i++) await producer.append(HITS_RAW.name, new Map([[0, GROUP]]))
      return performance.now() - startedAt
    },
    calibrate() {
      const startedAt = performance.now()
      for (let i = 0; i < APPENDS; i++) {
        writeSync(fd, bytes)
        fdatasyncSync(fd)
      }
      return performance.now() - startedAt
    },
    async close() {
      closeSync(fd)
      await log.close()
      rmSync(dir, { recursive: true })
    },
  }
}

const HASHING = 'SELECT sum(cityHash64(toString(number))) FROM numbers(4000000) SETTINGS max_threads = 1'

/** CPU of an insert of 20,000 hits with all views, against hashing in the same engine. */
async function storing(): Promise<Part> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-ratios-'))
  const store = await openStore({ dataDir })
  await migrate(store)
  const blocks = enrichedBlocks(rawRecords(20_000, 200))
  let round = 0
  return {
    against: 'hashing of 4,000,000 numbers by the engine',
    async measure() {
      // Merges of the round before are not counted to this one.
      for (const { name } of await store.targets()) await store.command(`TRUNCATE TABLE millrace.${name}`)
      const before = cpuMs()
      const logComment = `ratios ${round++}`
      await store.insert({ table: 'hits_in', blocks: blocks.map(({ hits }) => hits), logComment })
      await store.insert({ table: 'sessions_in', blocks: blocks.map(({ sessions }) => sessions), logComment })
      return cpuMs() - before
    },
    async calibrate() {
      const before = cpuMs()
      await store.query(HASHING)
      return cpuMs() - before
    },
    async close() {
      await store.close()
      rmSync(dataDir, { recursive: true })
    },
  }
}

/** Time of single hits through the whole process, against a bare node:http server under the same load. */
async function serving(): Promise<Part> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-ratios-'))
  const product = startProduct({
    dataDir,
    port: await freePort(),
    env: { MILLRACE_TRUSTED_PROXIES: '1' },
    sites: ['a'],
  })
  await product.ready()
  const load = { url: product.url, connections: 64, hitsPerRequest: [1], sites: ['a'], seconds: 5, visitors: 20_000 }
  await spawnLoad({ ...load, seed: 100 }).done
  let seed = 0
  const perHit = (hits: number, seconds: number): number => (1_000 * seconds) / hits
  return {
    against: 'a bare node:http server',
    async measure() {
      const { answeredHits, seconds } = await spawnLoad({ ...load, seed: seed++ }).done
      return perHit(answeredHits, seconds)
    },
    async calibrate() {
      const { answeredHits, seconds } = await loadBareServer(64)
      return perHit(answeredHits, seconds)
    },
    async close() {
      await product.stop()
      rmSync(dataDir, { recursive: true })
    },
  }
}

const PARTS: Readonly<Record<string, () => Promise<Part> | Part>> = {
  single: serving,
  log: logging,
  enrich: enriching,
  store: storing,
}

async function ratioOf(part: Part): Promise<number> {
  const ratios: number[] = []
  for (let round = 0; round < Number(args.rounds); round++)
    ratios.push((await part.measure()) / (await part.calibrate()))
  return ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)]!
}

const known = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, number>
const measured: Record<string, number> = {}
const slower: string[] = []
for (const [name, open] of Object.entries(PARTS)) {
  if (!args.only.split(',').includes(name)) continue
  const part = await open()
  const ratio = await ratioOf(part)
  await part.close()
  measured[name] = Number(ratio.toPrecision(3))
  const before = known[name]
  if (before !== undefined && ratio > before * Number(args.slack)) slower.push(name)
  console.log(
    `${name.padEnd(8)}${ratio.toFixed(2).padStart(8)} times ${part.against}; recorded: ${before ?? 'nothing'}`,
  )
}
if (args.record) writeFileSync(FILE, `${JSON.stringify({ ...known, ...measured }, null, 2)}\n`)
else if (slower.length > 0) console.error(`slower than recorded: ${slower.join(', ')}`)
process.exit(!args.record && slower.length > 0 ? 1 : 0)
