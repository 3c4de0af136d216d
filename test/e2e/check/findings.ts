/** What the checks look for; each is a line of the summary. The codes of the guarantees stand before the names. */
const INVARIANTS = [
  'I1 every answered hit is stored',
  'I1 nothing is stored that was not sent',
  'I1 a hit is kept once',
  'I2 a raw hit has one row',
  'I2 a kept hit_id has one row',
  'I3 daily_hits equals a recount of hits',
  'I3 daily_pages equals a recount of hits',
  'I3 daily_sessions equals a recount of sessions',
  'I4 the chain of hits.enriched is contiguous',
  'I5 hits equal the independent recount',
  'I5 sessions equal the independent recount',
  'I5 daily totals equal the independent recount',
  'I6 nothing is left to insert',
  'I7 a restart changes no number of the past',
  'I8 memory and spool stay bounded',
  'I9 nothing behind the enricher holds an address or a user agent',
  'a hit that is not taken is told to come again (429, 5xx)',
] as const
export type Invariant = (typeof INVARIANTS)[number]

const MAX_EXAMPLES = 5

/** What was checked, and what was found wrong. */
export class Findings {
  readonly #checked = new Map<Invariant, { compared: number; wrong: number; examples: string[] }>()

  #of(invariant: Invariant) {
    let entry = this.#checked.get(invariant)
    if (!entry) {
      entry = { compared: 0, wrong: 0, examples: [] }
      this.#checked.set(invariant, entry)
    }
    return entry
  }

  /** Notes that so many things were compared. */
  compared(invariant: Invariant, count: number): void {
    this.#of(invariant).compared += count
  }

  /** Notes a violation. Examples name positions and ids, never an address or a user agent. */
  wrong(invariant: Invariant, example: string): void {
    const entry = this.#of(invariant)
    entry.wrong += 1
    if (entry.examples.length < MAX_EXAMPLES) entry.examples.push(example)
  }

  /** Compares two values of one thing. */
  same(invariant: Invariant, what: string, expected: unknown, stored: unknown): void {
    this.compared(invariant, 1)
    if (expected !== stored) this.wrong(invariant, `${what}: expected ${expected}, stored ${stored}`)
  }

  report(facts: Readonly<Record<string, number>>): CheckReport {
    const checks = INVARIANTS.filter((name) => this.#checked.has(name)).map((name) => ({ name, ...this.#of(name) }))
    return { ok: checks.every(({ wrong }) => wrong === 0), facts, checks }
  }
}

export interface CheckReport {
  readonly ok: boolean
  /** Counts that belong in the summary: raw hits, kept, sessions. */
  readonly facts: Readonly<Record<string, number>>
  readonly checks: readonly {
    readonly name: Invariant
    readonly compared: number
    readonly wrong: number
    readonly examples: readonly string[]
  }[]
}

/** The report as a table, with examples of everything that is wrong. */
export function tableOf({ facts, checks }: CheckReport): string {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const lines = checks.map(({ name, compared, wrong, examples }) =>
    [
      `  ${wrong === 0 ? 'ok    ' : 'WRONG '} ${name.padEnd(width)}  ${String(compared).padStart(9)} compared, ${wrong} wrong`,
      ...examples.map((example) => `           ${example}`),
    ].join('\n'),
  )
  const counts = Object.entries(facts).map(([name, count]) => `${name} ${count}`)
  return [`  ${counts.join(', ')}`, ...lines].join('\n')
}
