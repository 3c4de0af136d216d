import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DIMENSION_NAMES } from './dimensions.ts'
import { METRIC_MEANINGS } from './metric-meanings.ts'
import { METRIC_NAMES } from './metrics.ts'
import { OWN_REPORTS } from './reports/list-reports.ts'
import { PRESETS } from './reports/presets.ts'
import { QuerySchema } from './schema.ts'

const page = readFileSync(new URL('../../../../docs/reference/http-api.md', import.meta.url), 'utf8')
const section = (title: string, end = '\n#'): string => {
  const start = page.indexOf(`${title}\n`)
  return page.slice(start, page.indexOf(end, start + title.length))
}
const rowsOf = (text: string): string[] => [...text.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name!)

test('the page of the HTTP API has every field of a query, and no other', () => {
  expect(rowsOf(section('## POST /v1/query', '\n### ')).sort()).toEqual(Object.keys(QuerySchema.properties).sort())
})

test('it has every metric, in order', () => {
  expect(rowsOf(section('### Metrics'))).toEqual(METRIC_NAMES)
})

test('it says of every metric what /docs says', () => {
  const told = [...section('### Metrics').matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, name, meaning]) => [
    name,
    meaning,
  ])
  expect(Object.fromEntries(told)).toEqual(METRIC_MEANINGS)
})

test('it has every dimension, and no other', () => {
  const named = section('### Dimensions')
    .split('\n\n')
    .slice(0, 2)
    .join('\n')
    .match(/`(\w+)`/g)!
  const names = named.map((name) => name.slice(1, -1))
  expect(names.sort()).toEqual([...DIMENSION_NAMES].sort())
})

test('it has every report with its fields', () => {
  const text = section('## Reports', '\n### Goals')
  expect(rowsOf(text).sort()).toEqual([...Object.keys(PRESETS), ...Object.keys(OWN_REPORTS)].sort())
  for (const [name, { metrics, dimensions }] of Object.entries(PRESETS)) {
    const row = text.split('\n').find((line) => line.startsWith(`| \`${name}\` |`))
    for (const part of [...metrics, ...dimensions]) expect(row, name).toContain(`\`${part}\``)
  }
  for (const [name, { fields }] of Object.entries(OWN_REPORTS)) {
    const row = text.split('\n').find((line) => line.startsWith(`| \`${name}\` |`))
    for (const field of Object.keys(fields.properties)) expect(row, name).toContain(`\`${field}\``)
  }
})
