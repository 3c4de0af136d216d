import { hash } from 'node:crypto'
import type { RawLine } from '@millrace/shared'
import type { PartitionLine } from '../stamp-lines.ts'

const MARK = '{"spooled":true,'

/** The line as it goes to the log from the spool: enrichers then take its `collected_at` for the time of its arrival. */
export const markSpooled = ({ partition, text, hits }: PartitionLine): PartitionLine => ({
  partition,
  text: MARK + text.slice(1),
  hits,
})

/**
 * Who sent a line, as far as it tells one hit_id from the same one of somebody else: senders choose them, and a careless
 * one gives the same to everybody.
 */
export const identityOf = ({ site, ip, user_agent, user }: RawLine): string =>
  hash('sha256', [site, ip, user_agent, user].join('\0'), 'hex').slice(0, 16)

/** The lines of a record. */
export function linesOf(value: Buffer): string[] {
  const lines = value.toString().split('\n')
  lines.pop()
  return lines
}
