import {
  AppendInDoubt,
  CommitRefused,
  type ConsumerHandlers,
  type LogAdmin,
  type LogConsumer,
  type LogProducer,
  type LogReader,
  type LogRecord,
  type PartitionPosition,
  type Position,
  type StoredRecord,
} from '@millrace/log'
import type { Machine, Weather } from './machine.ts'

/** How the readers of a topic see its records. The product's own way is to see them as they are. */
type View = (topic: string, records: readonly StoredRecord[]) => readonly StoredRecord[]

/** Faults of the log that the product relies on not to have; the model must notice them. */
export interface LogFlaws {
  readonly view?: View
  /** Whoever has appended to a topic is told that nobody else has. */
  readonly appendsUnseen?: boolean
  /** Commits of members that have lost the partition count. */
  readonly commitsUnfenced?: boolean
}

/** Longest time between an append's failure and the arrival of its bytes, ms. */
const LATE_MS = 6_000
/** How long a group waits for others before it deals out, ms. */
const GATHER_MS = 300
/** A member that is silent for this long loses its partitions, ms. */
const SESSION_MS = 4_000

/** The topics and groups of one schedule. */
export class ModelLog {
  readonly weather: Weather
  readonly partitions: number
  readonly #flaws: LogFlaws
  readonly #topics = new Map<string, StoredRecord[][]>()
  readonly #groups = new Map<string, Group>()
  readonly #sleepers = new Set<() => void>()
  readonly #ends = new Map<Machine, SeenEnds>()
  readonly told = { doubts: 0, late: 0, twice: 0, refusedCommits: 0, rebalances: 0 }

  constructor(weather: Weather, partitions: number, flaws: LogFlaws = {}) {
    this.weather = weather
    this.partitions = partitions
    this.#flaws = flaws
  }

  records(topic: string, partition: number): StoredRecord[] {
    let partitions = this.#topics.get(topic)
    if (partitions === undefined) {
      partitions = Array.from({ length: this.partitions }, () => [])
      this.#topics.set(topic, partitions)
    }
    return partitions[partition]!
  }

  /** What a reader of the topic gets: [from, to), as far as they exist. */
  seen(topic: string, partition: number, from: number, to: number): readonly StoredRecord[] {
    const records = this.records(topic, partition)
    return (this.#flaws.view?.(topic, records) ?? records).slice(from, to)
  }

  write(topic: string, partition: number, records: readonly LogRecord[], timestamp?: number): number {
    const stored = this.records(topic, partition)
    const base = stored.length
    for (const { key = null, value, headers = {}, ...record } of records) {
      stored.push({ offset: stored.length, timestamp: timestamp ?? record.timestamp ?? 0, key, value, headers })
    }
    this.wake()
    return base
  }

  group(name: string): Group {
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = new Group(this, this.#flaws.commitsUnfenced ?? false)
      this.#groups.set(name, group)
    }
    return group
  }

  wake(): void {
    for (const sleeper of [...this.#sleepers]) sleeper()
    this.#sleepers.clear()
  }

  /** Resolves when anything was written, or a consumer was told something. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#sleepers.add(resolve))
  }

  producer(machine: Machine): LogProducer {
    const ends = this.#endsSeenBy(machine)
    return {
      append: async (topic, perPartition) => {
        const bases = new Map<number, number>()
        await machine.message()
        for (const [partition, records] of perPartition) bases.set(partition, this.#append(topic, partition, records))
        await machine.message()
        if (this.#flaws.appendsUnseen)
          for (const partition of bases.keys()) bases.set(partition, ends.next(topic, partition))
        return bases
      },
      close: async () => undefined,
    }
  }

  /** Mostly it is written once. Else: not at all, in doubt though written, in doubt and written later, or twice. */
  #append(topic: string, partition: number, records: readonly LogRecord[]): number {
    const write = (): number => this.write(topic, partition, records)
    const doubt = (): never => {
      this.told.doubts++
      throw new AppendInDoubt('planted: nobody knows')
    }
    if (this.weather.strikes(0.05)) return doubt()
    if (this.weather.strikes(0.05)) {
      write()
      return doubt()
    }
    if (this.weather.strikes(0.07)) {
      this.told.late++
      this.weather.time.after(this.weather.random() * LATE_MS, write)
      return doubt()
    }
    if (this.weather.strikes(0.05)) {
      this.told.twice++
      const first = write()
      if (this.weather.random() < 0.5) return write()
      this.weather.time.after(this.weather.random() * LATE_MS, write)
      return first
    }
    return write()
  }

  #endsSeenBy(machine: Machine): SeenEnds {
    let ends = this.#ends.get(machine)
    if (ends === undefined) {
      ends = new SeenEnds()
      this.#ends.set(machine, ends)
    }
    return ends
  }

  reader(machine: Machine): LogReader {
    const seen = this.seen.bind(this)
    return {
      async *read(topic, partition, from, to) {
        for (let next = from; next < to; ) {
          const records = await machine.ask('a read', () => seen(topic, partition, next, Math.min(to, next + 5)))
          if (records.length === 0) return
          yield records
          next += records.length
        }
      },
      follow: () => {
        throw new Error('not in this log')
      },
      close: async () => undefined,
    }
  }

  admin(machine: Machine): LogAdmin {
    const offsets = (of: (topic: string, partition: number) => number) => (topic: string) =>
      machine.ask('a question about offsets', () => {
        return new Map(Array.from({ length: this.partitions }, (_, partition) => [partition, of(topic, partition)]))
      })
    const seen = this.#endsSeenBy(machine)
    const ends = offsets((topic, partition) => seen.note(topic, partition, this.records(topic, partition).length))
    return {
      ensureTopics: async () => undefined,
      partitions: async () => this.partitions,
      committed: (group, topic) =>
        machine.ask('a question about commits', () => new Map(this.group(group).committedOf(topic))),
      lowOffsets: offsets(() => 0),
      endOffsets: ends,
      offsetsForTime: ends,
      close: async () => undefined,
    }
  }

  consumer(machine: Machine, group: string): Member {
    return new Member(this, machine, this.group(group))
  }
}

/** Where a machine would expect its next record if it were alone. */
class SeenEnds {
  readonly #ends = new Map<string, number>()

