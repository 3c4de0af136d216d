/** A line of hits.raw, cut where the collector's own way of writing it allows to, without parsing it. */
export interface CutLine {
  readonly spooled: boolean
  readonly collectedAt: number
  readonly configAt: number
  /** The fields of the sender, from `"site"` on: equal texts mean the same sender. */
  readonly sender: string
  readonly sentAt: number | undefined
  /** JSON of the list of hits. */
  readonly hits: string
}

const SPOOLED = '{"spooled":true,'
const VERSION = '"v":1,"collected_at":'
const CONFIG = ',"config_at":'
const SITE = ',"site":"'
/** In a JSON text these characters cannot stand inside of a string: its quotes would be escaped. */
const HITS = ',"hits":['
const SENT = ',"sent_at":'

/**
 * Cuts a line of version 1 with its fields in the order of stamp-lines.ts. null = it is written otherwise, and has to be
 * parsed. What it gives is text still: the caller parses, and a line that does not parse so is parsed as a whole.
 */
export function cutLine(text: string): CutLine | null {
  const spooled = text.startsWith(SPOOLED)
  let at = spooled ? SPOOLED.length : 1
  if (text.charCodeAt(0) !== 123 || !text.startsWith(VERSION, at)) return null
  at += VERSION.length
  const collectedEnd = digitsEnd(text, at)
  if (!text.startsWith(CONFIG, collectedEnd)) return null
  const collectedAt = wholeNumber(text, at, collectedEnd)
  at = collectedEnd + CONFIG.length
  const isNone = text.startsWith('-1', at)
  const configEnd = isNone ? at + 2 : digitsEnd(text, at)
  if (!text.startsWith(SITE, configEnd)) return null
  const configAt = isNone ? -1 : wholeNumber(text, at, configEnd)
  const hitsAt = text.indexOf(HITS, configEnd)
  if (hitsAt === -1 || collectedAt === null || configAt === null || !text.endsWith(']}')) return null
  const sentStart = digitsStart(text, hitsAt)
  const isSent = sentStart < hitsAt && text.startsWith(SENT, sentStart - SENT.length)
  const sentAt = isSent ? wholeNumber(text, sentStart, hitsAt) : undefined
  if (sentAt === null) return null
  const senderEnd = isSent ? sentStart - SENT.length : hitsAt
  return {
    spooled,
    collectedAt,
    configAt,
    sender: text.slice(configEnd + 1, senderEnd),
    sentAt,
    hits: text.slice(hitsAt + HITS.length - 1, -1),
  }
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57

function digitsEnd(text: string, from: number): number {
  let at = from
  while (isDigit(text.charCodeAt(at))) at++
  return at
}

function digitsStart(text: string, end: number): number {
  let at = end
  while (isDigit(text.charCodeAt(at - 1))) at--
  return at
}

/** As JSON writes it: no sign, no leading zero, exact. null = it is not so. */
function wholeNumber(text: string, from: number, to: number): number | null {
  if (to === from || to - from > 15 || (to - from > 1 && text.charCodeAt(from) === 48)) return null
  let value = 0
  for (let at = from; at < to; at++) value = value * 10 + text.charCodeAt(at) - 48
  return value
}
