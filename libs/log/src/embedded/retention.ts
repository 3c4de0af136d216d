import type { TopicLog } from './topic-log.ts'

/**
 * Closed segments of a topic, counted from the oldest, whose newest record is older than the topic's retention. A record
 * that claims a time after its segment was closed counts as written then, so a wrong clock keeps nothing for ever.
 */
export function countExpired({ segments, spec }: TopicLog, nowMs: number): number {
  if (spec.cleanup !== 'delete') return 0
  let count = 0
  while (count < segments.length - 1) {
    const newest = Math.min(segments[count]!.index.newest, segments[count + 1]!.createdAt)
    if (newest >= nowMs - spec.retentionMs) break
    count++
  }
  return count
}
