import { type ConfigBook, openConfigBook, openConfigWriter } from '@millrace/config'
import type { EventLog } from '@millrace/log'
import type { Logger } from '@millrace/server'
import type { Reach } from './reach.ts'

export interface ConfigParts {
  readonly reach: Reach
  readonly logger: Logger
}

/** Sites, goals and keys, read and followed, as soon as the topic can be read. */
export function openConfig(log: EventLog, { reach, logger }: ConfigParts): Promise<ConfigBook> {
  const onProblem = (problem: string | null): void => {
    if (problem === null) logger.info('millrace.config is followed again')
    else logger.error({ problem }, 'sites and keys may be out of date')
  }
  return reach('config', () => openConfigBook(log, { onProblem }))
}

/** At the very first start: the installation's secret, and `firstSites` with it. */
export async function ensureInstallation(
  log: EventLog,
  config: ConfigBook,
  reach: Reach,
  firstSites: readonly string[] = [],
): Promise<void> {
  const writer = openConfigWriter(log, config)
  await reach('config', () => writer.ensureInstallation(firstSites))
  await writer.close()
}
