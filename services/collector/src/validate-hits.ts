import {
  EngagementHit,
  type ErrorCode,
  EventHit,
  MAX_HITS_PER_REQUEST,
  MillraceError,
  PageViewHit,
  SECRET_FIELDS,
  type WireHit,
} from '@millrace/shared'
import { type TObject, Type } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler, type ValueError, ValueErrorType } from '@sinclair/typebox/compiler'
import { cleanText } from './clean-text.ts'

/** One hit that was not taken: its place in the request, and what is wrong first of all. */
export interface RefusedHit {
  readonly index: number
  readonly code: ErrorCode
  /** JSON pointer into the body as sent. */
  readonly pointer: string
  readonly detail: string
}

/** Hits of one site and sending time, all with a hit_id, and the JSON of their list as it was sent: fit for a line. */
export interface ListText {
  readonly hits: readonly WireHit[]
  readonly sentAt: number | undefined
  readonly list: string
}

/** What a body holds. `hits.length + refused.length` is the number of hits that were sent. */
export interface ReadHits {
  readonly hits: WireHit[]
  readonly refused: RefusedHit[]
  /** Of the envelope; a hit's own counts first. */
  readonly sentAt: number | undefined
  /** Unknown fields that were left out (`ignoreUnknown`). */
  readonly ignoredFields: number
  /** The hits stood in a list; otherwise the body was the one hit. */
  readonly listed: boolean
  /** Of `hits`; null = they have to be written anew. */
  readonly text: ListText | null
}

interface Kind {
  readonly check: TypeCheck<TObject>
  readonly fields: ReadonlySet<string>
}
const SECRET: ReadonlySet<string> = new Set(SECRET_FIELDS)
const NO_REFUSALS: RefusedHit[] = []

/** What a sender may send, by type. */
interface Kinds {
  readonly pageView: Kind
  readonly event: Kind
  readonly engagement: Kind
}

const compile = (schema: TObject): Kind => ({
  check: TypeCompiler.Compile(schema),
  fields: new Set(Object.keys(schema.properties)),
})
const withoutSecret = (schema: TObject): TObject => Type.Omit(schema, SECRET_FIELDS) as unknown as TObject
/** What anyone may send: without the fields that need a secret key. */
const OPEN_KINDS: Kinds = {
  pageView: compile(withoutSecret(PageViewHit)),
  event: compile(withoutSecret(EventHit)),
  engagement: compile(withoutSecret(EngagementHit)),
}
const SECRET_KINDS: Kinds = {
  pageView: compile(PageViewHit),
  event: compile(EventHit),
  engagement: compile(EngagementHit),
}

/**
 * Reads a body: one hit, or `{"hits": [...], "sent_at": ...}`. Of a key that comes twice the last value counts.
 * `ignoreUnknown` drops unknown fields instead of refusing them (beacons of old scripts). `isSecret`: the sender may set
 * the fields that need a secret key.
 * @throws MillraceError when the body as a whole is not one of the two
 */
