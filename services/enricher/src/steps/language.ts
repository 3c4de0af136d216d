import { detach } from './text.ts'

/** A visitor's first language: primary subtag in lower case and region in upper case, '' = not told. */
export interface Language {
  /** ISO 639: `de`, `zh`, `gsw`. */
  readonly language: string
  /** ISO 3166-1 or UN M.49: `AT`, `419`. */
  readonly region: string
}

/** None. */
export const NO_LANGUAGE: Language = { language: '', region: '' }
/** A header is read this far: no browser names more. */
const MAX_LENGTH = 256
/** Subtags that were replaced, as old browsers still send them (https://www.iana.org/assignments/language-subtag-registry). */
const REPLACED: Readonly<Record<string, string>> = { iw: 'he', in: 'id', ji: 'yi', jw: 'jv', mo: 'ro' }
/** Underscores are taken for hyphens: systems write `zh_CN`. */
const TAG = /^([a-z]{2,3})(?:[-_][a-z]{3}){0,3}(?:[-_][a-z]{4})?(?:[-_]([a-z]{2}|\d{3}))?(?![a-z0-9])/i
/** The same few texts come again and again; whole lists are few too. */
const MAX_KNOWN = 5_000
const known = new Map<string, Language>()

/**
 * The language of a BCP 47 tag (RFC 5646) or of an Accept-Language header (RFC 9110, 12.5.4): the entry with the highest
 * weight, the first of equal ones. Pure: the memory only saves work, and is emptied when it is full.
 */
export function readLanguage(value: unknown): Language {
  if (typeof value !== 'string' || value === '') return NO_LANGUAGE
  const text = value.length > MAX_LENGTH ? detach(value.slice(0, MAX_LENGTH)) : value
  let language = known.get(text)
  if (language === undefined) {
    language = readTag(heaviest(text))
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(text, language)
  }
  return language
}

/** Primary subtag alone. */
export const primaryLanguage = (value: unknown): string => readLanguage(value).language

function readTag(tag: string): Language {
  const [, primary, region = ''] = TAG.exec(tag) ?? []
  if (primary === undefined) return NO_LANGUAGE
  const lower = primary.toLowerCase()
  return { language: Object.hasOwn(REPLACED, lower) ? REPLACED[lower]! : lower, region: region.toUpperCase() }
}

/** The entry of the list that weighs most and names a language. */
function heaviest(list: string): string {
  if (!list.includes(',') && !list.includes(';')) return list.trim()
  let best = ''
  let most = 0
  for (const entry of list.split(',')) {
    const [tag = '', ...parameters] = entry.trim().split(';')
    const weight = weightOf(parameters)
    if (weight > most && TAG.test(tag.trim())) {
      best = tag.trim()
      most = weight
    }
  }
  return best
}

function weightOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=')
    if (name.trim().toLowerCase() !== 'q') continue
    const weight = Number(value)
    return weight >= 0 && weight <= 1 ? weight : 0
  }
  return 1
}
