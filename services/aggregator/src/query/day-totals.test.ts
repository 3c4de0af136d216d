import { expect, test } from 'vitest'
import { previousOf } from './compare.ts'
import { readDayTotals } from './day-totals.ts'
import { parseQuery } from './parse-query.ts'
import type { StoredRow } from './rows.ts'

const CONTEXT = { nowMs: Date.parse('2026-11-14T12:00:00Z'), siteZone: 'Europe/Vienna' }

/** As the statement answers: days, each period, and both periods together, which counts as none of them. */
const ROWS: readonly StoredRow[] = [
  { is_total: 0, is_before: 0, d0: 20_771, page_views: 3 },
  { is_total: 0, is_before: 1, d0: 20_764, page_views: 5 },
  { is_total: 1, is_before: 0, d0: 0, page_views: 3 },
  { is_total: 1, is_before: 1, d0: 0, page_views: 5 },
  { is_total: 2, is_before: 0, d0: 0, page_views: 8 },
]

// No ORDER BY: the store may answer in any order, which the real one does not let a test choose.
test.each([
  ['as they are made', ROWS],
  ['the other way round', ROWS.toReversed()],
])('totals of a period are its own, with rows %s', async (_, rows) => {
  const query = parseQuery(
    { site: 'blog', period: '7d', metrics: ['page_views'], dimensions: ['day'], compare: 'previous_period' },
    CONTEXT,
  )
  const before = previousOf(query, query.range!, 'previous_period').range
  const store = { query: async <Row>() => rows as Row[] }
  const found = await readDayTotals(query, query.range!, before, { store, ...CONTEXT })
  expect(found!.now).toEqual({ stored: [ROWS[0]], totals: { page_views: 3 } })
  expect(found!.before).toEqual({ stored: [ROWS[1]], totals: { page_views: 5 } })
})
