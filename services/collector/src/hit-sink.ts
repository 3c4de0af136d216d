import type { PartitionLine } from './stamp-lines.ts'

/** Where hits go to be safe: the log; with a spool, the log or the spool. */
export interface HitSink {
  /**
   * Resolves when every line is durable: only then may the sender be told so. Lines of one partition keep their order.
   * @throws MillraceError overloaded or log_unavailable: the lines may or may not have been written
   */
  put(lines: readonly PartitionLine[]): Promise<void>
}
