import { MillraceError } from '@millrace/shared'
import type { Store } from '@millrace/store'
import { withinLimits } from '../limits.ts'
import { type ParseContext, parseQuery } from '../parse-query.ts'
import { ask } from '../planner.ts'
import { makeReport, type Report, showQuery, understand } from '../report.ts'
import { OWN_REPORTS, REPORT_NAMES } from './list-reports.ts'
import type { NamedReport } from './named-report.ts'
import { PRESETS, type PresetName } from './presets.ts'
import { type ReportRequest, readPreset, readReport } from './read-report.ts'

/** The query that a preset stands for; null if there is no preset of that name. */
export const presetQuery = (name: string, body: unknown): Record<string, unknown> | null =>
  Object.hasOwn(PRESETS, name) ? readPreset(PRESETS[name as PresetName], body) : null

/** A report with fields of its own. @throws MillraceError not_found */
export function findReport(name: string): NamedReport {
  if (Object.hasOwn(OWN_REPORTS, name)) return OWN_REPORTS[name]!
  throw new MillraceError('not_found', `Reports are ${REPORT_NAMES.join(', ')}.`)
}

/** Answers a report with fields of its own. @throws MillraceError; errors of the store as they are */
export async function makeOwn(
  report: NamedReport,
  { query, own }: ReportRequest,
  { siteZone, nowMs }: ParseContext,
  store: Pick<Store, 'query'>,
): Promise<Record<string, unknown>> {
  const range = await understand(query, { store, siteZone, nowMs })
  const question = ask(query, range, siteZone)
  const { metrics, dimensions, order_by, ...shown } = showQuery(query, range, undefined)
  return { query: { ...shown, ...own }, ...(await report.answer(own, { query, question, store, nowMs })) }
}

/** Answers any report by its name, without HTTP, within the limits of a query. @throws as /v1/reports/NAME answers */
export async function askReport(
  name: string,
  body: unknown,
  { store, ...context }: ParseContext & { readonly store: Pick<Store, 'query'> },
): Promise<Report | Record<string, unknown>> {
  const limited = withinLimits(store)
  const preset = presetQuery(name, body)
  if (preset) return makeReport(parseQuery(preset, context), { ...context, store: limited })
  const report = findReport(name)
  return makeOwn(report, readReport(report, body, context), context, limited)
}
