/** The enricher as a service: consumes hits.raw, appends to hits.enriched. Only wiring and the rhythm of commits. */
import { mkdirSync } from 'node:fs'
import type { ConfigBook } from '@millrace/config'
import {
  type Assignment,
  bootId,
  CommitRefused,
  type ConsumerHandlers,
  type EventLog,
  type Lock,
  type LogConsumer,
  lockFolder,
  type PartitionPosition,
} from '@millrace/log'
import type { Logger, Registry } from '@millrace/server'
import { ENRICHER_GROUP, HITS_RAW, kpOf } from '@millrace/shared'
import { ColdFolder } from './cold/cold-folder.ts'
import { createFacts, type Facts } from './facts.ts'
import { followGeoFile } from './geo/follow-geo-file.ts'
import { Checkpoints, type Pace, removeLeftovers, removeOld } from './partition/checkpoints.ts'
import { PartitionWorker, type WorkerTools } from './partition/partition-worker.ts'
import type { ReadingTools } from './raw-hit.ts'
import { fixedSalts, openSalts } from './salts.ts'
import { Senders } from './senders.ts'
import { type Aside, IN_MEMORY } from './sessions/partition-state.ts'
import type { EnricherSettings } from './settings.ts'
import { rulesOfSites } from './site-rules.ts'
import { AgentReader } from './steps/agent.ts'
import type { GeoReader } from './steps/geo.ts'

export interface EnricherOptions {
  readonly log: EventLog
  /** With the installation's secret in it, or the ids of users are not read. It is not closed. */
  readonly config: ConfigBook
  readonly settings: EnricherSettings
  readonly logger: Logger
  readonly registry: Registry
  /** Name and version of this program; stands in every row. */
  readonly build: string
  /** Epoch milliseconds: the life of salts and a metric, nothing that a number depends on. */
  readonly clock?: () => number
  /** A partition makes at most one batch in this time. */
  readonly batchEveryMs?: number
  /** Time between commits. */
  readonly commitEveryMs?: number
  /** True = whoever takes the rows has enough of them for now; default: never. */
  readonly isCrowded?: () => boolean
  /** Folder for what is remembered but seldom asked for; without it all is kept in memory. */
  readonly asideDir?: string
  /** What of it a partition keeps in memory, where there is such a folder. */
  readonly inMemory?: typeof IN_MEMORY
  /** When a partition writes a checkpoint. */
  readonly checkpointPace?: Pace
}

export interface Enricher {
  /** Partitions that stand still, and why. */
  problems(): ReadonlyMap<number, string>
  /** The geographical database in use now, and what its licence asks to be shown ('' = nothing). */
  geo(): { readonly version: string; readonly attribution: string }
  /** Finishes the batches at work, commits and leaves the group. */
  close(): Promise<void>
}

const BATCH_EVERY_MS = 100
const COMMIT_EVERY_MS = 1_000
const LOOK_FOR_OLD_MS = 10 * 60_000

/** Starts enriching. Resolves when the group has given out partitions; they are restored meanwhile. @throws when the log cannot be read */
export async function startEnricher(options: EnricherOptions): Promise<Enricher> {
  const facts = createFacts(options.logger, options.registry)
  const { geo, ...geoFile } = await followGeoFile(options.settings.MILLRACE_GEO_DATABASE, facts)
  const { MILLRACE_FINGERPRINT_KEY: key } = options.settings
  if (key !== '') facts.fingerprintKeyUsed()
  const salts = key === '' ? await openSalts(options.log, options.clock ?? Date.now, facts) : fixedSalts(key)
  const { producer, reader, admin, consumer } = openPorts(options.log)
  const disk = openDisk(options, facts)
  const group = new EnricherGroup(
    consumer,
    facts,
    workersOf(options, { facts, salts, geo, disk, producer, reader, admin }, await options.log.epoch()),
  )
  await consumer.run([HITS_RAW.name], group)
  const unwatch = options.config.onChange(() => group.resumeAccepted())
  const timer = setInterval(() => void group.commit(), options.commitEveryMs ?? COMMIT_EVERY_MS)
  return {
    problems: () => group.problems(),
    geo: () => ({ version: geo.version, attribution: geo.attribution }),
    close: async () => {
      clearInterval(timer)
      unwatch()
      await group.finish()
      await consumer.close()
      for (const part of [salts, geoFile, reader, admin, producer]) await part.close()
      disk?.release()
    },
  }
}

function openPorts(log: EventLog) {
  return { producer: log.producer(), reader: log.reader(), admin: log.admin(), consumer: log.consumer(ENRICHER_GROUP) }
}

type Parts = Pick<WorkerTools, 'facts' | 'salts' | 'producer' | 'reader' | 'admin'> & {
  readonly geo: GeoReader
  readonly disk: Disk | null
}

/** Makes the worker of a partition. */
function workersOf(options: EnricherOptions, { geo, disk, ...parts }: Parts, epoch: number) {
  const { settings, build, config } = options
  const { rulesOf, maxSessionTimeoutMs } = rulesOfSites(config, settings)
  const reading: ReadingTools = {
    salts: parts.salts,
    rulesOf,
    installationSecret: () => config.installationSecret(),
    fingerprintHeaders: settings.MILLRACE_FINGERPRINT_INPUTS,
    senders: new Senders(),
  }
  const agents = new AgentReader()
  const datacenters = settings.MILLRACE_DATACENTER_NETWORKS ?? undefined
  return (partition: number, delivery: WorkerTools['delivery']): PartitionWorker =>
    new PartitionWorker(partition, {
      ...parts,
      delivery,
      tools: { agents, datacenters, geo, build, kp: kpOf(epoch, partition) },
      reading,
      rulesOf,
      maxSessionTimeoutMs,
      config,
      clock: options.clock ?? Date.now,
      batchEveryMs: options.batchEveryMs ?? BATCH_EVERY_MS,
      isCrowded: options.isCrowded ?? (() => false),
      aside: disk?.aside ?? null,
      checkpoints: disk?.checkpoints ?? null,
    })
}

