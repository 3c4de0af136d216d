/**
 * Sessions that may still be joined but were not for a while, as text in a file; here is only what tells which of them a hit may
 * fit into, 52 bytes a session instead of about 950.
 */
import type { Hash64 } from '@millrace/shared'
import { type ColdFile, type ColdFolder, type Kept, nameOf, type Place } from '../cold/cold-folder.ts'
import type { Arrival } from '../steps/arrival.ts'
import { kindOf, type Session, type SessionKind } from './session.ts'
import { SessionPacker } from './session-packer.ts'

/** Sessions of a segment. */
const CAPACITY = 65_536
/** A segment takes sessions for so long, by their ends. */
const SPAN_MS = 30 * 60_000
/** A text begins below this place. */
const FULL_BYTES = 2 ** 30
/** Twice as many slots as sessions: few lie beside their own. */
const SLOTS = CAPACITY * 2

/** Words of a session. Times count from the segment's origin; NEXT: the session before of one with the same LOW, plus 1. */
const [LOW, HIGH, SESSION, START, END, KIND] = [0, 1, 2, 3, 4, 5] as const
const [SOURCE, CAMPAIGN, OPENED, AT, NEXT, WORDS] = [6, 7, 8, 9, 10, 11] as const
const KINDS: readonly SessionKind[] = ['person', 'bot', 'flood']
/** Instead of AT: taken back. */
const TAKEN = -1
/** Times that many milliseconds around the origin can be told. */
const REACH_MS = 2 ** 31 - 1

/** What is told of a hit to find the sessions that it may fit into. */
export interface Sought {
  readonly visitorId: Hash64
  readonly kind: SessionKind
  readonly time: number
  readonly timeoutMs: number
  /** A session that is farther away, in milliseconds, is of no use. */
  readonly within: number
  /** null = it fits whatever brought the visitor. */
  readonly arrival: Arrival | null
}

/** A session put aside, read. It belongs to nobody until it is taken. */
export interface Found {
  readonly session: Session
  readonly segment: Segment
  readonly entry: number
}

/** Where a session is, and what tells which of a visitor's sessions a hit joins: see `comesFirst`. */
interface Candidate {
  readonly segment: Segment
  readonly entry: number
  readonly distance: number
  readonly start: number
  readonly opened: number
}

/** The nearer one, of equally near ones the later start, then the one opened later: no two are equal. */
function comesFirst(a: Candidate, b: Candidate): boolean {
  if (a.distance !== b.distance) return a.distance < b.distance
  return a.start !== b.start ? a.start > b.start : a.opened > b.opened
}

interface SavedSegment {
  readonly file: string
  readonly bytes: number
  readonly origin: number
  readonly size: number
  readonly taken: number
  readonly lastEnd: number
  readonly words: Place
}
export type SavedColdSessions = readonly SavedSegment[]

/** Sessions put aside together, in the order of time. */
class Segment {
  readonly file: ColdFile
  readonly #origin: number
  readonly #words = new Int32Array(CAPACITY * WORDS)
  /** By LOW the session put aside last, plus 1; 0 = free. */
  readonly #heads = new Int32Array(SLOTS)
  #size = 0
  #taken = 0
  /** The latest end of its sessions, epoch milliseconds. */
  lastEnd = Number.NEGATIVE_INFINITY

  constructor(file: ColdFile, origin: number) {
    this.file = file
    this.#origin = origin
  }

  /** Sessions that nobody has taken back. */
  get count(): number {
    return this.#size - this.#taken
  }

