/** What a goal may be told, as options of the command line, made from the one list of its fields. */
import type { ParseArgsConfig } from 'node:util'
import { GOAL_TYPES } from '@millrace/shared'
import type { OptionValues } from '../commands/command.ts'

interface Property {
  readonly type?: 'string' | 'number' | 'integer'
  readonly description: string
}
const FIELDS = new Map(
  Object.values(GOAL_TYPES).flatMap(({ properties: { type: _, ...own } }) => {
    return Object.entries(own as unknown as Record<string, Property>)
  }),
)
const optionOf = (name: string): string => name.replaceAll('_', '-')

/** `--path` and the others. */
export const GOAL_OPTIONS: NonNullable<ParseArgsConfig['options']> = Object.fromEntries(
  ['type', ...FIELDS.keys()].map((name) => [optionOf(name), { type: 'string' }] as const),
)

const SHAPES = { string: 'TEXT', number: 'N', integer: 'N' }

/** A line for each of them. */
export const GOAL_OPTIONS_HELP = [
  `  ${'--type TYPE'.padEnd(24)}${Object.keys(GOAL_TYPES).join(', ')}; left out, the other options tell it`,
  ...[...FIELDS].map(([name, { type, description }]) => {
    return `  ${`--${optionOf(name)} ${type ? SHAPES[type] : 'JSON'}`.padEnd(24)}${description.replaceAll('`', '')}`
  }),
].join('\n')

/** Which option says of itself what type a goal is of; the first that is given counts. */
const TELLING = { duration_ms: 'duration', event_name: 'event', scroll_percent: 'scroll', path: 'page' }

/**
 * The options that were given, as /v1/sites/SITE/goals takes them. What has not the form of its type stays a text: the API
 * names what is wrong.
 */
export function goalFromOptions(values: OptionValues): Record<string, unknown> {
  const told = Object.entries(TELLING).find(([name]) => values[optionOf(name)] !== undefined)?.[1]
  const type = values.type ?? told
  if (type === undefined)
    throw new Error(`say what reaches it: --${Object.keys(TELLING).map(optionOf).join(', --')} (millrace goal --help)`)
  const goal: Record<string, unknown> = { type }
  for (const [name, { type }] of FIELDS) {
    const text = values[optionOf(name)]
    if (typeof text === 'string') goal[name] = type === 'string' ? text : readJson(text)
  }
  return goal
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
