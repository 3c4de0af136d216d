import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type LoadProcess, type LoadReport, spawnLoad } from '@millrace/bench/load'
import { openKafkaLog } from '@millrace/log'
import { HITS_RAW } from '@millrace/shared'
import { faultsOf, query, waitUntil } from '@millrace/testing'
import { type Cluster, startCluster } from '../../../infra/cluster/cluster.mjs'
import type { VerifyReport } from '../../../services/standalone/src/verify/findings.ts'
import { type CheckReport, Findings } from '../check/findings.ts'
import { type CheckRequest, runCheck } from '../check/run-check.ts'
import { type Chance, chanceOf } from './chance.ts'
import { Crew, type Peaks } from './crew.ts'
import { type Evidence, readEvidence } from './evidence.ts'
import { type Fault, GROUND_FAULTS, type Scene, SERVICE_FAULTS } from './faults.ts'
import { plantedEnv } from './planted.mjs'
import { Poison } from './poison.ts'
import { runVerify } from './run-verify.ts'

export interface FaultOptions {
  /** How long things go wrong; every fault of the lists happens at least once, however long that takes. */
  readonly minutes: number
  readonly seed: number
  readonly nodes: 1 | 3
  /** Only faults whose names it finds. */
  readonly only: RegExp
  /** Offered hits per second. */
  readonly rate: number
  readonly partitions: number
  readonly longestStopMs: number
  readonly sessionTimeoutMinutes: number
  readonly zone: string
  /** Rules of the design that are switched off (planted.mjs). */
  readonly without: readonly string[]
  readonly say: (text: string) => void
}

export interface FaultResult {
  /** Fault -> how often it struck. */
  readonly struck: ReadonlyMap<string, number>
  readonly evidence: Evidence
  /** Services that ended by themselves and were started again. */
  readonly endings: readonly string[]
  readonly peaks: Peaks
  readonly load: LoadReport
  readonly report: CheckReport
  /** What `millrace verify` says. */
  readonly verified: VerifyReport
  readonly poisoned: number
  /** Checks the same cluster again, which goes on running without its services. `plant` falsifies the data first. */
  check(plant?: string): Promise<CheckReport>
  verify(): Promise<VerifyReport>
  /** Ends the cluster and removes its folder. */
  clean(): Promise<void>
  /** Ends the cluster, and says where its data and logs are. */
  keep(): Promise<void>
}

const SITES = ['shop', 'blog', 'docs']
const SPOOL_MB = 256
/** Of one service; the budget of the whole product in one process (performance). */
const MEMORY_BYTES = 2 ** 30
const SETTLE_MS = 600_000
/** An operator may have allowed more than hits.raw takes by itself: the enrichers have to bear what comes. */
const LARGEST_RAW_BYTES = 12 << 20
/** Short, so that inserts in doubt are many and checked during the run. */
const INSERT_DEADLINE_MS = 6_000
const SILENT = { debug: () => {}, warn: () => {} }

