import { type Static, Type } from '@sinclair/typebox'

export const SITE_PATTERN = '^[a-z0-9][a-z0-9._-]{0,63}$'
export const UUID_PATTERN = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'
/** Keys of tags and props. As a pattern, because TypeBox checks no lengths of keys, and its own pattern lets keys with a line feed pass. */
const key = Type.String({ pattern: '^[\\s\\S]{1,64}$' })

const text = (maxLength: number, description: string) => Type.Optional(Type.String({ maxLength, description }))
const count = (maximum: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum, description }))
/** Epoch milliseconds. Absurd clocks are clamped later (semantics of `occurred_at`), so the range is wide. */
const clock = (description: string) => Type.Optional(Type.Number({ minimum: 0, maximum: 8.64e15, description }))

const common = {
  site: Type.Optional(
    Type.String({ pattern: SITE_PATTERN, description: 'Id of the site; the site of the key, else `default`' }),
  ),
  hit_id: Type.Optional(
    Type.String({
      pattern: UUID_PATTERN,
      description: 'Made by the collector if missing; the same id again within an hour counts once',
    }),
  ),
  created_at: clock("When the hit happened, by the sender's clock"),
  sent_at: clock("When it was sent, by the sender's clock; in the envelope for all of its hits"),
  title: text(1024, 'Title of the page'),
  route: text(1024, 'Route pattern of the page, such as `/users/:id`'),
  referrer: text(4096, 'Absolute URL of the page before'),
  tags: Type.Optional(
    Type.Record(key, Type.String({ maxLength: 512 }), {
      additionalProperties: false,
      maxProperties: 20,
      description: 'Tags of the page',
    }),
  ),
  language: text(64, 'BCP 47 language of the browser'),
  screen_width: count(65535, 'CSS pixels'),
  screen_height: count(65535, 'CSS pixels'),
  viewport_width: count(65535, 'CSS pixels'),
  pixel_ratio: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
  ip: text(64, "Visitor's address; secret key only"),
  user_agent: text(2048, "Visitor's user agent; secret key only"),
  headers: Type.Optional(
    Type.Record(key, Type.String({ maxLength: 2048 }), {
      additionalProperties: false,
      maxProperties: 40,
      description: "Visitor's request headers; secret key only",
    }),
  ),
  method: text(16, 'HTTP method of the measured request; secret key only'),
  status: count(999, 'HTTP status of the measured request; secret key only'),
  request_ms: Type.Optional(
    Type.Number({ minimum: 0, maximum: 86_400_000, description: 'Duration of the measured request; secret key only' }),
  ),
  user: text(256, "The sender's own opaque id of the visitor; secret key only"),
  sender: text(64, 'Name and version of the SDK or script'),
}
const url = Type.String({ minLength: 1, maxLength: 4096, description: 'Absolute http(s) URL of the page' })

/** A page view as sent to POST /v1/hits. */
export const PageViewHit = Type.Object(
  { ...common, type: Type.Optional(Type.Literal('page_view')), url },
  { additionalProperties: false, $id: 'PageViewHit' },
)

/** A custom event as sent to POST /v1/hits. */
export const EventHit = Type.Object(
  {
    ...common,
    type: Type.Literal('event'),
    url,
    name: Type.String({ minLength: 1, maxLength: 256, description: 'Name of the event' }),
    value: Type.Optional(
      Type.Number({
        minimum: -99_999_999_999_999,
        maximum: 99_999_999_999_999,
        description: 'Money, in units of `currency`; four decimals are kept',
      }),
    ),
    currency: Type.Optional(Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217' })),
    duration_ms: count(4_294_967_295, 'How long the event took'),
    interactive: Type.Optional(Type.Boolean({ description: 'false: the event never ends a bounce' })),
    props: Type.Optional(
      Type.Record(key, Type.Union([Type.String({ maxLength: 2048 }), Type.Number(), Type.Boolean()]), {
        additionalProperties: false,
        maxProperties: 30,
        description: 'Properties: text, numbers, flags',
      }),
    ),
  },
  { additionalProperties: false, $id: 'EventHit' },
)

/** Time in view and scroll depth of a page view, totals so far. */
export const EngagementHit = Type.Object(
  {
    ...common,
    type: Type.Literal('engagement'),
    url: Type.Optional(url),
    page_id: Type.String({ pattern: UUID_PATTERN, description: 'hit_id of the page view that it belongs to' }),
    engaged_ms: count(86_400_000, 'Time in view so far'),
    scroll_percent: count(100, 'Deepest point seen so far'),
  },
  { additionalProperties: false, $id: 'EngagementHit' },
)

export type PageViewHit = Static<typeof PageViewHit>
export type EventHit = Static<typeof EventHit>
export type EngagementHit = Static<typeof EngagementHit>
/** A hit of any type, as sent. */
export type WireHit = PageViewHit | EventHit | EngagementHit

/** Fields that only a secret key may set. */
export const SECRET_FIELDS = ['ip', 'user_agent', 'headers', 'method', 'status', 'request_ms', 'user'] as const

/** Limits of POST /v1/hits. Sizes count after decompression. */
export const MAX_BODY_BYTES = 64 * 1024
export const MAX_HITS_PER_REQUEST = 100
