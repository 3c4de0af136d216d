/** A string literal. ClickHouse reads backslashes as escapes, so they are doubled too. */
export const literal = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

/** An identifier in backticks. */
export const identifier = (name: string): string => `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``

/** A setting's value as SQL. */
export const settingValue = (value: string | number): string =>
  typeof value === 'number' ? String(value) : literal(value)

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** The name of a setting or parameter. @throws RangeError when it is none: names go into the SQL as they are */
export function plainName(name: string): string {
  if (!NAME.test(name)) throw new RangeError('not the name of a setting or parameter')
  return name
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\0': '\\0',
  '\\': '\\\\',
  "'": "\\'",
}
const escaped = (text: string): string => text.replace(/[\t\n\r\0\\']/g, (c) => ESCAPES[c]!)

/**
 * The text of a query parameter, as ClickHouse reads it for the parameter's type: escaped like a TSV field, texts inside
 * arrays in quotes. The HTTP client does the same.
 */
export function parameterText(value: unknown, nested = false): string {
  if (value === null || value === undefined) return nested ? 'NULL' : '\\N'
  if (typeof value === 'string') return nested ? `'${escaped(value)}'` : escaped(value)
  if (typeof value === 'boolean') return nested ? String(value).toUpperCase() : value ? '1' : '0'
  if (typeof value === 'number' || typeof value === 'bigint') return numberText(value)
  if (Array.isArray(value)) return `[${value.map((v) => parameterText(v, true)).join(',')}]`
  throw new RangeError('not a value of a query parameter')
}

function numberText(value: number | bigint): string {
  if (Number.isNaN(value)) return 'nan'
  if (value === Number.POSITIVE_INFINITY) return '+inf'
  if (value === Number.NEGATIVE_INFINITY) return '-inf'
  return String(value)
}
