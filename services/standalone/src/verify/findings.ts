/** What `millrace verify` compares; each is a line of its summary. The codes of docs/guarantees.md stand before the names. */
const CHECKS = [
  'I1 every raw hit of the log has its row',
  'I2 a raw hit has one row',
  'I3 daily_hits equals a recount of hits',
  'I3 daily_pages equals a recount of hits',
  'I3 daily_sessions equals a recount of sessions',
  'I3 other rollups equal their views over hits and sessions',
  'I4 the chain of hits.enriched is contiguous',
  'I5 hits equal the independent recount of the log',
  'I5 sessions equal a recount of their hits',
  'I5 sessions equal the independent recount of the log',
  'I6 nothing below the plan is missing',
] as const
export type CheckName = (typeof CHECKS)[number]

const MAX_EXAMPLES = 10
/** What decides where a session ends is no row of the log: it is recounted with the settings of who asks. */
const OTHER_SETTINGS =
  'most sessions differ: were they made with another MILLRACE_SESSION_TIMEOUT_MINUTES or MILLRACE_TIMEZONE than verify has?'

/** One line of the summary. */
interface CheckResult {
  readonly name: CheckName
  readonly compared: number
  readonly wrong: number
  /** The first differences, with where they are: positions, sites, days, ids; never an address or a user agent. */
  readonly examples: readonly string[]
}

export interface VerifyReport {
  readonly ok: boolean
  /** Counts of what was looked at. */
  readonly facts: Readonly<Record<string, number>>
  readonly checks: readonly CheckResult[]
  /** What could not be compared, and why. */
  readonly not_compared: readonly string[]
}

/** Gathers what was compared, what differs, and what could not be compared. */
export class Findings {
  readonly #checks = new Map<CheckName, { compared: number; wrong: number; examples: string[] }>()
  readonly #notCompared = new Set<string>()
  readonly #facts: Record<string, number> = {}

  #of(name: CheckName) {
    let check = this.#checks.get(name)
    if (!check) {
      check = { compared: 0, wrong: 0, examples: [] }
      this.#checks.set(name, check)
    }
    return check
  }

  compared(name: CheckName, count: number): void {
    this.#of(name).compared += count
  }

  wrong(name: CheckName, example: string): void {
    const check = this.#of(name)
    check.wrong += 1
    if (check.examples.length < MAX_EXAMPLES) check.examples.push(example)
  }

  /** Compares two values of one thing. */
  same(name: CheckName, where: string, expected: unknown, stored: unknown): void {
    this.compared(name, 1)
    if (expected !== stored) this.wrong(name, `${where}: expected ${expected}, stored ${stored}`)
  }

  notCompared(what: string): void {
    this.#notCompared.add(what)
  }

  count(fact: string, by = 1): void {
    this.#facts[fact] = (this.#facts[fact] ?? 0) + by
  }

  report(): VerifyReport {
    const checks = CHECKS.flatMap((name) => {
      const check = this.#checks.get(name)
      return check ? [{ name, ...check }] : []
    })
    const ok = checks.every(({ wrong }) => wrong === 0)
    return { ok, facts: this.#facts, checks, not_compared: [...this.#notCompared] }
  }
}

const mostSessionsDiffer = ({ name, compared, wrong }: CheckResult): boolean =>
  name === 'I5 sessions equal the independent recount of the log' && wrong * 2 > compared

/** The report for people. */
export function describeReport({ ok, facts, checks, not_compared: notCompared }: VerifyReport): string {
  const width = Math.max(0, ...checks.map(({ name }) => name.length))
  const lines = checks.map(({ name, compared, wrong, examples }) =>
    [
      `${wrong === 0 ? 'ok   ' : 'WRONG'}  ${name.padEnd(width)}  ${compared} compared${wrong > 0 ? `, ${wrong} differ` : ''}`,
      ...examples.map((example) => `         ${example}`),
      ...(wrong > examples.length ? [`         and ${wrong - examples.length} more`] : []),
    ].join('\n'),
  )
  const counts = Object.entries(facts).map(([name, count]) => `${name.replaceAll('_', ' ')} ${count}`)
  return [
    ...lines,
    ...(counts.length > 0 ? [`looked at: ${counts.join(', ')}`] : []),
    ...notCompared.map((what) => `not compared: ${what}`),
    ...(checks.some(mostSessionsDiffer) ? [OTHER_SETTINGS] : []),
    ok ? 'no differences' : 'there are differences',
  ].join('\n')
}
