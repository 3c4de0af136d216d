/**
 * A UUID of version 7 (RFC 9562): the time in epoch milliseconds, then 74 random bits, those of a version 4. Ids that
 * begin with the time lie next to each other where hits are sorted.
 */
export function uuidv7(nowMs = Date.now()): string {
  const time = nowMs.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`
}
