import {
  type Assignment,
  CommitRefused,
  type ConsumerHandlers,
  type EventLog,
  type LogConsumer,
  type Position,
  type StoredRecord,
} from '@millrace/log'
import { type HitRow, monthOfDay, readRows, type SessionRow } from '@millrace/shared'
import type { BlockInsert, Slice, Target } from '@millrace/store'
import type { Evidence } from '../evidence.ts'
import { sliceKey } from '../slices.ts'
import type { Tools } from '../tools.ts'

/**
 * Log and store in memory, for schedules only: what survives a crash lives in a World, and every step of every port
 * passes a Fuse that can end the process there, fail, or put it to sleep.
 */
export class World {
  readonly enriched = new Map<number, StoredRecord[]>()
  readonly rawEnds = new Map<number, number>()
  readonly committed = new Map<number, Position>()
  readonly targets: Record<string, TargetTable> = {
    hits: new TargetTable('hits_in'),
    daily_hits: new TargetTable('hits_in'),
    daily_pages: new TargetTable('hits_in'),
    sessions: new TargetTable('sessions_in'),
    daily_sessions: new TargetTable('sessions_in'),
  }
  /** Partitions that the last consumer paused. */
  paused = new Set<number>()
  generation = 0
  nowMs = 1_000_000
  /** Inserts: what of them was not killed happens, sooner or later, also when their client has given up or died. */
  readonly running: { logComment: string; parts: (() => void)[]; killed: boolean }[] = []

  append(partition: number, records: readonly { value: Buffer; headers: Record<string, Buffer>; timestamp: number }[]) {
    const stored = this.enriched.get(partition) ?? []
    this.enriched.set(partition, stored)
    for (const record of records) stored.push({ ...record, key: null, offset: stored.length })
  }
}

class TargetTable {
  readonly source: 'hits_in' | 'sessions_in'
  /** Names of the rows that were put in, each time they were. */
  readonly rows: string[] = []
  /** Positions of hits, as `hits` keeps them. */
  readonly places: { kp: number; ko: number; month: number }[] = []
  readonly marks = new Map<string, number>()
  readonly liveMarkers = new Map<string, Map<number, number>>()
  constructor(source: 'hits_in' | 'sessions_in') {
    this.source = source
  }
}

/** What happens at the n-th step: the process ends, the call fails once, or the process sleeps until it is woken. */
export type Fault = 'crash' | 'fail' | 'sleep'
export class Fuse {
  steps = 0
  burnt = false
  wake: () => void = () => {}
  readonly fault: Fault
  readonly #at: number
  constructor(at: number, fault: Fault) {
    this.#at = at
    this.fault = fault
  }
  /** The process of this fuse is gone. */
  get dead(): boolean {
    return this.burnt && this.fault === 'crash'
  }
  async step(): Promise<void> {
    if (this.dead) return new Promise(() => {})
    if (this.steps++ !== this.#at) return
    this.burnt = true
    if (this.fault === 'fail') throw new Error('planted fault')
    return new Promise((resolve) => {
      if (this.fault === 'sleep') this.wake = resolve
    })
  }
}

/** What a process sees of the world. */
export function modelLog(world: World, fuse: Fuse): EventLog {
  const consumer = () => new ModelConsumer(world, fuse)
  const log = {
    consumer,
    reader: () => ({
      async *read(_topic: string, partition: number, from: number, to: number) {
        await fuse.step()
        const records = (world.enriched.get(partition) ?? []).filter(({ offset }) => offset >= from && offset < to)
        for (let i = 0; i < records.length; i += 2) yield records.slice(i, i + 2)
      },
      close: async () => {},
    }),
    admin: () => ({
      endOffsets: async () => new Map(world.rawEnds),
      committed: async () => new Map(world.committed),
      close: async () => {},
    }),
    epoch: async () => 0,
    close: async () => {},
  }
  return log as unknown as EventLog
}

class ModelConsumer implements LogConsumer {
  readonly #world: World
  readonly #fuse: Fuse
  readonly #generation: number
  readonly #next = new Map<number, number>()
  #closed = false
  #handlers: ConsumerHandlers | null = null

