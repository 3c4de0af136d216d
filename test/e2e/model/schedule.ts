/** One random schedule of enrichers and aggregators over one log and one store: no files, no clock, no processes. */
import { AGGREGATOR_GROUP, ENRICHER_GROUP, HITS_ENRICHED, HITS_RAW, kpOf } from '@millrace/shared'
import type { Facts as WriterFacts } from '../../../services/aggregator/src/facts.ts'
import { WRITER_LIMITS } from '../../../services/aggregator/src/writer/limits.ts'
import { decodePosition } from '../../../services/aggregator/src/writer/plan.ts'
import { startWriter } from '../../../services/aggregator/src/writer/write.ts'
import type { Facts as EnricherFacts } from '../../../services/enricher/src/facts.ts'
import { BatchEnricher } from '../../../services/enricher/src/partition/enrich-batch.ts'
import { PartitionWorker } from '../../../services/enricher/src/partition/partition-worker.ts'
import { EnricherGroup } from '../../../services/enricher/src/run.ts'
import { READING, RULES, saltOf, TOOLS } from '../../../services/enricher/src/testing/lab.ts'
import { differences } from './compare.ts'
import { Machine, seededRandom, Weather } from './machine.ts'
import { type LogFlaws, ModelLog } from './model-log.ts'
import { type Check, ModelStore, type StoreFlaws } from './model-store.ts'
import { planTraffic } from './traffic.ts'
import { VirtualTime } from './virtual-time.ts'

/** A rule of the design that is switched off, for tests of the model itself. */
export interface Planted extends LogFlaws, StoreFlaws {
  readonly check?: Check
}

/** What became of a schedule. */
export interface Outcome {
  /** Sentences; none = the tables equal the recount. */
  readonly differences: readonly string[]
  /** How often things went wrong, by kind. */
  readonly told: Readonly<Record<string, number>>
}

/** How many of the schedules have two partitions, the others one. */
const TWO_PARTITIONS = 0.3
const MINUTE = 60_000
const NOW = Date.UTC(2026, 10, 21, 12)
const STORM_MS = 6_000
/** Long after the last thing that may come late. */
const CALM_MS = MINUTE / 4
const PATIENCE_MS = 60 * MINUTE
const COMMIT_EVERY_MS = 1_000

/** Session timeouts of the programs that enrich: they differ, as in the middle of an update. */
const TIMEOUTS: Readonly<Record<string, number>> = { old: RULES.sessionTimeoutMs, new: 20 * MINUTE }

/** Runs the schedule of this seed to its end and compares the tables with the recount. */
export async function runSchedule(seed: number, planted: Planted = {}): Promise<Outcome> {
  const time = new VirtualTime(NOW)
  const random = seededRandom(seed)
  const uninstall = time.install(random)
  try {
    const schedule = new Schedule(new Weather(time, random), planted)
    const settled = await schedule.run()
    schedule.giveBack()
    uninstall()
    return { differences: [...settled, ...(await schedule.compare())], told: schedule.told() }
  } finally {
    uninstall()
  }
}

/** Enrichers that earlier schedules have used, by build and partition. */
const IDLE_ENRICHERS = new Map<string, BatchEnricher[]>()

/** A process with one member of one group. */
interface Process {
  readonly machine: Machine
  readonly member: ReturnType<ModelLog['consumer']>
}

class Schedule {
  readonly #time: VirtualTime
  readonly #weather: Weather
  readonly #log: ModelLog
  readonly #store: ModelStore
  readonly #check: Check
  readonly #counts: number[]
  readonly #problems: string[] = []
  /** Said by owners, also by those who have lost a partition and do not know it yet: only for the person who reads. */
  readonly #stops: string[] = []
  readonly #told = { recovered: 0, missing: 0, rejected: 0, superseded: 0, kills: 0, pauses: 0 }
  #processes: Process[] = []
  readonly #borrowed: (() => void)[] = []

  constructor(weather: Weather, planted: Planted) {
    this.#time = weather.time
    this.#weather = weather
    const partitions = weather.random() < TWO_PARTITIONS ? 2 : 1
    this.#log = new ModelLog(this.#weather, partitions, planted)
    this.#store = new ModelStore(this.#weather, planted)
    this.#check = planted.check ?? 'as_it_is'
    this.#counts = Array.from({ length: partitions }, (_, p) =>
      planTraffic(this.#log, this.#weather, p, STORM_MS - 1_000),
    )
  }

  /** Sentences about what did not come to its end. */
  async run(): Promise<readonly string[]> {
    for (const build of ['old', 'new']) this.#startEnricher(build)
    for (let n = 0; n < 2; n++) this.#startAggregator()
    this.#planStorm()
    await this.#time.run(() => this.#time.elapsed >= STORM_MS, STORM_MS)
    this.#weather.stormy = false
    const isSettled = await this.#time.run(() => this.#problems.length > 0 || this.#settled(), PATIENCE_MS)
    const end = this.#time.elapsed + CALM_MS
    if (isSettled) await this.#time.run(() => this.#time.elapsed >= end && !this.#store.busy, PATIENCE_MS)
    return isSettled ? this.#problems : ['it does not come to its end', ...this.#problems, ...this.#stops]
  }

