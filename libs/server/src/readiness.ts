/** Why a service cannot do its work now, by named part. Ready = no part has a problem. */
export class Readiness {
  readonly #parts = new Map<string, string | null>()
  readonly #watched = new Map<string, () => Promise<string | null>>()

  /** Says what keeps `part` from working, in words for the operator; null = it works. */
  set(part: string, problem: string | null): void {
    this.#parts.set(part, problem)
  }

  /** A part that is asked whenever somebody wants to know: what cannot be asked is a problem too. */
  watch(part: string, problemOf: () => Promise<string | null>): void {
    this.#watched.set(part, problemOf)
  }

  /** Asks the watched parts. */
  async refresh(): Promise<void> {
    const ask = async ([part, problemOf]: [string, () => Promise<string | null>]): Promise<void> => {
      this.set(part, await problemOf().catch((error: unknown) => (error as Error).message))
    }
    await Promise.all([...this.#watched].map(ask))
  }

  get ready(): boolean {
    return this.problems().length === 0
  }

  /** One text per part that does not work. */
  problems(): string[] {
    return [...this.#parts].filter(([, problem]) => problem !== null).map(([part, problem]) => `${part}: ${problem}`)
  }

  /** Every part that was ever set, in the order of its first mention. */
  parts(): Record<string, { ready: boolean; problem: string | null }> {
    return Object.fromEntries([...this.#parts].map(([part, problem]) => [part, { ready: problem === null, problem }]))
  }
}
