/** What a site may be told, as options of the command line: one for each setting, made from the one list of them. */
import type { ParseArgsConfig } from 'node:util'
import { SiteSettings } from '@millrace/shared'
import type { OptionValues } from '../commands/command.ts'

interface Property {
  readonly type: 'string' | 'boolean' | 'integer' | 'array'
  readonly description: string
  readonly default: unknown
}
const PROPERTIES = Object.entries(SiteSettings.properties as Record<string, unknown>) as [string, Property][]

const optionOf = (name: string): string => name.replaceAll('_', '-')

/** `--timezone` and the others, and `--reset NAME`. */
export const SITE_OPTIONS: NonNullable<ParseArgsConfig['options']> = {
  ...Object.fromEntries(PROPERTIES.map(([name]) => [optionOf(name), { type: 'string' }] as const)),
  reset: { type: 'string', multiple: true },
}

const SHAPES = { string: 'TEXT', boolean: 'true|false', integer: 'N', array: 'A,B,…' }

/** A line for each of them. */
export const SITE_OPTIONS_HELP = PROPERTIES.map(([name, { type, description, default: fallback }]) => {
  const shown = Array.isArray(fallback) || fallback === '' ? 'empty' : String(fallback)
  return `  ${`--${optionOf(name)} ${SHAPES[type]}`.padEnd(36)}${description.replaceAll('`', '')} (${shown})`
}).join('\n')

/**
 * The options that were given, as /v1/sites takes them; `null` for those that are reset. What has not the form of its
 * type stays a text: the API names what is wrong. @throws Error for a setting to reset that is none
 */
export function settingsFromOptions(values: OptionValues): Record<string, unknown> {
  const settings: Record<string, unknown> = {}
  for (const [name, { type }] of PROPERTIES) {
    const text = values[optionOf(name)]
    if (typeof text === 'string') settings[name] = readValue(text, type)
  }
  for (const reset of (values.reset ?? []) as readonly string[]) {
    const name = reset.replaceAll('-', '_')
    if (!PROPERTIES.some(([known]) => known === name)) throw new Error(`--reset ${reset}: there is no such setting`)
    settings[name] = null
  }
  return settings
}

function readValue(text: string, type: Property['type']): unknown {
  if (type === 'array') return text === '' ? [] : text.split(',').map((part) => part.trim())
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  return type === 'integer' && /^-?\d{1,9}$/.test(text) ? Number(text) : text
}
