import { readFileSync } from 'node:fs'

/** One setting: how its text is read, what it is when missing, and what docs/reference/settings.md says of it. */
export interface Setting<T> {
  readonly parse: (text: string) => T
  readonly fallback: T
  readonly description: string
  /** Default as shown to users. */
  readonly shown: string
  /** May also be given as NAME_FILE, the path of a file that holds it. */
  readonly secret?: boolean
}
export type SettingsSpec = Record<`MILLRACE_${string}`, Setting<unknown>>
export type SettingsOf<S extends SettingsSpec> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never }

/** All wrong settings at once, by name and never by value. */
export class SettingsError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`Wrong settings:\n${problems.map((p) => `  ${p}`).join('\n')}`)
    this.name = 'SettingsError'
    this.problems = problems
  }
}

/**
 * Reads `spec` from `env`. An empty value counts as missing. Names that start with MILLRACE_ and are in neither `spec`
 * nor `alsoKnown` are errors, so that a typing mistake is never silently ignored.
 * @throws SettingsError naming every wrong setting
 */
export function readSettings<S extends SettingsSpec>(
  spec: S,
  env: Readonly<Record<string, string | undefined>>,
  alsoKnown: Iterable<string> = [],
): SettingsOf<S> {
  const problems: string[] = []
  const values: Record<string, unknown> = {}
  const known = new Set<string>([...Object.keys(spec), ...alsoKnown])
  for (const [name, setting] of Object.entries(spec)) {
    if (setting.secret) known.add(`${name}_FILE`)
    try {
      const text = textOf(name, setting, env)
      values[name] = text === undefined ? setting.fallback : setting.parse(text)
    } catch (error) {
      problems.push(`${name} ${(error as Error).message}`)
    }
  }
  for (const name of Object.keys(env)) {
    if (name.startsWith('MILLRACE_') && !known.has(name))
      problems.push(`${name} is not a setting of Millrace${nearest(name, known)}`)
  }
  if (problems.length > 0) throw new SettingsError(problems)
  return values as SettingsOf<S>
}

function textOf(
  name: string,
  setting: Setting<unknown>,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const direct = env[name]
  const file = setting.secret ? env[`${name}_FILE`] : undefined
  if (direct && file) throw new Error(`and ${name}_FILE are both set; keep one`)
  if (!file) return direct === undefined || direct === '' ? undefined : direct
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    throw new Error('names a file (by _FILE) that cannot be read')
  }
}

function nearest(name: string, known: Iterable<string>): string {
  const best = [...known].map((k) => [distance(name, k), k] as const).sort((a, b) => a[0] - b[0])[0]
  return best && best[0] <= 3 ? `; did you mean ${best[1]}?` : ''
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]!
}

const withShown = <T>(parse: (text: string) => T, fallback: T, description: string): Setting<T> => ({
  parse,
  fallback,
  description,
  shown: fallback === '' || fallback === undefined ? 'empty' : String(fallback),
})

/** A text, one of `choices` if given. */
export function text(fallback: string, description: string): Setting<string>
export function text<T extends string>(fallback: T, description: string, choices: readonly T[]): Setting<T>
export function text(fallback: string, description: string, choices?: readonly string[]): Setting<string> {
  return withShown(
    (value) => {
      if (choices && !choices.includes(value)) throw new Error(`must be one of ${choices.join(', ')}`)
      return value
    },
    fallback,
    description,
  )
}

/** A whole number from `min` to `max`. */
export function integer(fallback: number, min: number, max: number, description: string): Setting<number> {
  return withShown(
    (value) => {
      const n = Number(value)
      if (!Number.isInteger(n) || n < min || n > max) throw new Error(`must be a whole number from ${min} to ${max}`)
      return n
    },
    fallback,
    description,
  )
}

/** An IANA time zone. */
export function timeZone(fallback: string, description: string): Setting<string> {
  return withShown(
    (value) => {
      try {
        new Intl.DateTimeFormat('en', { timeZone: value })
      } catch {
        throw new Error('must be an IANA time zone such as Europe/Vienna')
      }
      return value
    },
    fallback,
    description,
  )
}

/** A text that is never shown, with its NAME_FILE. */
export function secret(description: string): Setting<string> {
  return { parse: (value) => value, fallback: '', description, shown: 'empty', secret: true }
}
