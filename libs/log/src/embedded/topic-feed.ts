import { setImmediate } from 'node:timers/promises'
import { PositionLost } from '../event-log.ts'
import { HEADER_BYTES } from './frame.ts'
import type { Lane } from './lane.ts'
import { decodeRecords } from './record.ts'
import type { Chunk } from './segment.ts'
import type { TopicScan } from './topic-scan.ts'

/**
 * Fills the lanes of one topic from its files. All lanes that are equally far share one scan; one that was paused, full
 * or sought elsewhere is behind, and since the scan always goes on where the hindmost is, it catches up and joins the others.
 * Nothing runs while there is nothing to read or nobody takes it in.
 */
export class TopicFeed {
  readonly #scan: TopicScan
  readonly #lanes: ReadonlyMap<number, Lane>
  readonly #deliver: (lane: Lane) => void
  readonly #fail: (error: Error) => void
  #generation = -1
  #running = false
  #again = false
  #closed = false

  constructor(
    scan: TopicScan,
    lanes: ReadonlyMap<number, Lane>,
    on: { deliver(lane: Lane): void; fail(error: Error): void },
  ) {
    this.#scan = scan
    this.#lanes = lanes
    this.#deliver = on.deliver
    this.#fail = on.fail
    scan.view.listeners.add(this.go)
  }

  /** Reads on, if there is something to read and a lane to take it in. */
  readonly go = (): void => {
    this.#again = true
    if (this.#running || this.#closed) return
    this.#running = true
    this.#run().catch((error: Error) => this.#closed || this.#fail(error))
  }

  /** Hands over what waits, and reads on. */
  deliver(): void {
    if (this.#closed) return
    for (const lane of this.#lanes.values()) this.#deliver(lane)
    this.go()
  }

  close(): void {
    this.#closed = true
    this.#scan.view.listeners.delete(this.go)
    this.#scan.close()
  }

  async #run(): Promise<void> {
    try {
      while (this.#again && !this.#closed) {
        this.#again = false
        if (await this.#locate()) this.#again = true
        else if (!this.#closed && this.#read()) {
          this.#again = true
          // One megabyte at a time: handlers, pauses and seeks come in between.
          await setImmediate()
        }
      }
    } finally {
      // In the same breath as the last look at #again: a call of go() in between would be lost.
      this.#running = false
    }
  }

  /** Finds the places of lanes that have none. Returns whether there were any. */
  async #locate(): Promise<boolean> {
    const { positions, name } = this.#scan.view
    if (this.#generation !== positions.generation) this.#forgetPlaces()
    const lanes = [...this.#lanes.values()].filter((lane) => lane.position === null)
    if (lanes.length === 0) return false
    const turns = lanes.map(({ turn }) => turn)
    const located = await this.#scan.locate(lanes.map(({ partition, next }) => [partition, next] as const))
    this.#generation = located.generation
    for (const [i, lane] of lanes.entries()) {
      if (lane.turn !== turns[i]) continue
      const low = positions.low(lane.partition)
      if (lane.next < low && !lane.sought)
        throw new PositionLost(`${name}/${lane.partition}: offset ${lane.next} expired, the oldest is ${low}`)
      lane.settle(Math.max(lane.next, low), located.positions[i]!)
    }
    return true
  }

  #forgetPlaces(): void {
    for (const lane of this.#lanes.values()) lane.position = null
  }

  /** Reads once where the hindmost hungry lane is. Returns whether it is worth to go on at once. */
  #read(): boolean {
    const hungry = [...this.#lanes.values()].filter(({ isHungry }) => isHungry)
    if (hungry.length === 0) return false
    const from = Math.min(...hungry.map(({ position }) => position!))
    const wanted = (partition: number): boolean => this.#lanes.get(partition)?.isHungry === true
    const found = this.#scan.read(from, this.#generation, wanted)
    if (found === 'later') return false
    if (found === 'moved') {
      this.#forgetPlaces()
      return true
    }
    this.#fill(found.chunk, found.start)
    for (const lane of hungry) if (lane.isHungry && lane.position! < found.next) lane.position = found.next
    for (const lane of hungry) this.#deliver(lane)
    return true
  }

  #fill({ bytes, frames }: Chunk, start: number): void {
    for (const frame of frames) {
      const lane = this.#lanes.get(frame.partition)
      if (!lane?.isHungry || lane.position! > start + frame.at || frame.lastOffset < lane.next) continue
      const frameBytes = HEADER_BYTES + frame.payloadBytes
      lane.put(decodeRecords(bytes, frame.at, frame, lane.next, Number.POSITIVE_INFINITY), frameBytes)
      lane.next = frame.lastOffset + 1
      if (lane.isFull) lane.position = start + frame.at + frameBytes
    }
  }
}
