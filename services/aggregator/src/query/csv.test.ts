import { describe, expect, test } from 'vitest'
import { csvLines } from './csv.ts'
import type { Report } from './report.ts'

const textOf = (report: Report): string => [...csvLines(report)].join('')

const report = (fields: Partial<Report>): Report => ({
  query: { dimensions: ['path'], metrics: ['visitors', 'bounce_rate'] },
  source: 'hits',
  rows: [],
  totals: {},
  row_count: 0,
  ...fields,
})

describe('a report as CSV', () => {
  test('has a header, one line a row, and nothing for null', () => {
    const rows = [
      { path: '/a', visitors: 3, bounce_rate: 0.5 },
      { path: '', visitors: 0, bounce_rate: null },
    ]
    expect(textOf(report({ rows }))).toBe('path,visitors,bounce_rate\r\n/a,3,0.5\r\n,0,\r\n')
  })

  test.each([
    ['a,b', '"a,b"'],
    ['say "hi"', '"say ""hi"""'],
    ['two\nlines', '"two\nlines"'],
    ['=1+1', "'=1+1"],
    ['@cmd,"x"', '"\'@cmd,""x"""'],
    ['-1', "'-1"],
  ])('writes %j as %s', (path, cell) => {
    expect(textOf(report({ rows: [{ path, visitors: -1, bounce_rate: null }] }))).toContain(`\r\n${cell},-1,\r\n`)
  })

  test('puts a comparison into columns of its own', () => {
    const query = { dimensions: [], metrics: ['visitors'], compare: {} }
    const rows = [{ visitors: 3, previous: { visitors: 2 }, growth: { visitors: 0.5 } }]
    expect(textOf(report({ query, rows }))).toBe('visitors,previous_visitors,growth_visitors\r\n3,2,0.5\r\n')
  })
})
