import { setImmediate } from 'node:timers/promises'
import type { Following, StoredRecord } from '../event-log.ts'
import { decodeRecords } from './record.ts'
import type { Chunk } from './segment.ts'
import { TopicScan } from './topic-scan.ts'
import type { WriterClient } from './writer-client.ts'

type OnRecords = (partition: number, records: readonly StoredRecord[]) => void | Promise<void>

/** Goes through a topic from the oldest record on, and stays. */
export class Follower implements Following {
  readonly caughtUp: Promise<void>
  readonly done: Promise<void>
  readonly #client: WriterClient
  readonly #onRecords: OnRecords
  #stopped = false
  #wake: () => void = () => {}
  /** Per partition, the offset of the next record. */
  #next: number[] = []
  #handing = false
  #reachedTarget!: () => void

  constructor(client: WriterClient, topic: string, onRecords: OnRecords) {
    this.#client = client
    this.#onRecords = onRecords
    const reached = new Promise<void>((resolve) => {
      this.#reachedTarget = resolve
    })
    this.done = this.#follow(topic)
    // Failures come out of both; stopping before the end was reached ends the waiting for it.
    this.caughtUp = Promise.race([reached, this.done])
    this.done.catch(() => {})
    this.caughtUp.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#wake()
    // Called by the receiver itself it must not wait for the receiver.
    if (!this.#handing) await this.done.catch(() => {})
  }

  async #follow(topic: string): Promise<void> {
    const view = await this.#client.topic(topic)
    const { positions, spec } = view
    this.#next = Array.from({ length: spec.partitions }, (_, partition) => positions.low(partition))
    const target = Array.from({ length: spec.partitions }, (_, partition) => positions.end(partition))
    const isCaughtUp = (): boolean => target.every((end, partition) => this.#next[partition]! >= end)
    const scan = new TopicScan(view, this.#client)
    const listener = (): void => this.#wake()
    view.listeners.add(listener)
    try {
      await this.#scanOn(scan, isCaughtUp)
    } finally {
      view.listeners.delete(listener)
      scan.close()
    }
  }

  async #scanOn(scan: TopicScan, isCaughtUp: () => boolean): Promise<void> {
    let place: { position: number; generation: number } | null = null
    while (!this.#stopped) {
      place ??= await this.#locate(scan)
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      // Nobody wakes it who stopped it while it looked for its place.
      if (this.#stopped) return
      const found = scan.read(place.position, place.generation, () => true)
      if (found === 'moved') {
        place = null
      } else if (found === 'later') {
        if (isCaughtUp() || place.position >= scan.view.positions.durable) this.#reachedTarget()
        if (this.#client.isClosed) throw new Error('the log was closed')
        await woken
      } else {
        this.#handing = true
        await this.#hand(found.chunk)
        this.#handing = false
        place.position = found.next
        if (isCaughtUp()) this.#reachedTarget()
        await setImmediate()
      }
    }
  }

  async #locate(scan: TopicScan): Promise<{ position: number; generation: number }> {
    // What expired meanwhile is no longer to be had.
    this.#next = this.#next.map((next, partition) => Math.max(next, scan.view.positions.low(partition)))
    const { positions, generation } = await scan.locate(this.#next.map((next, partition) => [partition, next] as const))
    return { position: Math.min(...positions), generation }
  }

  async #hand({ frames, bytes }: Chunk): Promise<void> {
    for (const frame of frames) {
      if (this.#stopped) return
      const next = this.#next[frame.partition]
      if (next === undefined || frame.lastOffset < next) continue
      await this.#onRecords(frame.partition, decodeRecords(bytes, frame.at, frame, next, Number.POSITIVE_INFINITY))
      this.#next[frame.partition] = frame.lastOffset + 1
    }
  }
}
