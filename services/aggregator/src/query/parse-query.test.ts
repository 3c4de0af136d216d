import type { MillraceError } from '@millrace/shared'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMIT, parseQuery } from './parse-query.ts'

const CONTEXT = { nowMs: Date.parse('2026-11-14T12:00:00Z'), siteZone: 'Europe/Vienna' }
const parse = (body: unknown) => parseQuery(body, CONTEXT)
const GOOD = { site: 'blog', period: '7d', metrics: ['visitors'] }

function mistakesIn(body: unknown): { code: string; errors: string[] } {
  try {
    parse(body)
  } catch (error) {
    const { code, errors } = error as MillraceError
    return { code, errors: errors!.map((one) => `${one.code} ${one.pointer}`) }
  }
  return { code: 'none', errors: [] }
}

describe('a query', () => {
  test('is read with its defaults', () => {
    const query = parse({ period: '7d', metrics: ['visitors'], dimensions: ['path'] })
    expect(query).toMatchObject({
      site: 'default',
      timezone: 'Europe/Vienna',
      limit: DEFAULT_LIMIT,
      offset: 0,
      includeBots: false,
      filter: null,
      compare: null,
    })
    expect(parse({ ...GOOD, dimensions: ['day', 'path'] }).limit).toBe(10_000)
    expect(
      parse({ ...GOOD, dimensions: ['path'], order_by: [{ field: 'visitors' }, { field: 'path' }] }).orderBy,
    ).toEqual([
      { field: 'visitors', direction: 'desc' },
      { field: 'path', direction: 'asc' },
    ])
  })

  test.each<[string, unknown, string, string[]]>([
    ['no object', [], 'query_invalid', ['field_invalid ']],
    ['null', null, 'query_invalid', ['field_invalid ']],
    ['nothing in it', {}, 'query_invalid', ['field_missing /period', 'field_missing /metrics']],
    ['an unknown field', { ...GOOD, metric: ['visitors'] }, 'query_invalid', ['field_unknown /metric']],
    ['a field name that needs escapes', { ...GOOD, 'a/b~c': 1 }, 'query_invalid', ['field_unknown /a~1b~0c']],
    ['a bad site', { ...GOOD, site: 'A b' }, 'query_invalid', ['field_invalid /site']],
    ['no metrics', { ...GOOD, metrics: [] }, 'query_invalid', ['field_invalid /metrics']],
    ['an unknown metric', { ...GOOD, metrics: ['visitors', 'clicks'] }, 'query_invalid', ['field_invalid /metrics/1']],
    ['a metric twice', { ...GOOD, metrics: ['visitors', 'visitors'] }, 'query_invalid', ['field_invalid /metrics/1']],
    ['metrics as text', { ...GOOD, metrics: 'visitors' }, 'query_invalid', ['field_invalid /metrics']],
    [
      'an unknown dimension',
      { ...GOOD, dimensions: ['day', 'colour'] },
      'query_invalid',
      ['field_invalid /dimensions/1'],
    ],
    [
      'a name of every object',
      { ...GOOD, dimensions: ['constructor', '__proto__'] },
      'query_invalid',
      ['field_invalid /dimensions/0', 'field_invalid /dimensions/1'],
    ],
    ['two buckets', { ...GOOD, dimensions: ['day', 'hour'] }, 'query_invalid', ['field_invalid /dimensions/1']],
    ['a dimension twice', { ...GOOD, dimensions: ['path', 'path'] }, 'query_invalid', ['field_invalid /dimensions/1']],
    [
      'too many buckets',
      { ...GOOD, period: '90d', dimensions: ['minute'] },
      'query_invalid',
      ['field_invalid /dimensions/0'],
    ],
    ['an unknown zone', { ...GOOD, timezone: 'Europe/Wien' }, 'timezone_unknown', ['timezone_unknown /timezone']],
    ['an offset as zone', { ...GOOD, timezone: '+02:00' }, 'timezone_unknown', ['timezone_unknown /timezone']],
    ['an unknown period', { ...GOOD, period: '8d' }, 'period_invalid', ['period_invalid /period']],
    ['half a period', { ...GOOD, period: { from: '2026-11-01' } }, 'period_invalid', ['period_invalid /period']],
    [
      'a bad date',
      { ...GOOD, period: { from: '2026-02-30', to: '2026-03-01' } },
      'period_invalid',
      ['period_invalid /period/from'],
    ],
    [
      'an order by a stranger',
      { ...GOOD, order_by: [{ field: 'sessions' }] },
      'query_invalid',
      ['field_invalid /order_by/0/field'],
    ],
    [
      'a bad direction',
      { ...GOOD, order_by: [{ field: 'visitors', direction: 'up' }] },
      'query_invalid',
      ['field_invalid /order_by/0/direction'],
    ],
    [
      'limits out of bounds',
      { ...GOOD, limit: 0, offset: -1 },
      'query_invalid',
      ['field_invalid /limit', 'field_invalid /offset'],
    ],
    ['a limit as text', { ...GOOD, limit: '5' }, 'query_invalid', ['field_invalid /limit']],
    ['too large a limit', { ...GOOD, limit: 100_001 }, 'query_invalid', ['field_invalid /limit']],
    ['include_bots as text', { ...GOOD, include_bots: 'no' }, 'query_invalid', ['field_invalid /include_bots']],
    ['an unknown comparison', { ...GOOD, compare: 'last_week' }, 'query_invalid', ['field_invalid /compare']],
    [
      'a comparison of everything',
      { ...GOOD, period: 'all', compare: 'previous_period' },
      'query_invalid',
      ['field_invalid /compare'],
    ],
    [
      'a comparison with a bad date',
      { ...GOOD, compare: { from: 'x', to: '2026-01-01' } },
      'period_invalid',
      ['period_invalid /compare/from'],
    ],
    [
      'everything wrong at once',
      { period: '8d', metrics: ['x'], dimensions: ['y'], timezone: 'z', limit: 'many', filter: 1, extra: true },
      'query_invalid',
      [
        'field_unknown /extra',
        'period_invalid /period',
        'field_invalid /metrics/0',
        'field_invalid /limit',
        'timezone_unknown /timezone',
        'field_invalid /dimensions/0',
        'field_invalid /filter',
      ],
    ],
  ])('with %s is refused', (_, body, code, errors) => {
    const found = mistakesIn(body)
    expect(found.code).toBe(code)
    expect(found.errors.sort()).toEqual(errors.sort())
  })

  test.each<[unknown, string[]]>([
    [{ dimension: 'path', is: ['/'] }, []],
    [{ dimension: 'path', is: '/' }, []],
    [{ and: [{ dimension: 'path', is: ['/'] }, { or: [{ not: { dimension: 'day', less: ['2026-11-01'] } }] }] }, []],
    [{ dimension: 'props.a.b', is: ['x', 1, true] }, []],
    [{ dimension: 'hour_of_day', is: [9] }, []],
    [null, ['field_invalid /filter']],
    [[], ['field_invalid /filter']],
    [{}, ['field_missing /filter/dimension', 'field_invalid /filter']],
    [{ dimension: 'path' }, ['field_invalid /filter']],
    [{ dimension: 'path', is: ['/'], is_not: ['/a'] }, ['field_invalid /filter']],
    [{ dimension: 'path', equals: ['/'] }, ['field_unknown /filter/equals']],
    [{ dimension: 'colour', is: ['/'] }, ['field_invalid /filter/dimension']],
    [{ dimension: 'path', is: [] }, ['field_invalid /filter/is']],
    [{ dimension: 'path', is: ['/', 5, null] }, ['field_invalid /filter/is/1', 'field_invalid /filter/is/2']],
    [{ dimension: 'path', contains: [''] }, ['field_invalid /filter/contains/0']],
    [{ dimension: 'path', greater: ['/'] }, ['field_invalid /filter/greater']],
    [{ dimension: 'tags.a', less: [1] }, ['field_invalid /filter/less']],
    [{ dimension: 'http_status', greater: [1, 2] }, ['field_invalid /filter/greater']],
    [{ dimension: 'http_status', is: ['200'] }, ['field_invalid /filter/is/0']],
    [{ and: [] }, ['field_invalid /filter/and']],
    [{ and: [{ dimension: 'path', is: ['/'] }], dimension: 'path' }, ['field_invalid /filter/dimension']],
    [
      { or: [{ not: { and: [{ dimension: 'x', is: ['1'] }, 7] } }] },
      ['field_invalid /filter/or/0/not/and/0/dimension', 'field_invalid /filter/or/0/not/and/1'],
    ],
    [{ and: Array.from({ length: 101 }, () => ({ dimension: 'path', is: ['/'] })) }, ['field_invalid /filter/and']],
    [deep(11), [`field_invalid /filter${'/not'.repeat(11)}`]],
  ])('with the filter %j has the mistakes %j', (filter, errors) => {
    expect(mistakesIn({ ...GOOD, filter }).errors.sort()).toEqual(errors.sort())
  })

  test('of any shape is read or refused with pointers that lead into it', () => {
    const field = fc.constantFrom(
      'site',
      'period',
      'timezone',
      'metrics',
      'dimensions',
      'filter',
      'compare',
      'order_by',
      'limit',
      'offset',
      'include_bots',
    )
    fc.assert(
      fc.property(
        fc.dictionary(field, fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        (known, strange) => {
          const { code, errors } = mistakesIn({ ...GOOD, ...known, ...strange })
          expect(['none', 'query_invalid', 'period_invalid', 'timezone_unknown']).toContain(code)
          if (code !== 'none') expect(errors.length).toBeGreaterThan(0)
        },
      ),
      { numRuns: 500, seed: 5 },
    )
  })
})

function deep(levels: number): unknown {
  return levels === 0 ? { dimension: 'path', is: ['/'] } : { not: deep(levels - 1) }
}