/** Loads the cluster, lets everything go wrong for a while, lets it recover, and compares everything that it holds. */
export async function faultRun(options: FaultOptions): Promise<FaultResult> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-faults-'))
  const { say } = options
  const cluster = await start(folder, options)
  const crew = new Crew(cluster, say)
  const end = async (): Promise<void> => {
    crew.stop()
    await cluster.stop()
  }
  const keep = async (): Promise<void> => {
    say(`the data and logs are in ${folder}`)
    await end()
  }
  const clean = async (): Promise<void> => {
    await end()
    rmSync(folder, { recursive: true, force: true })
  }
  let load: LoadProcess | undefined
  try {
    const journalPath = join(folder, 'journal')
    load = spawnLoad({ ...loadOf(options), url: cluster.url, journal: journalPath })
    const { struck, poison } = await strikeAll(options, cluster, crew)
    say('settling')
    await crew.ready()
    load.stop()
    const loaded = await load.done
    await settle(cluster, crew)
    const own = await checkBounds(cluster, crew, say)
    checkAnswers(own, loaded)
    const { evidence, named } = await readEvidence(cluster, crew.services)
    for (const service of crew.services) own.compared(PRIVATE, named.includes(service) ? 0 : 1)
    for (const service of named) own.wrong(PRIVATE, `the log lines of ${service}`)
    await endServices(cluster, crew)
    say('comparing')
    const request: CheckRequest = {
      ...{ brokers: cluster.brokers, clickhouseUrl: cluster.urlOf('clickhouse') },
      ...{ zone: options.zone, sessionTimeoutMs: options.sessionTimeoutMinutes * 60_000, journalPath },
      straight: poison.hitIds,
    }
    const check = async (plant?: string): Promise<CheckReport> =>
      both(await runCheck({ ...request, ...(plant && { plant }) }), own.report({}))
    const report = await check()
    say('millrace verify')
    const verify = () => runVerify(cluster, options)
    return {
      ...{ struck, evidence, endings: crew.endings, peaks: crew.peaks, load: loaded, poisoned: poison.records },
      ...{ report, verified: await verify(), check, verify, clean, keep },
    }
  } catch (error) {
    load?.stop()
    await keep().catch(() => {})
    throw error
  }
}

const TOLD = 'a hit that is not taken is told to come again (429, 5xx)'
const PRIVATE = 'I9 nothing behind the enricher holds an address or a user agent'

function start(dir: string, options: FaultOptions): Promise<Cluster> {
  const { nodes, partitions, zone, sessionTimeoutMinutes, without } = options
  return startCluster({
    ...{ dir, brokers: nodes },
    kafkaSettings: {
      // Leaders go back to where they were within seconds: that too is a move.
      'leader.imbalance.check.interval.seconds': 10,
      // On a machine that is busy a broker is silent for seconds: it must not lose what it leads by itself all the time.
      'broker.session.timeout.ms': 6_000,
      'broker.heartbeat.interval.ms': 500,
    },
    env: {
      MILLRACE_PARTITIONS: String(partitions),
      MILLRACE_TIMEZONE: zone,
      MILLRACE_SESSION_TIMEOUT_MINUTES: String(sessionTimeoutMinutes),
      MILLRACE_SPOOL_MAX_MB: String(SPOOL_MB),
      MILLRACE_INSERT_DEADLINE_MS: String(INSERT_DEADLINE_MS),
      ...plantedEnv(without),
    },
    prepare: (brokers) => makeRawTopic(brokers, partitions),
  })
}

async function makeRawTopic(brokers: readonly string[], partitions: number): Promise<void> {
  const log = await openKafkaLog({ brokers, logger: SILENT })
  await log.admin().ensureTopics([{ ...HITS_RAW, maxRecordBytes: LARGEST_RAW_BYTES }], partitions)
  await log.close()
}

function loadOf({ rate, seed }: FaultOptions) {
  return {
    ...{ rate, seed, sites: SITES, hitsPerRequest: [1, 10, 100], connections: 96, seconds: 7 * 86_400 },
    ...{ visitors: 5_000, maxHits: 200_000_000, delayed: 0.1, repeated: 0.02 },
  }
}

/** Both lists at once, until the time is over and each has been gone through. */
async function strikeAll(
  options: FaultOptions,
  cluster: Cluster,
  crew: Crew,
): Promise<{ struck: Map<string, number>; poison: Poison }> {
  const log = await openKafkaLog({ brokers: cluster.brokers, logger: SILENT })
  const poison = new Poison(log.producer(), options.partitions, chanceOf(options.seed + 1))
  const store = faultsOf(cluster.urlOf('clickhouse'))
  const scene = { cluster, crew, store, log, poison, longestStopMs: options.longestStopMs }
  const struck = new Map<string, number>()
  const startedAt = Date.now()
  const endsAt = startedAt + options.minutes * 60_000
  const lane = async (list: readonly Fault[], chance: Chance): Promise<void> => {
    const faults = list.filter(({ name }) => options.only.test(name))
    while (faults.length > 0) {
      for (const fault of chance.shuffled(faults)) {
        if (Date.now() > endsAt && faults.every(({ name }) => struck.has(name))) break
        await strike(fault, { ...scene, chance })
        struck.set(fault.name, (struck.get(fault.name) ?? 0) + 1)
        await sleep(chance.between(200, 1_500))
      }
      if (Date.now() > endsAt) return
    }
  }
  const strike = async (fault: Fault, at: Scene): Promise<void> => {
    const did = await fault.strike(at)
    options.say(`${String(Math.round((Date.now() - startedAt) / 1_000)).padStart(5)} s  ${fault.name}: ${did}`)
  }
  await Promise.all([lane(SERVICE_FAULTS, chanceOf(options.seed)), lane(GROUND_FAULTS, chanceOf(options.seed + 2))])
  await log.close()
  return { struck, poison }
}