  note(topic: string, partition: number, end: number): number {
    this.#ends.set(`${topic}/${partition}`, end)
    return end
  }

  next(topic: string, partition: number): number {
    const end = this.#ends.get(`${topic}/${partition}`) ?? 0
    this.note(topic, partition, end + 1)
    return end
  }
}

/** A consumer group: who is in it, who has which partition, and what was committed. */
class Group {
  readonly #log: ModelLog
  readonly #members = new Set<Member>()
  readonly #committed = new Map<string, Map<number, Position>>()
  readonly unfenced: boolean
  generation = 0
  #isDue = false

  constructor(log: ModelLog, unfenced: boolean) {
    this.#log = log
    this.unfenced = unfenced
  }

  committedOf(topic: string): Map<number, Position> {
    let positions = this.#committed.get(topic)
    if (positions === undefined) {
      positions = new Map()
      this.#committed.set(topic, positions)
    }
    return positions
  }

  join(member: Member): void {
    this.#members.add(member)
    this.#rebalanceSoon()
  }

  leave(member: Member): void {
    if (this.#members.delete(member)) this.#rebalanceSoon()
  }

  /** Those who come and go together are dealt with together. */
  #rebalanceSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#log.weather.time.after(GATHER_MS, () => {
      this.#isDue = false
      this.rebalance()
    })
  }

  /**
   * Deals the partitions out anew. Members learn it when they do: until then two of them may work on one partition.
   * `shared`: all get all, and may commit: who enriches has to bear that too.
   */
  rebalance(shared = false): void {
    this.#log.told.rebalances++
    const generation = ++this.generation
    const members = [...this.#members]
    const all = Array.from({ length: this.#log.partitions }, (_, partition) => partition)
    const shift = this.#log.weather.pick(Math.max(1, members.length))
    for (const [index, member] of members.entries()) {
      const isIts = (partition: number): boolean => shared || (partition + shift) % members.length === index
      member.adopt(generation, all.filter(isIts))
    }
  }

  /** Members that stand still, or are gone, lose their partitions after a while and come back when they can. */
  watch(member: Member, machine: Machine): void {
    const { time } = this.#log.weather
    if (!machine.dead && !machine.paused) return
    time.after(SESSION_MS, () => {
      if (machine.dead) this.leave(member)
      else if (machine.paused) {
        this.leave(member)
        time.after(machine.pausedUntil - time.now, () => {
          if (!machine.dead) this.join(member)
        })
      }
    })
  }
}

/** One member of a group, with the deliveries to it. */
class Member implements LogConsumer {
  readonly #log: ModelLog
  readonly #machine: Machine
  readonly #group: Group
  readonly #positions = new Map<number, number>()
  readonly #paused = new Set<number>()
  #topic = ''
  #handlers: ConsumerHandlers | null = null
  #generation = -1
  #wanted = -1
  #turn: Promise<void> = Promise.resolve()

  constructor(log: ModelLog, machine: Machine, group: Group) {
    this.#log = log
    this.#machine = machine
    this.#group = group
  }

  async run(topics: readonly string[], handlers: ConsumerHandlers): Promise<void> {
    this.#topic = topics[0]!
    this.#handlers = handlers
    await this.#machine.message()
    this.#group.join(this)
    await this.#turn
  }

  /** The machine of this member was stopped, or is gone. */
  standStill(): void {
    this.#group.watch(this, this.#machine)
  }

  adopt(generation: number, partitions: readonly number[]): void {
    this.#wanted = generation
    this.#turn = this.#turn.then(() => this.#adopt(generation, partitions))
  }

  async #adopt(generation: number, partitions: readonly number[]): Promise<void> {
    await this.#machine.message()
    if (this.#wanted !== generation) return
    const topic = this.#topic
    const lost = [...this.#positions.keys()].map((partition) => ({ topic, partition }))
    this.#generation = -1
    this.#positions.clear()
    this.#paused.clear()
    this.#log.wake()
    if (lost.length > 0) await this.#handlers!.onLost(lost)
    await this.#machine.message()
    if (this.#wanted !== generation) return
    this.#generation = generation
    const assignments = partitions.map((partition) => {
      const committed = this.#group.committedOf(topic).get(partition) ?? null
      this.#positions.set(partition, committed?.offset ?? 0)
      return { topic, partition, committed, low: 0, end: this.#log.records(topic, partition).length }
    })
    await this.#handlers!.onAssigned(assignments)
    for (const partition of partitions) void this.#deliver(partition, generation)
  }

  async #deliver(partition: number, generation: number): Promise<void> {
    while (this.#generation === generation) {
      const count = 1 + this.#log.weather.pick(5)
      await this.#machine.message()
      if (this.#generation !== generation) return
      const from = this.#positions.get(partition)!
      const records = this.#paused.has(partition) ? [] : this.#log.seen(this.#topic, partition, from, from + count)
      if (records.length === 0) {
        await this.#log.change()
        continue
      }
      this.#positions.set(partition, from + records.length)
      await this.#handlers!.onBatch(this.#topic, partition, records)
    }
  }

  seek(_topic: string, partition: number, offset: number): void {
    if (this.#positions.has(partition)) this.#positions.set(partition, offset)
    this.#log.wake()
  }

  pause(_topic: string, partitions: readonly number[]): void {
    for (const partition of partitions) this.#paused.add(partition)
  }

  resume(_topic: string, partitions: readonly number[]): void {
    for (const partition of partitions) this.#paused.delete(partition)
    this.#log.wake()
  }

  async commit(positions: readonly PartitionPosition[]): Promise<void> {
    const generation = this.#generation
    await this.#machine.message()
    const { weather, told } = this.#log
    if (weather.strikes(0.03)) throw new Error('planted: the commit did not arrive')
    const isOurs = this.#generation === generation && this.#group.generation === generation
    if ((!isOurs && !this.#group.unfenced) || weather.strikes(0.02)) {
      told.refusedCommits++
      throw new CommitRefused('of an old generation')
    }
    for (const { topic, partition, offset, metadata } of positions)
      this.#group.committedOf(topic).set(partition, { offset, metadata })
    await this.#machine.message()
    if (weather.strikes(0.03)) throw new Error('planted: the answer of the commit was lost')
  }

  async close(): Promise<void> {
    this.#generation = -1
    this.#group.leave(this)
  }
}
