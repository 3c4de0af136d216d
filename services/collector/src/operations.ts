import {
  inQuery,
  json,
  listOf,
  named,
  type Operation,
  type Operations,
  objectOf,
  type Schema,
  TEXT,
} from '@millrace/server'
import { EngagementHit, EventHit, MAX_HITS_PER_REQUEST, PageViewHit, SECRET_FIELDS } from '@millrace/shared'
import { IGNORE_REASONS } from './privacy-signals.ts'

const HIT = named('Hit', { anyOf: [PageViewHit, EventHit, EngagementHit], description: 'A hit of any type' })
const HITS = named('Hits', {
  type: 'object',
  required: ['hits'],
  additionalProperties: false,
  properties: {
    hits: { type: 'array', items: HIT, minItems: 1, maxItems: MAX_HITS_PER_REQUEST },
    sent_at: {
      type: 'number',
      minimum: 0,
      maximum: 8.64e15,
      description: "The sender's clock when it was sent, epoch milliseconds",
    },
  },
})
const BODY = { anyOf: [HIT, HITS] }

const INDEX: Schema = { type: 'integer', description: 'Place in the request' }
const REFUSED = named(
  'RefusedHit',
  objectOf({
    index: INDEX,
    code: { $ref: '#/components/schemas/ErrorCode' },
    pointer: { type: 'string', description: 'JSON pointer into the body as sent' },
    detail: { type: 'string', description: 'For people' },
  }),
)
const IGNORED = named(
  'IgnoredHit',
  objectOf({
    index: INDEX,
    reason: {
      enum: IGNORE_REASONS,
      description: 'Which setting of the site leaves it out',
    },
  }),
)
const ACCEPTED = named(
  'Accepted',
  objectOf(
    {
      accepted: { type: 'integer', description: 'Hits that are on disk' },
      refused: listOf(REFUSED),
      ignored: listOf(IGNORED),
    },
    ['refused', 'ignored'],
  ),
)

const PAGE_VIEW = {
  url: 'https://example.com/pricing?utm_source=news',
  title: 'Pricing',
  referrer: 'https://news.example/',
  language: 'de-AT',
}
const EVENT = {
  sent_at: 1795219200456,
  hits: [
    {
      type: 'event',
      url: 'https://example.com/',
      name: 'signup',
      value: 49,
      currency: 'EUR',
      props: { plan: 'team', seats: 12 },
    },
  ],
}

const SEND: Operation = {
  tag: 'Hits',
  summary: 'Takes hits: one, or a list of up to 100',
  description:
    'The answer means that they are on disk. Each hit is judged by itself. `text/plain` is for beacons: unknown fields are left out instead of refused. ' +
    'gzip, deflate or br by `Content-Encoding`; at most 64 KB after decompression. ' +
    `A key with the scope \`ingest\` may set ${SECRET_FIELDS.map((name) => `\`${name}\``).join(', ')}.`,
  body: { ...json(BODY, { page_view: PAGE_VIEW, list: EVENT }), 'text/plain': { schema: TEXT } },
  answers: {
    202: {
      description: 'At least one was accepted, or left out by the settings of its site',
      content: json(ACCEPTED, { all: { accepted: 1 } }),
    },
  },
  errors: [
    'json_invalid',
    'body_invalid',
    'hits_refused',
    'hits_too_many',
    'field_unknown',
    'field_invalid',
    'unauthorized',
    'forbidden',
    'hostname_not_allowed',
    'site_unknown',
    'encoding_unsupported',
    'rate_limited',
    'overloaded',
    'log_unavailable',
    'shutting_down',
  ],
  problemFields: { refused: { ...listOf(REFUSED), description: 'Why each hit was not taken' } },
}

/** Fields of hits that are a parameter of the pixel; objects go by their members. */
const OF_PIXEL = new Map(
  [PageViewHit, EventHit, EngagementHit]
    .flatMap(({ properties }) => Object.entries(properties as Record<string, Schema>))
    .filter(
      ([name, { type }]) =>
        type !== 'object' && name !== 'type' && !(SECRET_FIELDS as readonly string[]).includes(name),
    ),
)
const PIXEL: Operation = {
  tag: 'Hits',
  summary: 'Takes one hit by its parameters, for pages and mails without scripts',
  description:
    'Always answers a transparent GIF that nobody caches, whatever becomes of the hit. Other parameters are left out. HEAD counts nothing.',
  parameters: [
    inQuery('type', 'Type of the hit', { enum: ['page_view', 'event', 'engagement'] }),
    ...[...OF_PIXEL].map(([name, { description = '', ...schema }]) =>
      inQuery(
        name,
        name === 'url' ? 'Absolute http(s) URL of the page; the `Referer` if left out' : String(description),
        schema,
        {
          ...(name === 'url' && { example: 'https://example.com/newsletter' }),
        },
      ),
    ),
    inQuery('tags.NAME', 'A tag of the page', TEXT),
    inQuery('props.NAME', 'A property of the event', TEXT),
  ],
  answers: {
    200: {
      description: 'The GIF',
      content: { 'image/gif': { schema: { type: 'string', contentMediaType: 'image/gif' } } },
    },
  },
}

/** What the routes of the collector do. */
export const HIT_OPERATIONS: Operations = {
  'POST /v1/hits': SEND,
  'OPTIONS /v1/hits': {
    tag: 'Hits',
    summary: 'The preflight of browsers: any page may send',
    answers: { 204: { description: 'POST is allowed, without credentials, for a day' } },
  },
  'GET /v1/pixel.gif': PIXEL,
}
