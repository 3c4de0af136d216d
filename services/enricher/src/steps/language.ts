/** Primary subtag of a BCP 47 tag or of the first entry of an Accept-Language header, in lower case; '' = none. */
export function primaryLanguage(tag: unknown): string {
  if (typeof tag !== 'string') return ''
  let end = 0
  while (end < tag.length && isLetter(tag.charCodeAt(end))) end++
  if (end < 2 || end > 3) return ''
  const next = tag.charCodeAt(end)
  if (end < tag.length && next !== 45 && next !== 95 && next !== 44 && next !== 59) return ''
  return tag.slice(0, end).toLowerCase()
}

const isLetter = (code: number): boolean => (code | 32) >= 97 && (code | 32) <= 122
