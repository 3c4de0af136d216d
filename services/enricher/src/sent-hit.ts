import type { Uuid } from '@millrace/shared'
import { readUuid } from './steps/uuid.ts'

/** Fields that a step looks at, besides the ids; the others of a hit are not read. */
export const SENT_FIELDS = [
  'type',
  'created_at',
  'url',
  'referrer',
  'title',
  'route',
  'language',
  'screen_width',
  'screen_height',
  'viewport_width',
  'pixel_ratio',
  'sender',
  'name',
  'value',
  'currency',
  'duration_ms',
  'interactive',
  'props',
  'tags',
  'engaged_ms',
  'scroll_percent',
  'method',
  'status',
  'request_ms',
] as const

/** A hit as it was sent. Its ids are read; nothing else in it is trusted to have the right type. One shape for all hits. */
export class SentHit {
  /** null = none that can be read. */
  hit_id: Uuid | null = null
  page_id: Uuid | null = null
  type: unknown = undefined
  created_at: unknown = undefined
  url: unknown = undefined
  referrer: unknown = undefined
  title: unknown = undefined
  route: unknown = undefined
  language: unknown = undefined
  screen_width: unknown = undefined
  screen_height: unknown = undefined
  viewport_width: unknown = undefined
  pixel_ratio: unknown = undefined
  sender: unknown = undefined
  name: unknown = undefined
  value: unknown = undefined
  currency: unknown = undefined
  duration_ms: unknown = undefined
  interactive: unknown = undefined
  props: unknown = undefined
  tags: unknown = undefined
  engaged_ms: unknown = undefined
  scroll_percent: unknown = undefined
  method: unknown = undefined
  status: unknown = undefined
  request_ms: unknown = undefined

  /** Of an object that JSON.parse made. */
  static of(parsed: Readonly<Record<string, unknown>>): SentHit {
    const hit = new SentHit()
    hit.hit_id = readUuid(parsed.hit_id)
    hit.page_id = readUuid(parsed.page_id)
    for (let field = 0; field < SENT_FIELDS.length; field++) setField(hit, field, parsed[SENT_FIELDS[field]!])
    return hit
  }
}

/**
 * Sets the field of that number in SENT_FIELDS. Compiled, so that every field has a place of its own in the code: a store by
 * a name that varies is ten times slower.
 */
export const setField: (hit: SentHit, field: number, value: unknown) => void = new Function(
  'hit',
  'field',
  'value',
  `switch (field) {\n${SENT_FIELDS.map((name, field) => `case ${field}: hit.${name} = value; break`).join('\n')}\n}`,
) as never
