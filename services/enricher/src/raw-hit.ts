/** Records of hits.raw taken apart into hits, without ever throwing: what cannot be read becomes a dead hit. */
import { isAscii } from 'node:buffer'
import { DEFAULT_SITE_SETTINGS, type DeadReason, RAW_LINE_VERSION, type SiteSettings } from '@millrace/shared'
import { cutEnd, cutStart, type LineStart, senderEnd } from './cut-line.ts'
import { readHits } from './read-hits.ts'
import { Client, Sender } from './sender.ts'
import type { LineBytes, Senders } from './senders.ts'
import { SentHit } from './sent-hit.ts'
import type { SiteRules } from './sessions/step.ts'
import { occurredAt, receivedAt } from './steps/time.ts'
import { type SaltsByDay, VisitorIds } from './steps/visitor.ts'

/** What JSON.parse made of a line; nothing in it is trusted to have the right type. */
type Fields = Readonly<Record<string, unknown>>

/** One hit of hits.raw, and where it stands there. */
export interface RawHit {
  /** Offset of its record, and its index among the hits of the record. */
  readonly offset: number
  readonly index: number
  readonly sender: Sender
  readonly sent: Readonly<SentHit>
  /** Epoch milliseconds. */
  readonly receivedAt: number
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
  /** Those that were read already. */
  readonly senders: Senders
}

interface StoredBytes {
  readonly offset: number
  readonly timestamp: number
  readonly value: Buffer | null
}

/** `ki` is a UInt16: a record with more hits is none of ours, and dead as a whole. */
const MAX_HITS = 65_535
const LF = 10
/** Of a hit that cannot be read. */
export const NOTHING_SENT: Readonly<SentHit> = new SentHit()
const NO_HEADERS: Fields = Object.freeze({})
const NO_SALTS: SaltsByDay = { saltOf: () => null }
const NO_BYTES = Buffer.alloc(0)
const NOBODY = new Sender(
  '',
  '',
  new Client(NO_BYTES, '', NO_HEADERS, ''),
  new VisitorIds(NO_SALTS, '', '', ''),
  DEFAULT_SITE_SETTINGS,
  null,
)

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

/** A line, as far as it was read. */
interface ReadLine {
  readonly spooled: boolean
  readonly collectedAt: number
  readonly configAt: unknown
  readonly sentAt: unknown
  readonly sender: Sender
  /** null = it is none. */
  readonly hits: readonly (Readonly<SentHit> | null)[]
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
  readonly #line: LineBytes
  readonly #hitsBefore: number
  readonly #lettersBefore: number

  constructor(record: StoredBytes, tools: ReadingTools, hits: RawHit[], letters: DeadLetter[]) {
    this.#record = record
    this.#tools = tools
    this.#hits = hits
    this.#letters = letters
    this.#isAscii = record.value !== null && isAscii(record.value)
    const bytes = record.value ?? NO_BYTES
    this.#line = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) }
    this.#hitsBefore = hits.length
    this.#lettersBefore = letters.length
  }

  addLine(value: Buffer, start: number, end: number): void {
    const line = this.#recognise(value, start, end) ?? this.#parse(this.#text(value, start, end))
    if (typeof line === 'string') this.addDeadLine(value.subarray(start, end), line)
    else this.#addHits(value, start, end, line)
  }

  #text(value: Buffer, start: number, end: number): string {
    return value.toString(this.#isAscii ? 'latin1' : 'utf8', start, end)
  }

  /** A line as the collector writes it: only its hits are parsed when its sender is known. null = parse all of it. */
  #recognise(value: Buffer, start: number, end: number): ReadLine | null {
    const cut = cutStart(value, start, end)
    if (cut === null) return null
    const known = this.#knownSender(cut)
    const after = known === null ? senderEnd(value, cut.client, end) : cut.client + known.client.bytes.length
    const rest = after === 0 ? null : cutEnd(value, after, end)
    if (rest === null) return null
    const hits = readHits(value, this.#line.view, rest.hits, end - 1) ?? this.#parseHits(value, rest.hits, end - 1)
    if (hits === null) return null
    const sender = known ?? this.#learnSender(cut, after)
    if (sender === null) return null
    const { spooled, collectedAt, configAt } = cut
    return { spooled, collectedAt, configAt, sentAt: rest.sentAt, sender, hits }
  }

