import { integer, type SettingsOf, type SettingsSpec, text } from '@millrace/shared'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
/** How much a service writes to its log. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What every HTTP service reads. */
export const SERVER_SETTINGS = {
  MILLRACE_HOST: text('127.0.0.1', 'Address to listen on; `0.0.0.0` or `::` for every interface'),
  MILLRACE_PORT: integer(8700, 0, 65_535, 'Port to listen on; 0 takes any free one'),
  MILLRACE_LOG_LEVEL: text<LogLevel>('info', 'Least important lines that are still written', LOG_LEVELS),
} satisfies SettingsSpec

export type ServerSettings = SettingsOf<typeof SERVER_SETTINGS>
