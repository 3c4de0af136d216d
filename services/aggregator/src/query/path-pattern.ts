import type { Binder } from './statement.ts'

/**
 * SQL, true for rows whose path fits a pattern: `*` = anything but a slash, `**` = anything. Most patterns need no regular
 * expression, which is the dearest way to look.
 */
export function fitsPath(pattern: string, { add }: Pick<Binder, 'add'>): string {
  if (!pattern.includes('*')) return `path = ${add('String', pattern)}`
  const [, start] = /^([^*]*)\*{2,}$/.exec(pattern) ?? []
  if (start !== undefined) return `startsWith(path, ${add('String', start)})`
  return `match(path, ${add('String', expressionOf(pattern))})`
}

/** The pattern as a regular expression (RE2, in which a dot is any character here, a line's end too). */
function expressionOf(pattern: string): string {
  const parts = pattern.split(/(\*+)/)
  const translated = parts.map((part) => {
    if (part.startsWith('**')) return '.*'
    return part === '*' ? '[^/]*' : part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&')
  })
  return `^${translated.join('')}$`
}
