import { describe, expect, it } from 'vitest'
import type { Target } from './store.ts'
import { selectOver, sourceOf, structureOf } from './view-source.ts'

const target = (select: string): Target => ({ name: 'x', source: 'hits_in', select, columns: ['n'] })

describe('selectOver', () => {
  it('reads the slices of another place in the stead of the table', () => {
    const sql = selectOver(target('SELECT count() AS n FROM millrace.hits_in AS h WHERE h.late'), `file('$&')`, [
      { kp: 1, month: 202611 },
      { kp: 2, month: 202612 },
    ])
    expect(sql).toBe(
      `SELECT count() AS n FROM (SELECT * FROM file('$&') WHERE (kp, toYYYYMM(day)) IN ((1, 202611), (2, 202612))` +
        ' AND NOT ignore(*)) AS h WHERE h.late',
    )
  })

  it('keeps the name of the table for columns that are written with it', () => {
    const sql = selectOver(target('SELECT hits_in.site FROM millrace.hits_in WHERE hits_in.late'), 'f', [
      { kp: 1, month: 202611 },
    ])
    expect(sql).toContain('NOT ignore(*)) AS hits_in WHERE hits_in.late')
  })

  it.each([
    'SELECT 1 AS n FROM millrace.hits',
    'SELECT 1 AS n FROM millrace.hits_in UNION ALL SELECT 2 FROM millrace.hits_in',
  ])('refuses a view that does not read its table exactly once: %s', (select) => {
    expect(() => selectOver(target(select), 'f', [])).toThrow(/expected once/)
  })

  it.each([-1, 1.5, Number.NaN])('refuses %d as a partition', (kp) => {
    expect(() => selectOver(target('SELECT 1 FROM millrace.hits_in'), 'f', [{ kp, month: 202611 }])).toThrow(RangeError)
  })
})

describe('sourceOf', () => {
  it.each([
    ['SELECT 1 FROM millrace.hits_in', 'hits_in'],
    ['SELECT 1 FROM millrace.sessions_in AS s', 'sessions_in'],
    ['SELECT 1 FROM millrace.hits_in_old', null],
    ['SELECT 1 FROM other.hits_in', null],
  ])('%s reads %s', (select, source) => {
    expect(sourceOf(select)).toBe(source)
  })
})

describe('structureOf', () => {
  it('names and types columns', () => {
    expect(
      structureOf([
        { name: 'a', type: 'String' },
        { name: 'end', type: 'UInt8' },
      ]),
    ).toBe('`a` String, `end` UInt8')
  })
})
