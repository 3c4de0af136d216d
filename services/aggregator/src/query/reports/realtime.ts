import { type Static, Type } from '@sinclair/typebox'
import { rangeOf } from '../period.ts'
import { allOf } from '../statement.ts'
import type { NamedReport } from './named-report.ts'
import { chosenHits, page, type Scope, select } from './scope.ts'

const MINUTE_MS = 60_000
const Fields = Type.Object({
  minutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 120, description: 'How far back; 30 if left out' })),
})

/**
 * The last minutes: visitors, page views and events by minute, and who is where: of each session its last page view. The
 * period of the request does not matter.
 */
export const realtime: NamedReport = {
  fields: Fields,
  period: 'today',
  async answer(fields, scope) {
    const { minutes = 30 } = fields as Static<typeof Fields>
    const toMs = Math.floor(scope.nowMs / MINUTE_MS + 1) * MINUTE_MS
    const range = rangeOf(scope.question.zone, toMs - minutes * MINUTE_MS, toMs)
    const now: Scope = { ...scope, question: { ...scope.question, range, byDay: false } }
    const [[totals], found, pages] = await Promise.all([readTotals(now), readMinutes(now), readPages(now)])
    const byMinute = new Map(found.map((row) => [row.at, row]))
    const series = Array.from({ length: minutes }, (_, i) => {
      const at = range.fromMs / 1000 + i * 60
      const { visitors = 0, page_views = 0, events = 0 } = byMinute.get(at) ?? {}
      return { minute: new Date(at * 1000).toISOString(), visitors, page_views, events }
    })
    return { minutes, totals, series, rows: pages }
  },
}

interface Counted {
  readonly visitors: number
  readonly page_views: number
  readonly events: number
}
const COUNTS = `toFloat64(uniqExact(visitor_id)) AS visitors, toFloat64(countIf(type = 'page_view')) AS page_views,
  toFloat64(countIf(type = 'event')) AS events`

const readTotals = (scope: Scope): Promise<Counted[]> =>
  select(scope, (binder) => `SELECT ${COUNTS}\nFROM millrace.hits\nWHERE ${allOf(chosenHits(scope.question, binder))}`)

const readMinutes = (scope: Scope): Promise<(Counted & { at: number })[]> =>
  select(
    scope,
    (binder) => `SELECT toUnixTimestamp(toStartOfMinute(time)) AS at, ${COUNTS}
FROM millrace.hits
WHERE ${allOf(chosenHits(scope.question, binder))}
GROUP BY at`,
  )

/** A visitor is on the page that it saw last. */
const readPages = (scope: Scope): Promise<object[]> =>
  select(
    scope,
    (binder) => `SELECT path, toFloat64(count()) AS visitors
FROM (
  SELECT visitor_id, argMax(path, (time, ko, ki)) AS path
  FROM millrace.hits
  WHERE ${allOf([...chosenHits(scope.question, binder), "type = 'page_view'"])}
  GROUP BY visitor_id
)
GROUP BY path
ORDER BY visitors DESC, path
${page(scope, binder)}`,
  )
