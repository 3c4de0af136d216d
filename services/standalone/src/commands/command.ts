import type { ParseArgsConfig } from 'node:util'
import type { SettingsSpec } from '@millrace/shared'

/** Values of a command's options: texts, and true for flags that were given. */
type OptionValues = Readonly<Record<string, string | boolean | undefined>>

/** One command of `millrace`. */
export interface Command {
  readonly help: string
  readonly options?: NonNullable<ParseArgsConfig['options']>
  /** @throws Error with a sentence for the person at the terminal */
  run(values: OptionValues): Promise<void>
}

/** The settings of a command as its help lists them. */
export function settingsHelp(spec: SettingsSpec): string {
  const lines = Object.entries(spec).map(
    ([name, { description, shown }]) => `  ${name.padEnd(34)}${description.replaceAll('`', '')} (${shown})`,
  )
  return `Settings (environment; secrets also by NAME_FILE):\n${lines.join('\n')}`
}
