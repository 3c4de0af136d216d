import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'

export interface ShutdownOptions {
  /** The process ends after this time, whatever is still open. */
  readonly deadlineMs: number
  readonly logger?: Logger
}

export interface Shutdown {
  /** Closes as a signal would, then ends the process. */
  start(): void
  /** Lets go of the signals again. */
  cancel(): void
}

/**
 * Runs `close` once when the process is asked to stop (SIGTERM, SIGINT, ...) or fails (an error that nobody caught), then
 * ends it: with 0 after a signal, with 1 after an error, a second signal or when the deadline passes.
 */
export function onShutdown(close: () => Promise<void>, { deadlineMs, logger }: ShutdownOptions): Shutdown {
  const grace = closeWithGrace(
    {
      delay: deadlineMs,
      logger: logger ? { error: (message) => logger.error(message) } : undefined,
      onTimeout: (delay) => logger?.error({ deadline_ms: delay }, 'not closed in time: ending now'),
    },
    async ({ signal, err }: { signal?: string; err?: Error }) => {
      if (err) logger?.fatal({ err }, 'closing after an error that nobody caught')
      else logger?.info({ signal }, 'closing')
      await close()
      logger?.info('closed')
    },
  )
  return { start: () => grace.close(), cancel: () => grace.uninstall() }
}
