import { describe, expect, test } from 'vitest'
import { readParameters } from './read-request.ts'

describe('a query in a URL', () => {
  test.each([
    [
      'site=blog&period=7d&metrics=visitors,page_views&dimensions=day',
      { site: 'blog', period: '7d', metrics: ['visitors', 'page_views'], dimensions: ['day'] },
    ],
    ['from=2026-11-01&to=1793523600000', { period: { from: '2026-11-01', to: 1793523600000 } }],
    ['from=2026-11-01', { period: { from: '2026-11-01' } }],
    ['limit=5&offset=x&include_bots=true', { limit: 5, offset: 'x', include_bots: true }],
    ['include_bots=no', { include_bots: 'no' }],
    [
      'order_by=visitors:desc,props.a:b',
      { order_by: [{ field: 'visitors', direction: 'desc' }, { field: 'props.a:b' }] },
    ],
    [
      'filter=%7B%22dimension%22%3A%22path%22%2C%22is%22%3A%5B%22%2F%22%5D%7D',
      { filter: { dimension: 'path', is: ['/'] } },
    ],
    ['compare=previous_year&timezone=Europe%2FVienna', { compare: 'previous_year', timezone: 'Europe/Vienna' }],
    ['metrics=&surprise=1', { metrics: [], surprise: '1' }],
  ])('%s is the object that POST takes', (text, expected) => {
    expect(readParameters(text)).toEqual(expected)
  })

  test.each([
    ['metrics=a&metrics=b', '/metrics'],
    ['filter={', '/filter'],
    ['period=7d&from=2026-11-01', '/period'],
  ])('%s is refused at %s', (text, pointer) => {
    expect(() => readParameters(text)).toThrow(
      expect.objectContaining({ errors: [expect.objectContaining({ pointer })] }),
    )
  })
})