  #parseHits(value: Buffer, start: number, end: number): (SentHit | null)[] | null {
    return hitsOf(parse(this.#text(value, start, end)))
  }

  #knownSender({ sender: address, client }: LineStart): Sender | null {
    const known = this.#tools.senders.find(this.#line, address, client, this.#record.timestamp)
    if (known === undefined || known.settings !== this.#tools.rulesOf(known.site).settings) return null
    return known.secret === secretFor(known.settings, this.#tools) ? known : null
  }

  /** Of a line whose sender stands at [cut.sender, end). The client it has in common with many is parsed once. */
  #learnSender(cut: LineStart, end: number): Sender | null {
    const { bytes } = this.#line
    const { senders } = this.#tools
    const fields = this.#partOf(cut.sender, cut.client - 1, ADDRESS_FIELDS)
    if (fields === null || !hasAddress(fields)) return null
    const client = senders.clientOf(bytes.subarray(cut.client, end), (copy) => {
      const parsed = this.#partOf(cut.client, end, CLIENT_FIELDS)
      return parsed !== null && hasClient(parsed) ? clientOf(parsed, copy) : null
    })
    if (client === null) return null
    const sender = senderOf(fields, client, this.#tools)
    senders.add(sender, this.#line, cut.sender, cut.client)
    return sender
  }

  /** The fields of a part of the line; null = they are not only those that belong there. */
  #partOf(start: number, end: number, names: ReadonlySet<string>): Fields | null {
    const fields = parse(`{${this.#text(this.#line.bytes, start, end)}}`)
    if (!isObject(fields)) return null
    for (const name in fields) if (!names.has(name)) return null
    return fields
  }

  #parse(text: string): ReadLine | DeadReason {
    const line = parse(text)
    if (!isObject(line)) return 'line_unreadable'
    if (line.v !== RAW_LINE_VERSION) return 'line_version_unknown'
    const { collected_at: collectedAt, config_at: configAt } = line
    const hits = hitsOf(line.hits)
    if (!hasAddress(line) || !hasClient(line) || typeof collectedAt !== 'number' || hits === null)
      return 'line_unreadable'
    const sender = senderOf(line, clientOf(line, NO_BYTES), this.#tools)
    return { spooled: line.spooled === true, collectedAt, configAt, sentAt: line.sent_at, sender, hits }
  }

  #addHits(value: Buffer, start: number, end: number, line: ReadLine): void {
    const { sender, hits, sentAt, configAt } = line
    const received = receivedAt(this.#record.timestamp, line.spooled, line.collectedAt)
    const { days } = this.#tools.rulesOf(sender.site)
    if (Number.isSafeInteger(configAt)) this.configAt = Math.max(this.configAt, configAt as number)
    let letter = false
    for (const sent of hits) {
      const time = sent === null ? received : occurredAt(received, sentAt, sent.created_at)
      if (sent === null && !letter) letter = this.#addLetter(value.subarray(start, end), 'hit_invalid')
      this.#hits.push({
        offset: this.#record.offset,
        index: this.count++,
        sender,
        sent: sent ?? NOTHING_SENT,
        receivedAt: received,
        occurredAt: time,
        day: days.dayOf(time),
        dead: sent === null ? 'hit_invalid' : '',
      })
    }
  }

  addDeadLine(bytes: Buffer, reason: DeadReason): void {
    const time = this.#record.timestamp
    this.#addLetter(bytes, reason)
    this.#hits.push({
      offset: this.#record.offset,
      index: this.count++,
      sender: NOBODY,
      sent: NOTHING_SENT,
      receivedAt: time,
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

/** undefined = it is no JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The hits of a list that was parsed; null = it is no list. */
function hitsOf(list: unknown): (SentHit | null)[] | null {
  return Array.isArray(list) ? list.map((hit: unknown) => (isObject(hit) ? SentHit.of(hit) : null)) : null
}

// Only as much as is needed so that nothing throws later: the collector validates.
const hasAddress = (line: Fields): boolean => typeof line.site === 'string' && typeof line.ip === 'string'
const hasClient = (line: Fields): boolean => typeof line.user_agent === 'string'

/** What a sender is read from. */
const ADDRESS_FIELDS: ReadonlySet<string> = new Set(['site', 'trust', 'ip'])
const CLIENT_FIELDS: ReadonlySet<string> = new Set(['user_agent', 'headers', 'user'])

/** Part of the ids of a sender's `user`s; null = such ids are not read. */
const secretFor = ({ user_ids: allowed }: SiteSettings, tools: ReadingTools): Buffer | null =>
  allowed ? tools.installationSecret() : null

function clientOf(line: Fields, bytes: Buffer): Client {
  const headers = isObject(line.headers) ? line.headers : NO_HEADERS
  return new Client(bytes, line.user_agent as string, headers, typeof line.user === 'string' ? line.user : '')
}

function senderOf(line: Fields, client: Client, tools: ReadingTools): Sender {
  const site = (line.site as string).slice(0, 64).toWellFormed()
  const ip = line.ip as string
  const { settings } = tools.rulesOf(site)
  const secret = secretFor(settings, tools)
  const visitor =
    secret !== null && line.trust === 'secret' && client.user !== ''
      ? VisitorIds.ofUser(secret, site, client.user)
      : new VisitorIds(tools.salts, site, ip, client.userAgent + moreOf(client.headers, tools.fingerprintHeaders))
  return new Sender(site, ip, client, visitor, settings, secret)
}

/** A header that is missing counts as an empty one. */
function moreOf(headers: Fields, names: readonly string[]): string {
  let more = ''
  for (const name of names) more += `\0${typeof headers[name] === 'string' ? headers[name] : ''}`
  return more
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