export function readHits(text: string, ignoreUnknown: boolean, isSecret = false): ReadHits {
  const body = parse(text)
  if (!isObject(body)) throw new MillraceError('body_invalid', 'The body must be a hit or an object with `hits`.')
  if (!Object.hasOwn(body, 'hits')) {
    const reader = new HitReader(ignoreUnknown, isSecret)
    reader.read(body, 0, '')
    return reader.result(undefined, false, text)
  }
  return readEnvelope(body, new HitReader(ignoreUnknown, isSecret), text)
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return text.includes('\\u') ? cleanText(value) : value
  } catch (error) {
    const at = /position (\d+)/.exec((error as Error).message)
    throw new MillraceError('json_invalid', `The body is not valid JSON${at ? ` at position ${at[1]}` : ''}.`)
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function readEnvelope(body: Record<string, unknown>, reader: HitReader, text: string): ReadHits {
  const { hits, sent_at: sentAt } = body
  for (const key in body) if (key !== 'hits' && key !== 'sent_at') reader.unknownInEnvelope(key)
  if (!Array.isArray(hits) || hits.length === 0) throw envelopeError('body_invalid', '/hits', 'must be a list of hits')
  if (hits.length > MAX_HITS_PER_REQUEST) {
    throw envelopeError('hits_too_many', '/hits', `may hold at most ${MAX_HITS_PER_REQUEST} hits`)
  }
  if (sentAt !== undefined && !(typeof sentAt === 'number' && sentAt >= 0 && sentAt <= 8.64e15)) {
    throw envelopeError('field_invalid', '/sent_at', 'must be a time in epoch milliseconds')
  }
  for (let i = 0; i < hits.length; i++) reader.read(hits[i], i, '/hits/')
  return reader.result(sentAt as number | undefined, true, text)
}

const envelopeError = (code: ErrorCode, pointer: string, detail: string): MillraceError =>
  new MillraceError(code, `${pointer} ${detail}.`, [{ code, pointer, detail }])

/** Reads hits one by one and keeps count. */
class HitReader {
  readonly #ignoreUnknown: boolean
  readonly #isSecret: boolean
  readonly #hits: WireHit[] = []
  #respelled = false
  #refused = NO_REFUSALS
  #ignoredFields = 0

  constructor(ignoreUnknown: boolean, isSecret: boolean) {
    this.#ignoreUnknown = ignoreUnknown
    this.#isSecret = isSecret
  }

  result(sentAt: number | undefined, listed: boolean, body: string): ReadHits {
    const [hits, refused, ignoredFields] = [this.#hits, this.#refused, this.#ignoredFields]
    const isAsSent = refused.length === 0 && ignoredFields === 0 && !this.#respelled
    const text = isAsSent ? listTextOf(hits, sentAt, listed, body) : null
    return { hits, refused, sentAt, ignoredFields, listed, text }
  }

  unknownInEnvelope(key: string): void {
    if (!this.#ignoreUnknown) throw envelopeError('field_unknown', `/${escapePointer(key)}`, 'is not known')
    this.#ignoredFields++
  }

  /** `list` is the pointer of the list that holds the hit; '' = the hit is the body. */
  read(hit: unknown, index: number, list: string): void {
    const kind = isObject(hit) ? kindOf(hit, this.#isSecret ? SECRET_KINDS : OPEN_KINDS) : undefined
    if (kind !== undefined && this.#holds(kind, hit as Record<string, unknown>) && isPage(hit as WireHit)) {
      this.#hits.push(hit as WireHit)
      if (unifyIds(hit as WireHit)) this.#respelled = true
      return
    }
    const { code, pointer, detail } = whyRefused(hit, kind, this.#isSecret)
    if (this.#refused === NO_REFUSALS) this.#refused = []
    this.#refused.push({ index, code, pointer: list === '' ? pointer : `${list}${index}${pointer}`, detail })
  }

  #holds({ check, fields }: Kind, hit: Record<string, unknown>): boolean {
    if (check.Check(hit)) return true
    if (!this.#ignoreUnknown) return false
    for (const key of Object.keys(hit)) {
      if (fields.has(key) || SECRET.has(key)) continue
      delete hit[key]
      this.#ignoredFields++
    }
    return check.Check(hit)
  }
}

function kindOf(hit: Record<string, unknown>, { pageView, event, engagement }: Kinds): Kind | undefined {
  switch (hit.type) {
    case undefined:
    case 'page_view':
      return pageView
    case 'event':
      return event
    case 'engagement':
      return engagement
    default:
      return undefined
  }
}

const HTTP = /^https?:\/\//i
/** The url is one that the enricher can take apart. A strange referrer refuses no hit: the enricher cleans it. */
const isPage = ({ url }: WireHit): boolean => url === undefined || (HTTP.test(url) && URL.canParse(url))

/** Ids are compared as text later on, so they get one spelling. Returns whether one had another. */
function unifyIds(hit: WireHit): boolean {
  let respelled = false
  if (hit.hit_id !== undefined) {
    const id = hit.hit_id.toLowerCase()
    respelled = id !== hit.hit_id
    hit.hit_id = id
  }
  if (hit.type === 'engagement') {
    const id = hit.page_id.toLowerCase()
    respelled ||= id !== hit.page_id
    hit.page_id = id
  }
  return respelled
}

/** How scripts and SDKs begin a body. */
const OPENING = /^\{(?:"sent_at":\d+,)?"hits":\[/
const HIT_ID = '"hit_id":"'

/** null = the text is none that a line can carry. `listed`: the hits stand in a list, and are not the body itself. */
function listTextOf(
  hits: readonly WireHit[],
  sentAt: number | undefined,
  listed: boolean,
  body: string,
): ListText | null {
  // A line is one line; what has escapes may have been cleaned.
  if (body.includes('\n') || body.includes('\r') || body.includes('\\u')) return null
  const { site, sent_at: sentAtOfHit } = hits[0]!
  if (!hits.every((hit) => hit.hit_id !== undefined && hit.site === site)) return null
  // Readers of the log look for ids by these bytes.
  if (count(body, HIT_ID) !== hits.length) return null
  if (!listed) return { hits, sentAt: sentAtOfHit, list: `[${body}]` }
  if (hits.some((hit) => hit.sent_at !== undefined)) return null
  const start = OPENING.exec(body)?.[0].length ?? 0
  // Of a second list of hits the parser takes that one; no other list can end a body that was taken.
  if (start === 0 || !body.endsWith(']}') || body.includes('hits"', start)) return null
  return { hits, sentAt, list: body.slice(start - 1, -1) }
}

function count(text: string, part: string): number {
  let found = 0
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) found++
  return found
}

type Reason = Omit<RefusedHit, 'index'>

/** Off the hot path: names the first thing that is wrong, those that a sender can least guess first. */
function whyRefused(hit: unknown, kind: Kind | undefined, isSecret: boolean): Reason {
  if (!isObject(hit)) return { code: 'field_invalid', pointer: '', detail: 'must be an object' }
  const fields = Object.keys(hit)
  const secret = isSecret ? undefined : fields.find((key) => SECRET.has(key))
  if (secret) return { code: 'field_not_allowed', pointer: `/${secret}`, detail: 'needs a secret key' }
  if (!kind) return { code: 'field_invalid', pointer: '/type', detail: 'must be page_view, event or engagement' }
  const unknown = fields.find((key) => !kind.fields.has(key))
  if (unknown !== undefined) {
    return { code: 'field_unknown', pointer: `/${escapePointer(unknown)}`, detail: 'is not known' }
  }
  const error = kind.check.Errors(hit).First()
  if (error) return ofSchema(error)
  return { code: 'url_invalid', pointer: '/url', detail: 'must be an absolute http or https URL' }
}

function ofSchema({ type, path, message, value }: ValueError): Reason {
  if (type === ValueErrorType.ObjectRequiredProperty)
    return { code: 'field_missing', pointer: path, detail: 'is missing' }
  if (type === ValueErrorType.ObjectAdditionalProperties) {
    const [, field, ...key] = path.split('/')
    const pointer = `/${field}/${escapePointer(key.join('/'))}`
    return { code: 'field_invalid', pointer, detail: 'must have a key of 1 to 64 characters' }
  }
  const detail = message.charAt(0).toLowerCase() + message.slice(1)
  if (path === '/site')
    return { code: 'site_invalid', pointer: path, detail: 'must be a site id such as blog or example.com' }
  if (path === '/url' && typeof value === 'string') return { code: 'url_invalid', pointer: path, detail }
  return { code: 'field_invalid', pointer: path, detail }
}

/** A key as part of a JSON pointer (RFC 6901), shortened. */
function escapePointer(key: string): string {
  const short = key.length > 64 ? `${key.slice(0, 64)}…` : key
  return short.replaceAll('~', '~0').replaceAll('/', '~1')
}