/** What an enricher has on disk. */
interface Disk {
  readonly aside: Aside
  /** null = the folder is not its own. */
  readonly checkpoints: Checkpoints | null
  release(): void
}

function openDisk({ asideDir: dir, inMemory, checkpointPace, build }: EnricherOptions, facts: Facts): Disk | null {
  if (dir === undefined) return null
  const lock = claim(dir, facts)
  const folder = new ColdFolder(dir, (error) => facts.notPutAside(error), lock !== null)
  const isKept = lock !== null && bootId() !== ''
  const checkpoints = isKept ? new Checkpoints(folder, build, facts.checkpointUnreadable, checkpointPace) : null
  const timer = setInterval(() => lock && folder.try(() => removeOld(dir)), LOOK_FOR_OLD_MS)
  const release = (): void => {
    clearInterval(timer)
    lock?.release()
  }
  return { aside: { folder, ...(inMemory ?? IN_MEMORY) }, checkpoints, release }
}

/** null = another process uses the folder, or it cannot be written. */
function claim(dir: string, facts: Facts): Lock | null {
  try {
    mkdirSync(dir, { recursive: true })
    const lock = lockFolder(dir)
    removeLeftovers(dir)
    return lock
  } catch (error) {
    facts.noCheckpoints(error)
    return null
  }
}

/** The partitions of this member of the group. */
export class EnricherGroup implements ConsumerHandlers {
  /** The workers stop in front of one, each its own partition, and say so. */
  readonly seesHoles = true
  readonly #consumer: LogConsumer
  readonly #facts: Facts
  readonly #workerOf: (partition: number, delivery: WorkerTools['delivery']) => PartitionWorker
  readonly #workers = new Map<number, PartitionWorker>()
  /** Lost partitions: in a rebalance most come back at once, and nobody else has written. */
  readonly #parked = new Map<number, PartitionWorker>()
  #committing: Promise<void> = Promise.resolve()

  constructor(
    consumer: LogConsumer,
    facts: Facts,
    workerOf: (partition: number, delivery: WorkerTools['delivery']) => PartitionWorker,
  ) {
    this.#consumer = consumer
    this.#facts = facts
    this.#workerOf = workerOf
  }

  async onAssigned(assignments: readonly Assignment[]): Promise<void> {
    const delivery = {
      seek: (partition: number, offset: number) => this.#consumer.seek(HITS_RAW.name, partition, offset),
      pause: (partition: number) => this.#consumer.pause(HITS_RAW.name, [partition]),
      resume: (partition: number) => this.#consumer.resume(HITS_RAW.name, [partition]),
    }
    for (const { partition } of assignments) {
      const worker = this.#parked.get(partition) ?? this.#workerOf(partition, delivery)
      this.#workers.set(partition, worker)
      this.#parked.delete(partition)
      worker.start()
    }
    this.#closeParked()
  }

  async onBatch(_topic: string, partition: number, records: Parameters<PartitionWorker['offer']>[0]): Promise<void> {
    this.#workers.get(partition)?.offer(records)
  }

  async onLost(lost: readonly { partition: number }[]): Promise<void> {
    await Promise.all(
      lost.map(async ({ partition }) => {
        const worker = this.#workers.get(partition)
        if (worker === undefined) return
        this.#workers.delete(partition)
        await worker.park()
        this.#parked.set(partition, worker)
        this.#facts.lost(partition)
      }),
    )
  }

  problems(): Map<number, string> {
    const problems = new Map<number, string>()
    for (const { partition, problem } of this.#workers.values()) if (problem !== null) problems.set(partition, problem)
    return problems
  }

  /** Partitions in front of a hole that somebody has accepted go on. */
  resumeAccepted(): void {
    for (const worker of this.#workers.values()) worker.resumeAccepted()
  }

  /** One commit at a time, of every partition that has moved. */
  commit(): Promise<void> {
    this.#committing = this.#committing.then(() => this.#commit())
    return this.#committing
  }

  /** Ends the work and commits it. */
  async finish(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.park()))
    await this.commit()
    for (const worker of this.#workers.values()) worker.close()
    this.#closeParked()
  }

  #closeParked(): void {
    for (const worker of this.#parked.values()) worker.close()
    this.#parked.clear()
  }

  async #commit(): Promise<void> {
    const positions: PartitionPosition[] = []
    for (const worker of this.#workers.values()) {
      const position = worker.takePosition()
      if (position) positions.push({ topic: HITS_RAW.name, partition: worker.partition, ...position })
    }
    if (positions.length === 0) return
    try {
      await this.#consumer.commit(positions)
    } catch (error) {
      // Refused or failed: the position is derived from the chain anyway. onLost follows if the partition is gone.
      this.#facts.commitRefused(error instanceof CommitRefused ? error.message : String(error))
      for (const { partition } of positions) this.#workers.get(partition)?.returnPosition()
    }
  }
}
