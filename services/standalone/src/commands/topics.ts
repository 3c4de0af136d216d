import type { EventLog } from '@millrace/log'
import { createLogger } from '@millrace/server'
import { TOPICS } from '@millrace/shared'
import { ensureTopics, type LogParts, openEmbedded, openKafka } from '../open-log.ts'
import { patiently } from '../reach.ts'
import { settingsFrom, TOPICS_COMMAND } from '../settings.ts'
import { type Command, settingsHelp } from './command.ts'
import { PATIENCE_MS } from './migrate.ts'

export const command: Command = {
  help: `Usage: millrace topics

Makes the topics that are missing, prints all of them and ends. Waits up to two minutes until Kafka answers. The number
of partitions of a topic is never changed in place.

${settingsHelp(TOPICS_COMMAND)}`,

  async run() {
    const settings = settingsFrom(TOPICS_COMMAND, process.env)
    const logger = createLogger(settings.MILLRACE_LOG_LEVEL, 'topics', process.stderr)
    const parts: LogParts = { reach: patiently({ logger, patienceMs: PATIENCE_MS }), logger }
    const log = await (settings.MILLRACE_LOG === 'kafka' ? openKafka(settings, parts) : openEmbedded(settings, parts))
    await ensureTopics(log, settings, parts.reach)
    console.log(await describeTopics(log, settings.MILLRACE_TOPIC_PREFIX))
    await log.close()
  },
}

/** One line a topic: name, partitions, records that can be read. */
async function describeTopics(log: EventLog, prefix: string): Promise<string> {
  const admin = log.admin()
  const lines = [['topic', 'partitions', 'records']]
  for (const { name } of TOPICS) {
    const [lows, ends] = [await admin.lowOffsets(name), await admin.endOffsets(name)]
    const records = [...ends].reduce((sum, [partition, end]) => sum + end - (lows.get(partition) ?? 0), 0)
    lines.push([`${prefix}${name}`, String(ends.size), String(records)])
  }
  await admin.close()
  const width = Math.max(...lines.map(([name]) => name!.length)) + 2
  return lines.map(([name, ...numbers]) => name!.padEnd(width) + numbers.map((n) => n.padStart(10)).join('')).join('\n')
}
