const DAY_MS = 86_400_000

/**
 * received_at: the append time; for a line that waited in a spool the collector's clock if that is earlier, so that no
 * collector's clock can push the stream. A clock more than 24 h behind is no clock: 24 h is the most that counts.
 */
export function receivedAt(appendedAt: number, spooled: boolean, collectedAt: number): number {
  if (!spooled || !(collectedAt < appendedAt)) return appendedAt
  return Math.max(Math.floor(collectedAt), appendedAt - DAY_MS)
}

/** occurred_at = received_at - clamp(sent_at - created_at, 0, 24 h), in whole milliseconds; without both clocks received_at. */
export function occurredAt(received: number, sentAt: unknown, createdAt: unknown): number {
  if (typeof sentAt !== 'number' || typeof createdAt !== 'number') return received
  const age = sentAt - createdAt
  if (!(age > 0)) return received
  return age >= DAY_MS ? received - DAY_MS : Math.round(received - age)
}
