import { type FieldError, MillraceError } from '@millrace/shared'
import { pointerPart } from './filter.ts'
import { refusal } from './parse-query.ts'

/** Largest body of a query, in bytes. */
export const MAX_QUERY_BYTES = 64 * 1024

/** The body of POST /v1/query. @throws MillraceError json_invalid */
export function readBody(body: unknown): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body as Buffer))
  } catch {
    throw new MillraceError('json_invalid', 'The body must be one JSON object in UTF-8.')
  }
}

const LISTS = ['metrics', 'dimensions', 'goals']
const NUMBERS = ['limit', 'offset']

/**
 * The query in a URL, as the object that POST takes: lists with commas, `order_by=visitors:desc,path`, `filter` and `compare`
 * as JSON where they are objects, a period of two ends as `from=…&to=…` (epoch milliseconds in digits).
 * @throws MillraceError for a parameter that comes twice or cannot be read
 */
export function readParameters(text: string): Record<string, unknown> {
  const errors: FieldError[] = []
  const query: Record<string, unknown> = {}
  for (const [name, value] of new URLSearchParams(text)) {
    if (Object.hasOwn(query, name)) {
      errors.push({
        code: 'field_invalid',
        pointer: `/${pointerPart(name)}`,
        detail: 'comes twice; lists are written with commas',
      })
      continue
    }
    Object.defineProperty(query, name, {
      value: readParameter(name, value, errors),
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  if (errors.length > 0) throw refusal(errors)
  return foldPeriod(query)
}

function readParameter(name: string, value: string, errors: FieldError[]): unknown {
  if (LISTS.includes(name)) return value === '' ? [] : value.split(',')
  if (NUMBERS.includes(name)) return /^-?\d{1,15}$/.test(value) ? Number(value) : value
  if (name === 'include_bots')
    return value === 'true' || value === '1' ? true : value === 'false' || value === '0' ? false : value
  if (name === 'order_by') {
    return value.split(',').map((item) => {
      const [, field, direction] = /^(.*?)(?::(asc|desc))?$/s.exec(item)!
      return direction ? { field, direction } : { field }
    })
  }
  if (name === 'filter' || (name === 'compare' && value.startsWith('{'))) return readJson(name, value, errors)
  return value
}

function readJson(name: string, value: string, errors: FieldError[]): unknown {
  try {
    return JSON.parse(value)
  } catch {
    errors.push({ code: 'field_invalid', pointer: `/${name}`, detail: 'must be JSON' })
    return undefined
  }
}

function foldPeriod({ from, to, ...query }: Record<string, unknown>): Record<string, unknown> {
  if (from === undefined && to === undefined) return query
  if (query.period !== undefined) {
    const detail = 'does not go together with from and to'
    throw refusal([{ code: 'period_invalid', pointer: '/period', detail }])
  }
  const ends = Object.entries({ from, to }).filter(([, end]) => end !== undefined)
  return { ...query, period: Object.fromEntries(ends.map(([name, end]) => [name, readEnd(end as string)])) }
}

const readEnd = (text: string): string | number => (/^\d{5,16}$/.test(text) ? Number(text) : text)