/** Every hit that was answered is out of the spools and in the reports of every aggregator. */
async function settle(cluster: Cluster, crew: Crew): Promise<void> {
  for (const collector of crew.parts('collector')) {
    const url = `${cluster.urlOf(collector)}/metrics`
    const empty = async (): Promise<boolean> =>
      /^millrace_collector_spool_bytes 0$/m.test(await (await fetch(url)).text())
    await waitUntil(`the spool of ${collector} is empty`, empty, SETTLE_MS)
  }
  const now = Date.now()
  for (const aggregator of crew.parts('aggregator')) {
    await waitUntil(
      `${aggregator} has counted every hit`,
      async () => Date.parse((await totals(cluster, aggregator, SITES[0]!)).complete_until) >= now,
      SETTLE_MS,
    )
  }
}

const METRICS = ['visitors', 'page_views', 'events', 'sessions', 'bounces', 'session_duration']
const totals = (cluster: Cluster, aggregator: string, site: string) =>
  query(cluster.urlOf(aggregator), { site, period: '30d', metrics: METRICS })

/** I7 and I8. */
async function checkBounds(cluster: Cluster, crew: Crew, say: (text: string) => void): Promise<Findings> {
  const findings = new Findings()
  const numbers = async () =>
    Promise.all(
      SITES.flatMap((site) =>
        crew.parts('aggregator').map(async (name) => JSON.stringify((await totals(cluster, name, site)).totals)),
      ),
    )
  const before = await numbers()
  say('restarting')
  await Promise.all(
    [...crew.parts('enricher'), ...crew.parts('aggregator')].map((name) =>
      crew.hold([name], async () => void (await cluster.end(name))),
    ),
  )
  await crew.ready()
  await settle(cluster, crew)
  for (const [i, text] of (await numbers()).entries()) {
    findings.same('I7 a restart changes no number of the past', `answer ${i}`, before[i], text)
  }
  const bounded = 'I8 memory and spool stay bounded'
  const { memory, spool } = crew.peaks
  findings.same(bounded, `a service had ${memory} bytes`, true, memory <= MEMORY_BYTES)
  findings.same(bounded, `a spool had ${spool} bytes`, true, spool <= SPOOL_MB * 1.1 * 2 ** 20)
  return findings
}

/** What was sent is right: whoever cannot take it has to say that it is worth another try. */
function checkAnswers(findings: Findings, { statuses }: LoadReport): void {
  for (const [status, count] of Object.entries(statuses)) {
    findings.compared(TOLD, count)
    if (!/^(202|408|429|5\d\d)$/.test(status)) findings.wrong(TOLD, `${count} requests were answered ${status}`)
  }
}

/** A graceful stop of everything that writes. @throws Error when one does not end well */
async function endServices(cluster: Cluster, crew: Crew): Promise<void> {
  crew.stop()
  for (const name of crew.services) {
    const exit = await cluster.end(name)
    if (exit?.code !== 0) throw new Error(`the graceful stop of ${name} ended with ${exit?.code ?? exit?.signal}`)
  }
}

function both(report: CheckReport, own: CheckReport): CheckReport {
  return { ok: report.ok && own.ok, facts: report.facts, checks: [...report.checks, ...own.checks] }
}
