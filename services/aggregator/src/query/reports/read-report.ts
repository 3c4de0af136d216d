import { type FieldError, MillraceError } from '@millrace/shared'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { type ParseContext, parseQuery, type ReportQuery, refusal } from '../parse-query.ts'
import type { NamedReport } from './named-report.ts'

/** Fields of a query that every report takes. */
export const SHARED = ['site', 'period', 'timezone', 'filter', 'limit', 'offset', 'include_bots', 'goals', 'week_start']
const DEFAULT_PERIOD = '30d'

export interface ReportRequest {
  readonly query: ReportQuery
  readonly own: Readonly<Record<string, unknown>>
}

const forms = new WeakMap<NamedReport, ReturnType<typeof TypeCompiler.Compile>>()

/** Reads what a named report is asked. @throws MillraceError with every mistake and its JSON pointer */
export function readReport(report: NamedReport, input: unknown, context: ParseContext): ReportRequest {
  const body = asObject(input)
  const errors: FieldError[] = []
  const shared: Record<string, unknown> = { period: report.period ?? DEFAULT_PERIOD, metrics: ['visitors'] }
  const own: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(body)) {
    if (SHARED.includes(name)) shared[name] = value
    else if (Object.hasOwn(report.fields.properties, name)) own[name] = value
    else errors.push({ code: 'field_unknown', pointer: `/${name}`, detail: 'is not a field of this report' })
  }
  errors.push(...mistakesIn(own, report))
  return { query: parseAll(shared, context, errors), own }
}

/** A preset's query: its fields, unless the request gives others; of both filters, both. */
export function readPreset(preset: Readonly<Record<string, unknown>>, input: unknown): Record<string, unknown> {
  const body = asObject(input)
  const query = { period: DEFAULT_PERIOD, ...preset, ...body }
  if (preset.filter === undefined || body.filter === undefined) return orderable(query, body)
  return { ...orderable(query, body), filter: { and: [body.filter, preset.filter] } }
}

/** The preset's order holds for the preset's metrics only. */
function orderable(query: Record<string, unknown>, body: Record<string, unknown>): Record<string, unknown> {
  const { order_by, ...rest } = query
  return order_by === undefined || (body.metrics !== undefined && body.order_by === undefined) ? rest : query
}

function asObject(input: unknown): Record<string, unknown> {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input as Record<string, unknown>
  throw refusal([{ code: 'field_invalid', pointer: '', detail: 'must be a JSON object' }])
}

function mistakesIn(own: Record<string, unknown>, report: NamedReport): FieldError[] {
  const form = forms.get(report) ?? TypeCompiler.Compile(report.fields)
  forms.set(report, form)
  const found = new Map<string, FieldError>()
  for (const { path, message } of form.Errors(own)) {
    const top = path.split('/')[1]!
    const missing = !Object.hasOwn(own, top)
    if (found.has(path)) continue
    const detail = missing ? 'is missing' : `${message[0]!.toLowerCase()}${message.slice(1)}`
    found.set(path, { code: missing ? 'field_missing' : 'field_invalid', pointer: path, detail })
  }
  return [...found.values()]
}

/** The mistakes of the shared fields beside those found before. */
function parseAll(shared: Record<string, unknown>, context: ParseContext, errors: FieldError[]): ReportQuery {
  try {
    const query = parseQuery(shared, context)
    if (errors.length === 0) return query
  } catch (error) {
    if (!(error instanceof MillraceError) || !error.errors) throw error
    if (errors.length === 0) throw error
    errors.push(...error.errors)
  }
  throw refusal(errors)
}

/** Own fields as a URL has them: numbers in digits, lists and objects as JSON. */
export function readOwnParameters(
  { fields }: NamedReport,
  parameters: Record<string, unknown>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => {
      const form = Object.hasOwn(fields.properties, name) ? fields.properties[name] : undefined
      return [name, typeof value === 'string' && form ? readValue(value, form.type) : value]
    }),
  )
}

function readValue(text: string, type: string): unknown {
  if (type === 'integer') return /^\d{1,15}$/.test(text) ? Number(text) : text
  if (type !== 'array') return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
