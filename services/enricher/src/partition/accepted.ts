import type { ColdFile, Place } from '../cold/cold-folder.ts'

export interface SavedAccepted {
  readonly offsets: Place
  readonly times: Place
  readonly isCut: boolean
}

/** Offsets and stream times of the accepted records of a partition, as far back as a restore has to read. */
export class AcceptedRecords {
  #offsets: number[] = []
  #times: number[] = []
  #first = 0
  /** Older records than the first were there, and are forgotten. */
  #isCut = false

  /** `from`: where the last restore started; -1 = at the beginning. It is older than anything that counts. */
  constructor(from: number) {
    if (from >= 0) this.add(from, Number.NEGATIVE_INFINITY)
  }

  add(offset: number, streamTime: number): void {
    this.#offsets.push(offset)
    this.#times.push(streamTime)
  }

  save(into: ColdFile): SavedAccepted {
    const [offsets, times] = [this.#offsets, this.#times].map((all) => new Float64Array(all.slice(this.#first)))
    return { offsets: into.put(offsets!), times: into.put(times!), isCut: this.#isCut }
  }

  static load(from: ColdFile, { offsets, times, isCut }: SavedAccepted): AcceptedRecords {
    const accepted = new AcceptedRecords(-1)
    accepted.#offsets = [...new Float64Array(from.take(offsets))]
    accepted.#times = [...new Float64Array(from.take(times))]
    accepted.#isCut = isCut
    return accepted
  }

  /**
   * The last accepted record with a stream time below `before`; -1 = none. For an earlier time than was asked for before
   * it may be a later record, where the right one is forgotten: the oldest that is known.
   */
  lastBelow(before: number): number {
    let at = this.#first
    if (!(this.#times[at]! < before)) return this.#isCut ? this.#offsets[at]! : -1
    while (this.#times[at + 1]! < before) at++
    this.#isCut ||= at > 0
    this.#first = at
    if (at > 1_000 && at * 2 > this.#offsets.length) {
      this.#offsets = this.#offsets.slice(at)
      this.#times = this.#times.slice(at)
      this.#first = 0
      at = 0
    }
    return this.#offsets[at]!
  }
}