  save(into: ColdFile): SavedSegment {
    return {
      ...{ file: nameOf(this.file), bytes: this.file.size, origin: this.#origin, lastEnd: this.lastEnd },
      ...{ size: this.#size, taken: this.#taken, words: into.put(this.#words.subarray(0, this.#size * WORDS)) },
    }
  }

  static load({ arrays, open }: Kept, { file, bytes, origin, size, taken, lastEnd, words }: SavedSegment): Segment {
    const segment = new Segment(open(file, bytes), origin)
    segment.#words.set(new Int32Array(arrays.take(words)))
    for (let entry = 0; entry < size; entry++)
      segment.#heads[segment.#slot(segment.#words[entry * WORDS + LOW]!)] = entry + 1
    segment.#size = size
    segment.#taken = taken
    segment.lastEnd = lastEnd
    return segment
  }

  canTake(sessions: readonly Session[]): boolean {
    const hasRoom = this.#size + sessions.length <= CAPACITY && this.file.size < FULL_BYTES
    return hasRoom && sessions.every((session) => this.#reaches(session)) && sessions[0]!.end - this.#origin < SPAN_MS
  }

  #reaches({ start, end }: Session): boolean {
    return Math.abs(start - this.#origin) < REACH_MS && Math.abs(end - this.#origin) < REACH_MS
  }

  /** `at`: where its text begins in the file. */
  add(session: Session, at: number): void {
    const { visitorId, sessionId, start, end, arrival, opened } = session
    const words = this.#words
    const slot = this.#slot(visitorId.low)
    const entry = this.#size++
    const first = entry * WORDS
    words[first + LOW] = visitorId.low
    words[first + HIGH] = visitorId.high
    words[first + SESSION] = sessionId.low
    words[first + START] = start - this.#origin
    words[first + END] = end - this.#origin
    words[first + KIND] = KINDS.indexOf(kindOf(session))
    words[first + SOURCE] = hashOf(arrival.source)
    words[first + CAMPAIGN] = campaignBits(arrival)
    words[first + OPENED] = opened
    words[first + AT] = at
    words[first + NEXT] = this.#heads[slot]!
    this.#heads[slot] = entry + 1
    this.lastEnd = Math.max(this.lastEnd, end)
  }

  /** The sessions that a hit may fit into. */
  *candidates({ visitorId, kind, time, timeoutMs, within, arrival }: Sought): Iterable<Candidate> {
    const words = this.#words
    const kindCode = KINDS.indexOf(kind)
    const source = arrival === null ? 0 : hashOf(arrival.source)
    const campaign = arrival === null ? 0 : campaignBits(arrival)
    const farthest = Math.min(within, timeoutMs)
    const at = time - this.#origin
    for (const entry of this.#of(visitorId)) {
      const first = entry * WORDS
      const start = words[first + START]!
      const distance = Math.max(start - at, at - words[first + END]!, 0)
      if (distance > farthest || words[first + KIND] !== kindCode) continue
      if (source !== 0 && source !== words[first + SOURCE]) continue
      if ((campaign & ~words[first + CAMPAIGN]!) !== 0) continue
      yield { segment: this, entry, distance, start: this.#origin + start, opened: words[first + OPENED]! }
    }
  }

  /** The entries that may be of this session. */
  *ofSession(visitorId: Hash64, sessionId: Hash64): Iterable<number> {
    for (const entry of this.#of(visitorId)) if (this.#words[entry * WORDS + SESSION] === sessionId.low) yield entry
  }

  at(entry: number): number {
    return this.#words[entry * WORDS + AT]!
  }

  take(entry: number): void {
    this.#words[entry * WORDS + AT] = TAKEN
    this.#taken++
  }

  *#of(visitorId: Hash64): Iterable<number> {
    const words = this.#words
    for (let next = this.#heads[this.#slot(visitorId.low)]!; next !== 0; ) {
      const entry = next - 1
      const first = entry * WORDS
      next = words[first + NEXT]!
      if (words[first + HIGH] === visitorId.high && words[first + AT] !== TAKEN) yield entry
    }
  }

  /** The slot of a LOW, or the free one where it belongs. */
  #slot(low: number): number {
    let slot = (Math.imul(low, 0x9e3779b1) >>> 0) % SLOTS
    for (;;) {
      const head = this.#heads[slot]!
      if (head === 0 || this.#words[(head - 1) * WORDS + LOW] === low) return slot
      slot = (slot + 1) % SLOTS
    }
  }
}

/** All sessions of a partition that are put aside. */
export class ColdSessions {
  readonly #folder: ColdFolder
  readonly #packer = new SessionPacker()
  /** The oldest first. */
  #segments: Segment[] = []

  constructor(folder: ColdFolder) {
    this.#folder = folder
  }

  get count(): number {
    return this.#segments.reduce((sum, { count }) => sum + count, 0)
  }

  /** None of them ended later, epoch milliseconds; minus infinity without any. */
  get lastEnd(): number {
    let last = Number.NEGATIVE_INFINITY
    for (const { lastEnd } of this.#segments) if (lastEnd > last) last = lastEnd
    return last
  }

  /** Takes copies of at most CAPACITY sessions; false = the disk did not, all have to stay where they are. */
  add(sessions: readonly Session[]): boolean {
    return this.#folder.try(() => this.addOrThrow(sessions))
  }

  /** As `add`. @throws Error of the file system */
  addOrThrow(sessions: readonly Session[]): void {
    const segment = this.#segmentFor(sessions)
    const { bytes, at } = this.#packer.pack(sessions)
    const from = segment.file.append(bytes)
    sessions.forEach((session, i) => {
      segment.add(session, from + at[i]!)
    })
  }

  #segmentFor(sessions: readonly Session[]): Segment {
    const last = this.#segments.at(-1)
    if (last?.canTake(sessions)) return last
    const segment = new Segment(this.#folder.create(), sessions[0]!.end)
    if (!segment.canTake(sessions)) {
      segment.file.close()
      throw new RangeError('sessions of more than three weeks')
    }
    this.#segments.push(segment)
    return segment
  }

  /** Those that a hit may fit into, as `comesFirst` says, and perhaps some that it does not. None is read before it is asked for. */
  *thatMayFit(sought: Sought): Iterable<Found> {
    let candidate = this.#firstAfter(null, sought)
    while (candidate !== null) {
      yield this.#read(candidate.segment, candidate.entry)
      candidate = this.#firstAfter(candidate, sought)
    }
  }

  #firstAfter(before: Candidate | null, sought: Sought): Candidate | null {
    let first: Candidate | null = null
    for (const segment of this.#segments) {
      for (const candidate of segment.candidates(sought)) {
        if (before !== null && !comesFirst(before, candidate)) continue
        if (first === null || comesFirst(candidate, first)) first = candidate
      }
    }
    return first
  }

  /** The session of this name. */
  named(visitorId: Hash64, sessionId: Hash64): Found | null {
    for (const segment of this.#segments) {
      for (const entry of segment.ofSession(visitorId, sessionId)) {
        const found = this.#read(segment, entry)
        if (found.session.sessionId.equals(sessionId)) return found
      }
    }
    return null
  }

  /** From now on it is not here any more. */
  take({ segment, entry }: Found): void {
    segment.take(entry)
  }

  /** Forgets segments of which all sessions ended before `since`. */
  forget(since: number): void {
    if (this.#segments.every(({ lastEnd }) => lastEnd >= since)) return
    for (const { file, lastEnd } of this.#segments) if (lastEnd < since) file.close()
    this.#segments = this.#segments.filter(({ lastEnd }) => lastEnd >= since)
  }

  close(): void {
    this.forget(Number.POSITIVE_INFINITY)
  }

  save(into: ColdFile): SavedColdSessions {
    return this.#segments.map((segment) => segment.save(into))
  }

  /** Where nothing is put aside yet. */
  load(kept: Kept, saved: SavedColdSessions): void {
    for (const segment of saved) this.#segments.push(Segment.load(kept, segment))
  }

  get files(): ColdFile[] {
    return this.#segments.map(({ file }) => file)
  }

  #read(segment: Segment, entry: number): Found {
    return { session: this.#packer.unpack(segment.file, segment.at(entry)), segment, entry }
  }
}

/** One bit for each UTM value that is said. */
function campaignBits({ utmSource, utmMedium, utmCampaign, utmContent, utmTerm }: Arrival): number {
  return bitOf(utmSource, 0) | bitOf(utmMedium, 1) | bitOf(utmCampaign, 2) | bitOf(utmContent, 3) | bitOf(utmTerm, 4)
}

const bitOf = (value: string, field: number): number => (value === '' ? 0 : 1 << ((hashOf(value) >>> (8 + field)) & 31))

/** 32 bits of a text, not 0; 0 for the empty one. */
function hashOf(text: string): number {
  if (text === '') return 0
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) | 1
}
