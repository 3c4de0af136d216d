const PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const NOT_CANONICAL = /[A-F]/

/** Canonical lower case text of a UUID; '' when it is none. */
export function readUuid(value: unknown): string {
  if (typeof value !== 'string' || value.length !== 36) return ''
  const text = NOT_CANONICAL.test(value) ? value.toLowerCase() : value
  return PATTERN.test(text) ? text : ''
}
