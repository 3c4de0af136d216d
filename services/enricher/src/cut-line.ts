/**
 * A line of hits.raw, cut where the collector's own way of writing it (stamp-lines.ts) allows to, without parsing it. It
 * works on bytes: most of a line tells who sent it, and is only compared with what is known. null = the line is written
 * otherwise, and has to be parsed. What comes out is text still: a line whose parts do not parse is parsed as a whole.
 */
export interface LineStart {
  readonly spooled: boolean
  readonly collectedAt: number
  readonly configAt: number
  /** Where the sender's fields begin, from `"site"` on: equal bytes mean the same sender. */
  readonly sender: number
  /** Where those of them begin that its client sends, from `"user_agent"` on: many senders have the same. */
  readonly client: number
}

/** What comes after the sender. */
export interface LineEnd {
  readonly sentAt: number | undefined
  /** Where the JSON of the list of hits begins; it ends before the last byte of the line. */
  readonly hits: number
}

const SPOOLED = Buffer.from('{"spooled":true,')
const VERSION = Buffer.from('"v":1,"collected_at":')
const CONFIG = Buffer.from(',"config_at":')
const NO_CONFIG = Buffer.from('-1')
const SITE = Buffer.from(',"site":"')
const CLIENT = Buffer.from(',"user_agent":"')
/** In a JSON text these characters cannot stand inside of a string: its quotes would be escaped. */
const HITS = Buffer.from(',"hits":[')
const SENT = Buffer.from(',"sent_at":')
const MAX_DIGITS = 15
const COMMA = 44

/** Cuts the line in [start, end) up to its client. */
export function cutStart(bytes: Buffer, start: number, end: number): LineStart | null {
  const spooled = standsAt(bytes, start, SPOOLED)
  const versionAt = spooled ? start + SPOOLED.length : start + 1
  if (bytes[start] !== SPOOLED[0] || !standsAt(bytes, versionAt, VERSION)) return null
  const collectedStart = versionAt + VERSION.length
  const collectedEnd = digitsEnd(bytes, collectedStart)
  if (!standsAt(bytes, collectedEnd, CONFIG)) return null
  const collectedAt = wholeNumber(bytes, collectedStart, collectedEnd)
  const configStart = collectedEnd + CONFIG.length
  const isNone = standsAt(bytes, configStart, NO_CONFIG)
  const configEnd = isNone ? configStart + NO_CONFIG.length : digitsEnd(bytes, configStart)
  if (!standsAt(bytes, configEnd, SITE)) return null
  const configAt = isNone ? -1 : wholeNumber(bytes, configStart, configEnd)
  if (collectedAt === -1 || (configAt === -1 && !isNone)) return null
  for (let at = configEnd + SITE.length; at < end; at++)
    if (bytes[at] === COMMA && standsAt(bytes, at, CLIENT))
      return { spooled, collectedAt, configAt, sender: configEnd + 1, client: at + 1 }
  return null
}

/** Where the sender's fields end in a line that ends at `end`: 0 = no list of hits follows. */
export function senderEnd(bytes: Buffer, client: number, end: number): number {
  const hits = bytes.indexOf(HITS, client)
  if (hits === -1 || hits >= end) return 0
  let digits = hits
  while (isDigit(bytes[digits - 1]!)) digits--
  const sent = digits - SENT.length
  return digits < hits && sent > client && standsAt(bytes, sent, SENT) ? sent : hits
}

/** Cuts the rest of the line in front of `end`, after the sender. */
export function cutEnd(bytes: Buffer, from: number, end: number): LineEnd | null {
  if (bytes[end - 1] !== 125 || bytes[end - 2] !== 93) return null
  if (standsAt(bytes, from, HITS)) return { sentAt: undefined, hits: from + HITS.length - 1 }
  if (!standsAt(bytes, from, SENT)) return null
  const digits = from + SENT.length
  const hits = digitsEnd(bytes, digits)
  const sentAt = wholeNumber(bytes, digits, hits)
  return sentAt === -1 || !standsAt(bytes, hits, HITS) ? null : { sentAt, hits: hits + HITS.length - 1 }
}

function standsAt(bytes: Buffer, at: number, text: Buffer): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false
  return true
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57

function digitsEnd(bytes: Buffer, from: number): number {
  let at = from
  while (isDigit(bytes[at]!)) at++
  return at
}

/** As JSON writes it: no sign, no leading zero, exact. -1 = it is not so. */
function wholeNumber(bytes: Buffer, from: number, to: number): number {
  if (to === from || to - from > MAX_DIGITS || (to - from > 1 && bytes[from] === 48)) return -1
  let value = 0
  for (let at = from; at < to; at++) value = value * 10 + bytes[at]! - 48
  return value
}
