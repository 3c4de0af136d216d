/**
 * The list of hits of a line, read from its bytes. Most of a hit is texts that came before; making them and objects of them
 * anew, as JSON.parse does, makes garbage that slows all that follows. It knows JSON without blanks and without escapes, as
 * stringifiers write it; whoever calls parses what is written otherwise.
 */
import type { Uuid } from '@millrace/shared'
import { areEqual, plainEnd, viewOf } from './byte-words.ts'
import { KnownTexts } from './known-texts.ts'
import { SENT_FIELDS, SentHit, setField } from './sent-hit.ts'
import { readUuid, uuidAt } from './steps/uuid.ts'

/** The hits of the list in [start, end), from `[` to `]`; null = it is written otherwise, or no list of objects. */
export function readHits(bytes: Buffer, view: DataView, start: number, end: number): SentHit[] | null {
  const reader = new HitsReader(bytes, view, start, end)
  const hits: SentHit[] = []
  return reader.readList(hits) && reader.isAtEnd ? hits : null
}

const [QUOTE, COMMA, MINUS, POINT, COLON, BACKSLASH] = [34, 44, 45, 46, 58, 92]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125]
const UUID_LENGTH = 36
/** So many digits are exact, and so are these powers of ten. */
const MAX_DIGITS = 15
const POWERS = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14]

const [TRUE, FALSE, NULL] = [viewOf('true'), viewOf('false'), viewOf('null')]

/** What a value is when it is written otherwise. */
const UNREAD = Symbol('unread')
const texts = new KnownTexts()

/** Fields by their number, the ids last, as they stand in a hit. */
const NAMES = [...SENT_FIELDS, 'hit_id', 'page_id'].map((name) => viewOf(`"${name}":`))
const HIT_ID = SENT_FIELDS.length
const UNKNOWN = -1
/** The fields of the last hit that was read: a sender writes all of its hits in one order, and so do most senders. */
const order: number[] = []

/** Each of its methods reads what stands at `#at`, and moves behind it; false, UNREAD = it is written otherwise. */
class HitsReader {
  readonly #bytes: Buffer
  readonly #view: DataView
  readonly #end: number
  #at: number

  constructor(bytes: Buffer, view: DataView, start: number, end: number) {
    this.#bytes = bytes
    this.#view = view
    this.#at = start
    this.#end = end
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end
  }

