import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import type { LogLevel } from './settings.ts'

/** Names under which a request's private parts could reach a line: they are cut out, whoever passes them by mistake. */
const PRIVATE = ['ip', 'user_agent', 'userAgent', 'remoteAddress', 'req', 'request', 'headers', 'query', 'url']

/** The logger of a service: JSON lines on standard output, never with an ip, a user agent or a query string. */
export function createLogger(level: LogLevel, name: string, destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { name },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: PRIVATE, remove: true },
    },
    destination,
  )
}
