import { APPENDED } from './log-load.ts'

/** What every life found at its start and end, beside what the lives before it were promised: everything that is wrong. */
export function judgeLog(notes: readonly (readonly string[])[]): string[] {
  const wrong: string[] = []
  const promised = new Promises()
  for (const [word, ...words] of notes) {
    const [name, first, second, third] = words as [string, string, string, string]
    if (word === 'wrong') wrong.push(words.join(' '))
    else if (word === 'appended') promised.append(Number(name), Number(first), Number(second), Number(third))
    else if (word === 'commits') promised.begin('position', name)
    else if (word === 'committed') promised.settle('position', name)
    else if (word === 'sets') promised.begin(name, first)
    else if (word === 'set') promised.settle(name, first)
    else if (word === 'has') wrong.push(...promised.compareRange(Number(name), Number(first), Number(second)))
    else if (word === 'position') wrong.push(...promised.compare('position', name))
    else if (word === 'holds') wrong.push(...promised.compare(name, first))
  }
  return wrong
}

/** What was acknowledged, and what was asked and not answered. */
class Promises {
  readonly #settled = new Map<string, string>()
  readonly #begun = new Map<string, string>()
  readonly #appended: { partition: number; from: number; to: number; at: number }[] = []
  #now = 0

  append(partition: number, base: number, count: number, at: number): void {
    this.#appended.push({ partition, from: base, to: base + count, at })
    this.#now = Math.max(this.#now, at)
  }
  begin(name: string, value: string): void {
    this.#begun.set(name, value)
  }
  settle(name: string, value: string): void {
    this.#settled.set(name, value)
    this.#begun.delete(name)
  }

  /** A value is the one acknowledged last, or one asked for since. What was found once stays. */
  compare(name: string, found: string): string[] {
    const settled = this.#settled.get(name) ?? 'nothing'
    const begun = this.#begun.get(name)
    if (found !== settled && found !== begun) return [`${name} is ${found}, acknowledged was ${settled}`]
    this.settle(name, found)
    return []
  }

  /** Every acknowledged record is in [low, end), unless it had to expire. */
  compareRange(partition: number, low: number, end: number): string[] {
    // The clock goes on by a minute after each append, before segments may expire.
    const oldest = this.#now + 60_000 - APPENDED.retentionMs
    return this.#appended
      .filter(
        (records) =>
          records.partition === partition && (records.to > end || (records.from < low && records.at > oldest)),
      )
      .map(({ from, to }) => `partition ${partition} has [${low}, ${end}), acknowledged was [${from}, ${to})`)
  }
}