  constructor(world: World, fuse: Fuse) {
    this.#world = world
    this.#fuse = fuse
    this.#generation = ++world.generation
    world.paused = new Set()
  }
  async run(_topics: readonly string[], handlers: ConsumerHandlers): Promise<void> {
    this.#handlers = handlers
    const assignments: Assignment[] = [...this.#world.enriched].map(([partition, records]) => {
      const committed = this.#world.committed.get(partition) ?? null
      this.#next.set(partition, committed?.offset ?? 0)
      return { topic: 'hits.enriched', partition, committed, low: 0, end: records.length }
    })
    await handlers.onAssigned(assignments)
    for (const partition of this.#next.keys()) void this.#deliver(partition)
  }
  async #deliver(partition: number): Promise<void> {
    while (!this.#closed && !this.#fuse.dead) {
      if (this.#generation !== this.#world.generation) {
        this.#closed = true
        return this.#handlers!.onLost([...this.#next.keys()].map((p) => ({ topic: 'hits.enriched', partition: p })))
      }
      const next = this.#next.get(partition)!
      const records = this.#world.enriched.get(partition)!.slice(next, next + 3)
      if (this.#world.paused.has(partition) || records.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 1))
        continue
      }
      this.#next.set(partition, next + records.length)
      await this.#handlers!.onBatch('hits.enriched', partition, records)
    }
  }
  seek(_topic: string, partition: number, offset: number): void {
    this.#next.set(partition, offset)
  }
  pause(_topic: string, partitions: readonly number[]): void {
    for (const partition of partitions) this.#world.paused.add(partition)
  }
  resume(_topic: string, partitions: readonly number[]): void {
    for (const partition of partitions) this.#world.paused.delete(partition)
  }
  async commit(positions: readonly { partition: number; offset: number; metadata: string }[]): Promise<void> {
    await this.#fuse.step()
    if (this.#generation !== this.#world.generation) throw new CommitRefused('of an old generation')
    for (const { partition, offset, metadata } of positions) this.#world.committed.set(partition, { offset, metadata })
    await this.#fuse.step()
  }
  async close(): Promise<void> {
    this.#closed = true
  }
}

/** A store whose parts (one per target and month) are there as a whole or not at all, and whose inserts may outlive their client. */
export function modelStore(world: World, fuse: Fuse): Tools['store'] {
  const start = async (insert: BlockInsert, targets: readonly string[], wanted: (slice: Slice) => boolean) => {
    await fuse.step()
    const deadline = Number(/deadline=(\d+)/.exec(insert.logComment)![1])
    if (world.nowMs > deadline) throw new Error('refused: late')
    const parts = targets.flatMap((target) => partsOf(world.targets[target]!, target, insert, wanted))
    const running = { logComment: insert.logComment, parts, killed: false }
    world.running.push(running)
    while (parts.length > 0) {
      await fuse.step()
      if (running.killed) throw new Error('killed')
      parts.shift()?.()
    }
    await fuse.step()
  }
  const targetsOf = (table: string) =>
    Object.keys(world.targets).filter((name) => world.targets[name]!.source === table)
  return {
    insert: (insert) => start(insert, targetsOf(insert.table), () => true),
    insertMissing: (target, insert, slices) => {
      const wanted = new Set(slices.map(sliceKey))
      return start(insert, [target.name], (slice) => wanted.has(sliceKey(slice)))
    },
    targets: async () =>
      Object.entries(world.targets).map(([name, { source }]): Target => ({ name, source, select: '', columns: [] })),
    nowMs: async () => {
      await fuse.step()
      return world.nowMs++
    },
    killInserts: async (prefix) => {
      await fuse.step()
      for (const running of world.running) {
        if (!running.logComment.startsWith(prefix)) continue
        running.killed = true
        running.parts.length = 0
      }
    },
  }
}

/** What was running without a client is carried out now, unless it was killed. */
export function finishRunning(world: World): void {
  for (const { parts } of world.running) for (const part of parts.splice(0)) part()
}

function partsOf(
  table: TargetTable,
  name: string,
  insert: BlockInsert,
  wanted: (slice: Slice) => boolean,
): (() => void)[] {
  const rows = insert.blocks.flatMap((block) => readRows<HitRow & SessionRow>(block))
  const kept = rows.filter((row) => wanted({ kp: row.kp, month: monthOfDay(row.day) }))
  const months = [...new Set(kept.map(({ day }) => monthOfDay(day)))]
  return months.map((month) => () => {
    for (const row of kept) if (monthOfDay(row.day) === month) put(table, name, row, month)
  })
}

function put(table: TargetTable, name: string, row: HitRow & SessionRow, month: number): void {
  const key = sliceKey({ kp: row.kp, month })
  if (row.site !== '') {
    table.rows.push(
      table.source === 'hits_in' ? `${row.kp}/${row.ko}/${row.ki}` : `${row.session_id}/${row.version}/${row.sign}`,
    )
    table.places.push({ kp: row.kp, ko: row.ko, month })
  } else if (name === 'sessions') {
    const live = table.liveMarkers.get(key) ?? new Map<number, number>()
    table.liveMarkers.set(key, live)
    live.set(row.ko, (live.get(row.ko) ?? 0) + row.sign)
    if (live.get(row.ko) === 0) live.delete(row.ko)
  } else {
    table.marks.set(key, Math.max(table.marks.get(key) ?? -1, row.ko))
  }
}

/** The evidence of the model's store. */
export function modelEvidence(world: World, fuse: Fuse): Evidence {
  return {
    async watermarks(target) {
      await fuse.step()
      return new Map(world.targets[target]!.marks)
    },
    async liveMarkers() {
      await fuse.step()
      return new Map(
        [...world.targets.sessions!.liveMarkers]
          .filter(([, live]) => live.size > 0)
          .map(([key, live]) => [key, Math.max(...live.keys())]),
      )
    },
    async hitCounts(slices) {
      await fuse.step()
      const { places } = world.targets.hits!
      return new Map(
        slices.map((slice) => [
          sliceKey(slice),
          places.filter(
            ({ kp, ko, month }) => kp === slice.kp && month === slice.month && ko >= slice.koFrom && ko <= slice.koTo,
          ).length,
        ]),
      )
    },
    async largestHits() {
      await fuse.step()
      const marks = new Map<string, number>()
      for (const place of world.targets.hits!.places)
        marks.set(sliceKey(place), Math.max(marks.get(sliceKey(place)) ?? -1, place.ko))
      return marks
    },
  }
}
