import type { ParseArgsConfig } from 'node:util'
import type { SettingsSpec } from '@millrace/shared'

/** Values of a command's options: texts, true for flags that were given, lists for options that may come again. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

/** One command of `millrace`. */
export interface Command {
  readonly help: string
  readonly options?: NonNullable<ParseArgsConfig['options']>
  /** Names of the words beside the options, for the message when one is too many; none = there are none. */
  readonly words?: readonly string[]
  /** @throws Error with a sentence for the person at the terminal */
  run(values: OptionValues, words: readonly string[]): Promise<void>
}

/** The settings of a command as its help lists them. */
export function settingsHelp(spec: SettingsSpec): string {
  const lines = Object.entries(spec).map(
    ([name, { description, shown }]) => `  ${name.padEnd(34)}${description.replaceAll('`', '')} (${shown})`,
  )
  return `Settings (environment; secrets also by NAME_FILE):\n${lines.join('\n')}`
}
