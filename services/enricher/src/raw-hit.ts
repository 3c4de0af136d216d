/** Records of hits.raw taken apart into hits, without ever throwing: what cannot be read becomes a dead hit. */
import { isAscii } from 'node:buffer'
import { type DeadReason, type LocalDays, RAW_LINE_VERSION } from '@millrace/shared'
import { occurredAt, receivedAt } from './steps/time.ts'
import { type SaltsByDay, VisitorIds } from './steps/visitor.ts'

/** What a line says of all of its hits. */
interface RawLineFacts {
  readonly site: string
  readonly userAgent: string
  readonly acceptLanguage: string
  /** Epoch milliseconds. */
  readonly receivedAt: number
  /** Holds the address: the only way to it, and it answers with hashes only. */
  readonly visitor: VisitorIds
}

/** A hit as it was sent; nothing in it is trusted to have the right type. */
interface SentHit {
  readonly [field: string]: unknown
}

/** One hit of hits.raw, and where it stands there. */
export interface RawHit {
  /** Offset of its record, and its index among the hits of the record. */
  readonly offset: number
  readonly index: number
  readonly line: RawLineFacts
  readonly sent: SentHit
  /** Epoch milliseconds. */
  readonly occurredAt: number
  /** Days since 1970-01-01 in the site's zone, of occurredAt. */
  readonly day: number
  /** '' = it can be read. */
  readonly dead: DeadReason | ''
}

/** Bytes that nobody could read, for hits.dead. `index` is that of the line's first dead hit. */
export interface DeadLetter {
  readonly bytes: Buffer
  readonly reason: DeadReason
  readonly offset: number
  readonly index: number
}

/** What reading needs to know of sites and salts. */
export interface ReadingTools {
  readonly salts: SaltsByDay
  /** Local days of a site; of the installation for an unknown one. */
  daysOf(site: string): LocalDays
}

interface StoredBytes {
  readonly offset: number
  readonly timestamp: number
  readonly value: Buffer | null
}

/** `ki` is a UInt16: a record with more hits is none of ours, and dead as a whole. */
const MAX_HITS = 65_535
const LF = 10
const NOTHING_SENT: SentHit = Object.freeze({})
const NO_SALTS: SaltsByDay = { saltOf: () => null }
const NOBODY = new VisitorIds(NO_SALTS, '', '', '')

/** Appends every hit of a record to `hits`, one for each unreadable line too, and what is dead to `letters`. */
export function readRecord(record: StoredBytes, tools: ReadingTools, hits: RawHit[], letters: DeadLetter[]): void {
  const reader = new RecordReader(record, tools, hits, letters)
  if (record.value === null) reader.addDeadLine(Buffer.alloc(0), 'line_unreadable')
  else if (!readLines(record.value, reader)) reader.giveUp(record.value)
}

/** Lines end with LF; an empty one is a line too. False = more hits than a record can have. */
function readLines(value: Buffer, reader: RecordReader): boolean {
  for (let start = 0; start < value.length; ) {
    const found = value.indexOf(LF, start)
    const end = found === -1 ? value.length : found
    reader.addLine(value, start, end)
    if (reader.count > MAX_HITS) return false
    start = end + 1
  }
  return true
}

class RecordReader {
  count = 0
  readonly #record: StoredBytes
  readonly #tools: ReadingTools
  readonly #hits: RawHit[]
  readonly #letters: DeadLetter[]
  /** One check a record: reading ASCII costs half. */
  readonly #isAscii: boolean
  readonly #hitsBefore: number
  readonly #lettersBefore: number

  constructor(record: StoredBytes, tools: ReadingTools, hits: RawHit[], letters: DeadLetter[]) {
    this.#record = record
    this.#tools = tools
    this.#hits = hits
    this.#letters = letters
    this.#isAscii = record.value !== null && isAscii(record.value)
    this.#hitsBefore = hits.length
    this.#lettersBefore = letters.length
  }

  addLine(value: Buffer, start: number, end: number): void {
    const line = parse(value.toString(this.#isAscii ? 'latin1' : 'utf8', start, end))
    if (line === null || !isReadable(line)) this.addDeadLine(value.subarray(start, end), reasonOf(line))
    else this.#addHits(value, start, end, line)
  }

  #addHits(value: Buffer, start: number, end: number, line: SentHit): void {
    const received = receivedAt(this.#record.timestamp, line.spooled === true, line.collected_at as number)
    const facts = readFacts(line, received, this.#tools.salts)
    const days = this.#tools.daysOf(facts.site)
    const sentAt = line.sent_at
    const hits = line.hits as unknown[]
    let letter = false
    for (let i = 0; i < hits.length; i++) {
      const sent = hits[i]
      const readable = typeof sent === 'object' && sent !== null && !Array.isArray(sent)
      const time = readable ? occurredAt(received, sentAt, (sent as SentHit).created_at) : received
      if (!readable && !letter) letter = this.#addLetter(value.subarray(start, end), 'hit_invalid')
      this.#hits.push({
        offset: this.#record.offset,
        index: this.count++,
        line: facts,
        sent: readable ? (sent as SentHit) : NOTHING_SENT,
        occurredAt: time,
        day: days.dayOf(time),
        dead: readable ? '' : 'hit_invalid',
      })
    }
  }

  addDeadLine(bytes: Buffer, reason: DeadReason): void {
    const time = this.#record.timestamp
    this.#addLetter(bytes, reason)
    this.#hits.push({
      offset: this.#record.offset,
      index: this.count++,
      line: { site: '', userAgent: '', acceptLanguage: '', receivedAt: time, visitor: NOBODY },
      sent: NOTHING_SENT,
      occurredAt: time,
      day: this.#tools.daysOf('').dayOf(time),
      dead: reason,
    })
  }

  /** The whole record is one dead hit. */
  giveUp(value: Buffer): void {
    this.#hits.length = this.#hitsBefore
    this.#letters.length = this.#lettersBefore
    this.count = 0
    this.addDeadLine(value, 'line_unreadable')
  }

  #addLetter(bytes: Buffer, reason: DeadReason): true {
    this.#letters.push({ bytes, reason, offset: this.#record.offset, index: this.count })
    return true
  }
}

function parse(text: string): SentHit | null {
  try {
    const line: unknown = JSON.parse(text)
    return typeof line === 'object' && line !== null && !Array.isArray(line) ? (line as SentHit) : null
  } catch {
    return null
  }
}

/** Only as much as is needed so that nothing throws later: the collector validates. */
function isReadable(line: SentHit): boolean {
  return (
    line.v === RAW_LINE_VERSION &&
    typeof line.site === 'string' &&
    typeof line.ip === 'string' &&
    typeof line.user_agent === 'string' &&
    typeof line.collected_at === 'number' &&
    Array.isArray(line.hits)
  )
}

function reasonOf(line: SentHit | null): DeadReason {
  return line !== null && line.v !== RAW_LINE_VERSION ? 'line_version_unknown' : 'line_unreadable'
}

function readFacts(line: SentHit, received: number, salts: SaltsByDay): RawLineFacts {
  const site = (line.site as string).slice(0, 64).toWellFormed()
  const userAgent = line.user_agent as string
  const language = (line.headers as SentHit | null | undefined)?.['accept-language']
  return {
    site,
    userAgent,
    acceptLanguage: typeof language === 'string' ? language : '',
    receivedAt: received,
    visitor: new VisitorIds(salts, site, line.ip as string, userAgent),
  }
}
