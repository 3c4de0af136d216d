/** Two sets of names for the same things: each expected name must always meet the same stored one, and the other way round. */
export class Renaming {
  readonly #stored = new Map<string, string>()
  readonly #expected = new Map<string, string>()
  readonly #what: string
  readonly #wrong: (example: string) => void

  constructor(what: string, wrong: (example: string) => void) {
    this.#what = what
    this.#wrong = wrong
  }

  /** `#n` is a name that only tells things apart; any other visitor's name has to be the stored one itself. */
  note(expected: string, stored: string, where: string): void {
    const known = this.#stored.get(expected)
    const owner = this.#expected.get(stored)
    if (known === undefined && owner === undefined) {
      this.#stored.set(expected, stored)
      this.#expected.set(stored, expected)
      if (this.#what === 'visitor' && !expected.startsWith('#') && expected !== stored) {
        this.#wrong(`${where}: visitor expected ${expected}, stored ${stored}`)
      }
    } else if (known !== stored) {
      this.#wrong(
        `${where}: ${this.#what} ${expected} is stored as ${stored} here, elsewhere ${known ?? `${stored} is ${owner}`}`,
      )
    }
  }

  /** The stored name; '' when the expected one was never seen. */
  storedName(expected: string): string {
    return this.#stored.get(expected) ?? ''
  }

  get size(): number {
    return this.#stored.size
  }
}
