/** What is watched, and what happens when it stands still. */
export interface Watched {
  /** Names what is under way and how far it is; null = nothing is. */
  readonly progress: () => string | null
  /** Called once, when the same progress was seen at `looks` looks in a row. */
  readonly onStuck: (progress: string) => void
}

const LOOK_MS = 5_000
/** Two minutes: longer than any silence that ends by itself, such as that of a broker that does not answer. */
const LOOKS = 24

/**
 * The last resort against a wait that never ends. It counts looks and not time: a process that was stopped for a while has
 * seen one look only.
 */
export class Watchdog {
  readonly #watched: Watched
  readonly #looks: number
  #seen: string | null = null
  #times = 0
  #timer: NodeJS.Timeout | undefined

  constructor(watched: Watched, looks = LOOKS) {
    this.#watched = watched
    this.#looks = looks
  }

  start(lookMs = LOOK_MS): void {
    this.#timer = setInterval(() => this.look(), lookMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** What the timer does. */
  look(): void {
    const seen = this.#watched.progress()
    this.#times = seen !== null && seen === this.#seen ? this.#times + 1 : 1
    this.#seen = seen
    if (seen === null || this.#times < this.#looks) return
    this.stop()
    this.#watched.onStuck(seen)
  }
}
