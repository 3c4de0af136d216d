/**
 * What texts came to, remembered as long as they come again: when as many as the maximum are young, what was not asked for
 * since the last time is forgotten. It holds at most twice the maximum.
 */
export class Remembered<Value> {
  readonly #max: number
  #young = new Map<string, Value>()
  #old = new Map<string, Value>()

  constructor(max: number) {
    this.#max = max
  }

  get(text: string): Value | undefined {
    const known = this.#young.get(text)
    if (known !== undefined) return known
    const older = this.#old.get(text)
    if (older !== undefined) this.set(text, older)
    return older
  }

  /** `text` is kept as it is: it should be no part of a longer one (see `detach`). */
  set(text: string, value: Value): void {
    if (this.#young.size >= this.#max) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, value)
  }
}