  readList(hits: SentHit[]): boolean {
    if (!this.#take(OPEN_LIST)) return false
    do {
      const hit = new SentHit()
      if (!this.#readHit(hit)) return false
      hits.push(hit)
    } while (this.#take(COMMA))
    return this.#take(CLOSE_LIST)
  }

  #take(byte: number): boolean {
    if (this.#at >= this.#end || this.#bytes[this.#at] !== byte) return false
    this.#at++
    return true
  }

  #readHit(hit: SentHit): boolean {
    if (!this.#take(OPEN_OBJECT)) return false
    let nth = 0
    do {
      const field = this.#readName(nth++)
      if (this.#bytes[this.#at - 1] !== COLON) return false
      if (field >= HIT_ID) {
        const id = this.#readId()
        if (id === UNREAD) return false
        if (field === HIT_ID) hit.hit_id = id
        else hit.page_id = id
      } else {
        const value = this.#readValue()
        if (value === UNREAD) return false
        if (field !== UNKNOWN) setField(hit, field, value)
      }
    } while (this.#take(COMMA))
    return this.#take(CLOSE_OBJECT)
  }

  /** Number of the field in NAMES, behind whose colon it goes on. What is no name stays where it is: behind no colon. */
  #readName(nth: number): number {
    const expected = order[nth]
    if (expected !== undefined && this.#takeWord(NAMES[expected]!)) return expected
    for (let field = 0; field < NAMES.length; field++) {
      if (!this.#takeWord(NAMES[field]!)) continue
      order[nth] = field
      return field
    }
    const end = plainEnd(this.#view, this.#at + 1, this.#end)
    const isName = this.#bytes[this.#at] === QUOTE && this.#bytes[end] === QUOTE && this.#bytes[end + 1] === COLON
    if (isName) this.#at = end + 2
    return UNKNOWN
  }

  #readId(): Uuid | null | typeof UNREAD {
    const start = this.#at + 1
    const quote = start + UUID_LENGTH
    if (quote < this.#end && this.#bytes[this.#at] === QUOTE && this.#bytes[quote] === QUOTE) {
      const id = uuidAt(this.#bytes, start)
      if (id !== null) {
        this.#at = quote + 1
        return id
      }
    }
    const value = this.#readValue()
    return value === UNREAD ? UNREAD : readUuid(value)
  }

  #readValue(): unknown {
    if (this.#at >= this.#end) return UNREAD
    const byte = this.#bytes[this.#at]!
    if (byte === QUOTE) return this.#readText()
    if (isDigit(byte)) return this.#readNumber()
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) return this.#readNested()
    return this.#readLiteral()
  }

  #readText(): unknown {
    const start = this.#at + 1
    const end = plainEnd(this.#view, start, this.#end)
    if (this.#bytes[end] !== QUOTE) return this.#readOtherText(end)
    this.#at = end + 1
    return texts.textOf(this.#bytes, this.#view, start, end)
  }

  /** With letters that ASCII does not have, from `odd` on. */
  #readOtherText(odd: number): unknown {
    const start = this.#at + 1
    let at = odd
    while (at < this.#end && this.#bytes[at]! > 127) at = plainEnd(this.#view, at + 1, this.#end)
    if (at >= this.#end || this.#bytes[at] !== QUOTE) return UNREAD
    this.#at = at + 1
    return this.#bytes.toString('utf8', start, at)
  }

  /** Whole numbers and fractions whose digits are exact: their quotient is, by IEEE 754, what JSON.parse makes of them. */
  #readNumber(): unknown {
    const bytes = this.#bytes
    const start = this.#at
    let value = 0
    let point = 0
    let at = start
    for (; at < this.#end; at++) {
      const byte = bytes[at]!
      if (isDigit(byte)) value = value * 10 + byte - 48
      else if (byte === POINT && point === 0) point = at
      else break
    }
    const next = bytes[at]!
    const hasLeadingZero = bytes[start] === 48 && at > start + 1 && point !== start + 1
    const goesOn = at >= this.#end || next === MINUS || next === POINT || (next | 32) === 101 || point === at - 1
    if (at - start > MAX_DIGITS || hasLeadingZero || goesOn) return UNREAD
    this.#at = at
    return point === 0 ? value : value / POWERS[at - point - 1]!
  }

  #readLiteral(): unknown {
    if (this.#takeWord(TRUE)) return true
    if (this.#takeWord(FALSE)) return false
    return this.#takeWord(NULL) ? null : UNREAD
  }

  #takeWord(word: DataView): boolean {
    const length = word.byteLength
    if (this.#at + length > this.#end || !areEqual(word, 0, this.#view, this.#at, length)) return false
    this.#at += length
    return true
  }

  /** Properties and tags: as far as their brackets go, then by JSON.parse. */
  #readNested(): unknown {
    const start = this.#at
    const end = nestedEnd(this.#bytes, start, this.#end)
    if (end === 0) return UNREAD
    this.#at = end
    try {
      return JSON.parse(this.#bytes.toString('utf8', start, end))
    } catch {
      return UNREAD
    }
  }
}

const isDigit = (byte: number): boolean => byte >= 48 && byte <= 57

/** Behind the bracket that closes the one at `start`; 0 = there is none. */
function nestedEnd(bytes: Buffer, start: number, end: number): number {
  let depth = 0
  let inText = false
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (inText) {
      if (byte === BACKSLASH) at++
      else if (byte === QUOTE) inText = false
    } else if (byte === QUOTE) inText = true
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++
    else if ((byte === CLOSE_OBJECT || byte === CLOSE_LIST) && --depth === 0) return at + 1
  }
  return 0
}
