import { type Static, Type } from '@sinclair/typebox'
import { allOf, type Binder } from '../statement.ts'
import type { NamedReport } from './named-report.ts'
import { chosenHits, page, type Scope, select } from './scope.ts'

const Fields = Type.Object({
  event_name: Type.String({ minLength: 1, maxLength: 256, description: 'Name of the event' }),
  property: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: 'Its values; without it, the properties of the event' }),
  ),
})

/** Properties of an event; of one property its numbers summed up and its values. */
export const eventProperties: NamedReport = {
  fields: Fields,
  async answer(fields, scope) {
    const { event_name, property } = fields as Static<typeof Fields>
    if (property === undefined) return { rows: await propertiesOf(event_name, scope) }
    const [[summary], rows] = await Promise.all([
      summaryOf(event_name, property, scope),
      valuesOf(event_name, property, scope),
    ])
    return { summary, rows }
  },
}

const ofEvent = (name: string, scope: Scope, binder: Binder): string[] => [
  ...chosenHits(scope.question, binder),
  "type = 'event'",
  `event_name = ${binder.bind('event_name', 'String', name)}`,
]

const propertiesOf = (name: string, scope: Scope): Promise<object[]> =>
  select(
    scope,
    (binder) => `SELECT property, toFloat64(count()) AS events, toFloat64(uniqExact(visitor_id)) AS visitors,
  toFloat64(countIf(mapContains(props_number, property))) AS numbers
FROM millrace.hits
ARRAY JOIN arrayDistinct(arrayConcat(mapKeys(props_text), mapKeys(props_number))) AS property
WHERE ${allOf(ofEvent(name, scope, binder))}
GROUP BY property
ORDER BY events DESC, property
${page(scope, binder)}`,
  )

const has = (key: string): string => `mapContains(props_number, ${key})`

/** Numbers alone; quantiles are exact. Null where there is no number. */
function summaryOf(name: string, property: string, scope: Scope): Promise<object[]> {
  return select(scope, (binder) => {
    const key = binder.bind('property', 'String', property)
    const number = `props_number[${key}]`
    const quantile = (level: number): string => `quantileExactIf(${level})(${number}, ${has(key)})`
    const ofNumbers = {
      sum: `sumIf(${number}, ${has(key)})`,
      average: `avgIf(${number}, ${has(key)})`,
      min: `minIf(${number}, ${has(key)})`,
      max: `maxIf(${number}, ${has(key)})`,
      p50: quantile(0.5),
      p75: quantile(0.75),
      p95: quantile(0.95),
      p99: quantile(0.99),
    }
    const columns = Object.entries(ofNumbers).map(([as, sql]) => `if(numbers = 0, NULL, ${sql}) AS ${as}`)
    return `SELECT toFloat64(countIf(${has(key)} OR mapContains(props_text, ${key}))) AS events,
  toFloat64(countIf(${has(key)})) AS numbers, ${columns.join(', ')},
  avgOrNullIf(event_duration_ms, event_duration_ms > 0) AS event_duration
FROM millrace.hits
WHERE ${allOf(ofEvent(name, scope, binder))}`
  })
}

const valuesOf = (name: string, property: string, scope: Scope): Promise<object[]> =>
  select(scope, (binder) => {
    const key = binder.bind('property', 'String', property)
    const where = [...ofEvent(name, scope, binder), `(${has(key)} OR mapContains(props_text, ${key}))`]
    return `SELECT if(${has(key)}, toString(props_number[${key}]), props_text[${key}]) AS value, toFloat64(count()) AS events,
  toFloat64(uniqExact(visitor_id)) AS visitors, toFloat64(sum(hits.value)) AS revenue,
  avgOrNullIf(event_duration_ms, event_duration_ms > 0) AS event_duration
FROM millrace.hits AS hits
WHERE ${allOf(where)}
GROUP BY value
ORDER BY events DESC, value
${page(scope, binder)}`
  })
