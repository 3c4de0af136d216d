import { toUSVString } from 'node:util'

/** How deep strings stand in a valid body: envelope, hits, hit, props, value. What lies deeper is refused anyway. */
const DEEPEST = 5

/**
 * Takes out of a parsed body what later stages cannot hold: a lone surrogate becomes U+FFFD, a NUL is removed. In keys
 * too; where two keys become one, the later value stays. Both can stand in JSON only as an escape, so bodies without
 * `\u` need no look.
 */
export function cleanText(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return clean(value)
  if (typeof value !== 'object' || value === null || depth >= DEEPEST) return value
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = cleanText(value[i], depth + 1)
    return value
  }
  // Into a new object by definition, not by assignment: a key may be `__proto__`.
  const cleaned: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) {
    Object.defineProperty(cleaned, clean(key), {
      value: cleanText(field, depth + 1),
      writable: true,
      enumerable: true,
      configurable: true,
    })
  }
  return cleaned
}

const clean = (text: string): string => toUSVString(text).replaceAll('\0', '')
