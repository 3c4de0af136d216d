/** Records of hits.raw taken apart into hits, without ever throwing: what cannot be read becomes a dead hit. */
import { isAscii } from 'node:buffer'
import { type DeadReason, RAW_LINE_VERSION } from '@millrace/shared'
import type { SiteRules } from './sessions/step.ts'
import { occurredAt, receivedAt } from './steps/time.ts'
import { type SaltsByDay, VisitorIds } from './steps/visitor.ts'

/** What a line says of all of its hits. */
interface RawLineFacts {
  readonly site: string
  readonly userAgent: string
  readonly acceptLanguage: string
  /** What the collector kept of the request's headers, by lower-case name; nothing in it is trusted to be a text. */
  readonly headers: Readonly<Record<string, unknown>>
  /** As the collector normalised it; for the place and for networks, and never in a row. */
  readonly ip: string
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
  /** Rules of a site; of the installation for an unknown one. */
  rulesOf(site: string): Pick<SiteRules, 'days' | 'settings'>
  /** 32 bytes that are part of the hash of `user` ids; null = none are known, and `user` is not read. */
  installationSecret(): Buffer | null
  /** Headers that tell visitors apart, beside address and agent. */
  readonly fingerprintHeaders: readonly string[]
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
const NO_HEADERS: SentHit = Object.freeze({})
const NO_SALTS: SaltsByDay = { saltOf: () => null }
const NOBODY = new VisitorIds(NO_SALTS, '', '', '')

/**
 * Appends every hit of a record to `hits`, one for each unreadable line too, and what is dead to `letters`. Returns the
 * largest offset of millrace.config that the collector of a line had read; -1 = none.
 */
export function readRecord(record: StoredBytes, tools: ReadingTools, hits: RawHit[], letters: DeadLetter[]): number {
  const reader = new RecordReader(record, tools, hits, letters)
  if (record.value === null) reader.addDeadLine(Buffer.alloc(0), 'line_unreadable')
  else if (!readLines(record.value, reader)) reader.giveUp(record.value)
  return reader.configAt
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
  configAt = -1
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
    const site = (line.site as string).slice(0, 64).toWellFormed()
    const { days, settings } = this.#tools.rulesOf(site)
    const facts = readFacts(line, site, received, settings.user_ids, this.#tools)
    if (Number.isSafeInteger(line.config_at)) this.configAt = Math.max(this.configAt, line.config_at as number)
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
      line: {
        site: '',
        userAgent: '',
        acceptLanguage: '',
        headers: NO_HEADERS,
        ip: '',
        receivedAt: time,
        visitor: NOBODY,
      },
      sent: NOTHING_SENT,
      occurredAt: time,
      day: this.#tools.rulesOf('').days.dayOf(time),
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

function readFacts(
  line: SentHit,
  site: string,
  received: number,
  allowsUserIds: boolean,
  tools: ReadingTools,
): RawLineFacts {
  const userAgent = line.user_agent as string
  const headers = isObject(line.headers) ? line.headers : NO_HEADERS
  const language = headers['accept-language']
  const secret = allowsUserIds ? tools.installationSecret() : null
  return {
    site,
    userAgent,
    acceptLanguage: typeof language === 'string' ? language : '',
    headers,
    ip: line.ip as string,
    receivedAt: received,
    visitor:
      secret !== null && line.trust === 'secret' && typeof line.user === 'string' && line.user !== ''
        ? VisitorIds.ofUser(secret, site, line.user)
        : new VisitorIds(tools.salts, site, line.ip as string, userAgent, moreOf(headers, tools.fingerprintHeaders)),
  }
}

/** A header that is missing counts as an empty one. */
function moreOf(headers: SentHit, names: readonly string[]): string {
  let more = ''
  for (const name of names) more += `\0${typeof headers[name] === 'string' ? headers[name] : ''}`
  return more
}

const isObject = (value: unknown): value is SentHit =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
