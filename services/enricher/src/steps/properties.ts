import { NO_ENTRIES } from '@millrace/shared'
import { isCardNumber, MASKED_CARD, maskText } from './mask.ts'
import { readText } from './text.ts'

export type Texts = Readonly<Record<string, string>>
type Numbers = Readonly<Record<string, number>>
/** Properties of an event, by kind of value. Flags are texts, `true` and `false`. */
export interface Properties {
  readonly text: Texts
  readonly number: Numbers
}

const NO_PROPERTIES: Properties = { text: NO_ENTRIES, number: NO_ENTRIES }
const MAX_KEY = 64
const MAX_PROPS = 30
const MAX_PROP = 2_048
const MAX_TAGS = 20
const MAX_TAG = 512

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A number of twelve digits or more may be a card's. */
const LONG_NUMBER = 100_000_000_000

/**
 * Properties of an event: texts, numbers and flags; other values and what exceeds the limits of the API are left out. With
 * `mask`, e-mail addresses and card numbers in values are masked; a number that is a card's becomes a text.
 */
export function readProperties(props: unknown, mask: boolean): Properties {
  if (!isObject(props)) return NO_PROPERTIES
  const text: Record<string, string> = Object.create(null)
  const number: Record<string, number> = Object.create(null)
  let count = 0
  for (const key in props) {
    if (++count > MAX_PROPS) break
    const value = props[key]
    if (typeof value === 'number') {
      if (mask && isMaskedNumber(value)) text[readText(key, MAX_KEY)] = MASKED_CARD
      else number[readText(key, MAX_KEY)] = value
    } else if (typeof value === 'string') text[readText(key, MAX_KEY)] = readValue(value, MAX_PROP, mask)
    else if (typeof value === 'boolean') text[readText(key, MAX_KEY)] = String(value)
  }
  return { text, number }
}

const isMaskedNumber = (value: number): boolean =>
  value >= LONG_NUMBER && Number.isSafeInteger(value) && isCardNumber(String(value))

/** Masked after it was cut: the text that is kept is the one that was looked at. */
function readValue(value: string, max: number, mask: boolean): string {
  const text = readText(value, max)
  return mask ? maskText(text) : text
}

/** Tags of a page: texts; the rest is left out. Values are masked as those of properties. */
export function readTags(tags: unknown, mask: boolean): Texts {
  if (!isObject(tags)) return NO_ENTRIES
  const texts: Record<string, string> = Object.create(null)
  let count = 0
  for (const key in tags) {
    if (++count > MAX_TAGS) break
    const value = tags[key]
    if (typeof value === 'string') texts[readText(key, MAX_KEY)] = readValue(value, MAX_TAG, mask)
  }
  return texts
}
