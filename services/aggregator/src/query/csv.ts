import type { LargeReport } from './report.ts'
import type { Values } from './rows.ts'

/** The lines of a report as CSV (RFC 4180): dimensions, metrics, and with a comparison `previous_…` and `growth_…`. */
export function* csvLines({ query, rows }: LargeReport): Generator<string> {
  const metrics = query.metrics as string[]
  const names = [...(query.dimensions as string[]), ...metrics]
  const compared = 'compare' in query
  yield line(
    compared
      ? [...names, ...metrics.map((name) => `previous_${name}`), ...metrics.map((name) => `growth_${name}`)]
      : names,
  )
  for (const row of rows) {
    const cells = names.map((name) => row[name])
    if (!compared) yield line(cells)
    else {
      const [previous, growth] = [row.previous as Values, row.growth as Values]
      yield line([...cells, ...metrics.map((name) => previous[name]), ...metrics.map((name) => growth[name])])
    }
  }
}

const line = (cells: readonly unknown[]): string => `${cells.map(cell).join(',')}\r\n`

/**
 * Text that a spreadsheet would run as a formula gets an apostrophe before it: paths and names come from strangers.
 * (OWASP, CSV injection.) Null is empty.
 */
function cell(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number') return String(value)
  const text = /^[=+\-@\t\r]/.test(String(value)) ? `'${value}` : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