  compare(): Promise<string[]> {
    const raw = this.#counts.map((_, partition) => this.#log.records(HITS_RAW.name, partition))
    return differences(this.#store, raw, (build) => TIMEOUTS[build] ?? RULES.sessionTimeoutMs)
  }

  told(): Record<string, number> {
    return { ...this.#told, ...this.#log.told, ...this.#store.told }
  }

  /** Kills, pauses and rebalances, some at any time of the storm. */
  #planStorm(): void {
    const { random } = this.#weather
    for (let at = random() * 1_500; at < STORM_MS; at += 300 + random() * 2_500) {
      this.#time.after(at, () => this.#strike())
    }
  }

  #strike(): void {
    const { random, pick } = { random: this.#weather.random, pick: (n: number) => this.#weather.pick(n) }
    const process = this.#processes[pick(this.#processes.length)]
    if (process === undefined) return
    const dice = random()
    if (dice < 0.25) this.#kill(process)
    else if (dice < 0.5) {
      this.#told.pauses++
      process.machine.pausedUntil = this.#time.now + random() ** 2 * 12_000
      process.member.standStill()
    } else if (dice < 0.65) this.#log.group(AGGREGATOR_GROUP).rebalance()
    else this.#log.group(ENRICHER_GROUP).rebalance(random() < 0.85)
  }

  #kill(process: Process): void {
    this.#told.kills++
    process.machine.dead = true
    process.member.standStill()
    this.#processes = this.#processes.filter((other) => other !== process)
    const restart = this.#restarts.get(process)!
    this.#time.after(this.#weather.random() * 3_000, restart)
  }

  readonly #restarts = new Map<Process, () => void>()

  #startEnricher(build: string): void {
    const machine = new Machine(this.#weather)
    const member = this.#log.consumer(machine, ENRICHER_GROUP)
    const group = new EnricherGroup(member, this.#enricherFacts(), (partition, delivery) => {
      const rules = { ...RULES, sessionTimeoutMs: TIMEOUTS[build]! }
      const rulesOf = () => rules
      const tools = { ...TOOLS, build, kp: kpOf(1, partition) }
      return new PartitionWorker(partition, {
        producer: this.#log.producer(machine),
        reader: this.#log.reader(machine),
        admin: this.#log.admin(machine),
        salts: { saltOf, isDecided: () => true, ensure: async () => undefined, close: async () => undefined },
        tools,
        reading: READING,
        rulesOf,
        maxSessionTimeoutMs: () => rules.sessionTimeoutMs,
        config: { at: () => -1, waitFor: async () => undefined, gapAt: () => null },
        facts: this.#enricherFacts(),
        clock: () => this.#time.now,
        batchEveryMs: 100,
        isCrowded: () => false,
        newEnricher: () => this.#borrow(`${build}/${partition}`, () => new BatchEnricher(tools, rulesOf, partition)),
        delivery,
      })
    })
    void member.run([HITS_RAW.name], group).then(() => {
      const commit = (): void => {
        if (machine.dead) clearInterval(timer)
        else void group.commit()
      }
      const timer = setInterval(commit, COMMIT_EVERY_MS)
    })
    this.#begin({ machine, member }, () => this.#startEnricher(build))
  }

  /** Making an enricher costs more than what a schedule has it do. */
  #borrow(name: string, make: () => BatchEnricher): BatchEnricher {
    const idle = IDLE_ENRICHERS.get(name) ?? []
    IDLE_ENRICHERS.set(name, idle)
    const enricher = idle.pop() ?? make()
    this.#borrowed.push(() => idle.push(enricher))
    return enricher
  }

  /** After the end: those that were killed worked on nothing, as a batch is enriched in one go. */
  giveBack(): void {
    for (const give of this.#borrowed) give()
  }

  #startAggregator(): void {
    const machine = new Machine(this.#weather)
    const member = this.#log.consumer(machine, AGGREGATOR_GROUP)
    const log = {
      consumer: () => member,
      reader: () => this.#log.reader(machine),
      admin: () => this.#log.admin(machine),
      producer: () => this.#log.producer(machine),
      epoch: async () => 1,
      close: async () => undefined,
    }
    const writer = startWriter({
      log,
      store: this.#store.reach(machine),
      evidence: this.#store.evidence(machine, this.#check),
      facts: this.#writerFacts(),
      limits: {
        ...WRITER_LIMITS,
        batch: { ...WRITER_LIMITS.batch, rows: 8 },
        deadlineMs: 2_000,
        insertTimeoutMs: 8_000,
        waitForDeadline: true,
      },
    })
    writer.catch((error: Error) => this.#problems.push(`an aggregator did not start: ${error.message}`))
    this.#begin({ machine, member }, () => this.#startAggregator())
  }

  #begin(process: Process, restart: () => void): void {
    this.#processes.push(process)
    this.#restarts.set(process, restart)
  }

  #enricherFacts(): EnricherFacts {
    return silentBut<EnricherFacts>({
      superseded: () => void this.#told.superseded++,
      stopped: (partition, error) => void this.#stops.push(`enricher stopped ${partition}: ${String(error)}`),
    })
  }

  #writerFacts(): WriterFacts {
    return silentBut<WriterFacts>({
      rejected: (_, rejected) => {
        this.#told.rejected += rejected.length
      },
      recovered: ({ missing }) => {
        this.#told.recovered++
        this.#told.missing += missing
      },
      stopped: (partition, reason) => void this.#stops.push(`aggregator stopped ${partition}: ${reason}`),
      crashed: (error) => void this.#problems.push(`an aggregator ended: ${String(error)}`),
    })
  }

  /** Everything is enriched, inserted and committed, with no plan open. */
  #settled(): boolean {
    const committed = this.#log.group(AGGREGATOR_GROUP).committedOf(HITS_ENRICHED.name)
    return this.#counts.every((count, partition) => {
      const position = committed.get(partition)
      if (position === undefined) return false
      const { done, plan } = decodePosition(position)
      return plan === null && done.srcMax === count - 1
    })
  }
}

/** Facts of which only some matter. */
function silentBut<F extends object>(told: Partial<F>): F {
  return new Proxy(told, { get: (of, name) => Reflect.get(of, name) ?? (() => undefined) }) as F
}
