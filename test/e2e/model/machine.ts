import type { VirtualTime } from './virtual-time.ts'

/** Numbers in [0, 1), always the same for a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** What all of a schedule share: its time, its dice, and whether things still go wrong. */
export class Weather {
  readonly time: VirtualTime
  readonly random: () => number
  stormy = true

  constructor(time: VirtualTime, random: () => number) {
    this.time = time
    this.random = random
  }

  /** A whole number in [0, below). */
  pick(below: number): number {
    return Math.floor(this.random() * below)
  }

  /** Whether something that goes wrong with this probability does so now. */
  strikes(probability: number): boolean {
    return this.stormy && this.random() < probability
  }

  /** How long a message takes: mostly a moment, sometimes seconds. Milliseconds. */
  latency(): number {
    if (!this.stormy) return 1
    const dice = this.random()
    if (dice < 0.9) return dice * 5
    return dice < 0.985 ? 5 + this.random() * 100 : this.random() * 3_000
  }
}

/** One process: it can stand still for a while, and it can be gone. */
export class Machine {
  readonly weather: Weather
  dead = false
  pausedUntil = 0

  constructor(weather: Weather) {
    this.weather = weather
  }

  get paused(): boolean {
    return this.weather.time.now < this.pausedUntil
  }

  /** A message on its way to or from the machine. What a dead machine waits for never comes. */
  async message(): Promise<void> {
    const { time } = this.weather
    await time.sleep(this.weather.latency())
    while (this.paused) await time.sleep(this.pausedUntil - time.now)
    if (this.dead) await new Promise(() => undefined)
  }

  /** A question and its answer; now and then it fails, done or not. */
  async ask<T>(what: string, answer: () => T): Promise<T> {
    await this.message()
    if (this.weather.strikes(0.01)) throw new Error(`planted: ${what} failed`)
    const value = answer()
    await this.message()
    if (this.weather.strikes(0.005)) throw new Error(`planted: the answer of ${what} was lost`)
    return value
  }
}
