import {
  inQuery,
  json,
  listOf,
  NUMBER,
  named,
  type Operation,
  type Operations,
  objectOf,
  type Schema,
  TEXT,
  TIME,
} from '@millrace/server'
import { Type } from '@sinclair/typebox'
import { DIMENSION_NAMES } from './dimensions.ts'
import { OPERATORS } from './filter.ts'
import { METRIC_MEANINGS } from './metric-meanings.ts'
import { METRIC_NAMES } from './metrics.ts'
import { NAMED_PERIODS } from './period.ts'
import { NAMED_COMPARISONS, QuerySchema } from './schema.ts'
import { SOURCES } from './source.ts'

const FILTER_REF: Schema = { $ref: '#/components/schemas/Filter' }
const filters: Schema = { type: 'array', items: FILTER_REF, minItems: 1, maxItems: 100 }
const group = (name: string, inner: Schema, description: string): Schema => ({
  ...objectOf({ [name]: inner }),
  description,
})
const VALUE: Schema = { type: ['string', 'number', 'boolean'] }
const VALUES: Schema = { anyOf: [VALUE, { type: 'array', items: VALUE, minItems: 1, maxItems: 1_000 }] }

const METRIC = named('Metric', {
  oneOf: METRIC_NAMES.map((name) => ({ const: name, description: METRIC_MEANINGS[name] })),
  description: 'What is counted',
})
const DIMENSION = named('Dimension', {
  anyOf: [{ enum: DIMENSION_NAMES }, { type: 'string', pattern: '^(props|tags)\\.[\\s\\S]{1,64}$' }],
  description: 'What the rows are told by; `props.NAME` is a property of events, `tags.NAME` a tag',
})
const CONDITION: Schema = {
  type: 'object',
  required: ['dimension'],
  minProperties: 2,
  maxProperties: 2,
  additionalProperties: false,
  properties: { dimension: DIMENSION, ...Object.fromEntries(OPERATORS.map((name) => [name, VALUES])) },
  description: 'A dimension and exactly one operator with its values: any of them, or of the `_not` operators none',
}
/** Conditions in groups, up to ten deep. */
export const FILTER = named('Filter', {
  anyOf: [
    CONDITION,
    group('and', filters, 'All of these'),
    group('or', filters, 'Any of these'),
    group('not', FILTER_REF, 'None of it'),
    group('session', FILTER_REF, 'All that belongs to a session of which this chooses a page view or event'),
  ],
})

/** A form of ours with its filter and metrics as they are named in the document. */
const withNames = (schema: Schema): Schema => {
  const { properties = {}, ...rest } = schema as { properties?: Readonly<Record<string, Schema>> }
  const { filter, metrics, dimensions } = properties
  return {
    ...rest,
    properties: {
      ...properties,
      ...(filter && { filter: FILTER }),
      ...(metrics && { metrics: { ...metrics, items: METRIC } }),
      ...(dimensions && { dimensions: { ...dimensions, items: DIMENSION } }),
    },
  }
}
export const QUERY = withNames(QuerySchema)
/** Fields of a query that named reports take. */
export const partOfQuery = (names: readonly string[]): Readonly<Record<string, Schema>> =>
  Object.fromEntries(
    Object.entries(withNames(Type.Partial(QuerySchema)).properties as Record<string, Schema>).filter(([name]) =>
      names.includes(name),
    ),
  )

/** The query as an answer repeats it: with every default, and absolute borders. */
export const UNDERSTOOD = named('UnderstoodQuery', {
  type: 'object',
  required: ['site', 'period', 'from', 'to', 'timezone', 'limit', 'offset', 'include_bots'],
  properties: { from: TIME, to: TIME },
  description: 'The query as understood, with absolute `from` and `to`',
})
const metricsOf = (value: Schema): Schema => ({
  type: 'object',
  propertyNames: { enum: METRIC_NAMES },
  additionalProperties: value,
})
const VALUE_OF_METRIC: Schema = { type: ['number', 'null'], description: '0 of 0 is null' }
const ROW = named('Row', {
  type: 'object',
  properties: { previous: metricsOf(VALUE_OF_METRIC), growth: metricsOf(VALUE_OF_METRIC) },
  additionalProperties: { type: ['string', 'number', 'null'] },
  description: 'Dimensions and metrics by their names; with a comparison `previous` and `growth`',
})
const SOURCE: Schema = { enum: SOURCES, description: 'What the answer was read from' }
export const COMPLETE_UNTIL: Schema = { ...TIME, description: 'Every hit in the log before it is counted' }
export const REPORT = named(
  'Report',
  objectOf(
    {
      query: UNDERSTOOD,
      source: SOURCE,
      totals_source: { ...SOURCE, description: 'Where the totals come from, if from elsewhere' },
      visitors_error: { ...NUMBER, description: 'Average relative error of `visitors`; 0 = exact' },
      rows: listOf(ROW),
      totals: ROW,
      row_count: { type: 'integer', description: 'Rows without `limit` and `offset`' },
      complete_until: COMPLETE_UNTIL,
    },
    ['totals_source', 'visitors_error'],
  ),
)
export const CSV: Schema = { type: 'string', description: 'A line of names, then one a row' }

const FIRST = { period: '7d', metrics: ['visitors', 'page_views', 'bounce_rate'], dimensions: ['day'] }
const SECOND = {
  period: { from: '2026-11-01', to: '2026-11-14' },
  timezone: 'Europe/Vienna',
  metrics: ['visitors'],
  dimensions: ['path'],
  filter: { and: [{ dimension: 'country', is: ['DE', 'AT'] }, { not: { dimension: 'path', contains: ['/admin'] } }] },
  compare: 'previous_period',
  order_by: [{ field: 'visitors', direction: 'desc' }],
  limit: 10,
}
const ANSWER: Operation['answers'] = {
  200: {
    description: 'The report; as CSV to who prefers `text/csv`',
    content: { ...json(REPORT), 'text/csv': { schema: CSV } },
  },
}
export const QUERY_ERRORS: Operation['errors'] = [
  'query_invalid',
  'field_unknown',
  'field_missing',
  'field_invalid',
  'timezone_unknown',
  'period_invalid',
  'query_too_large',
  'site_unknown',
  'store_unavailable',
]

/** A parameter for each field of a form: lists with commas, objects as JSON. */
export function asParameters(
  fields: Readonly<Record<string, Schema>>,
  examples: Readonly<Record<string, unknown>> = {},
) {
  return Object.entries(fields).map(([name, { description, ...schema }]) =>
    inQuery(name, String(description ?? MEANING[name] ?? ''), schema.type === 'array' || !schema.type ? TEXT : schema, {
      ...(examples[name] !== undefined && { example: examples[name] }),
    }),
  )
}
const MEANING: Readonly<Record<string, string>> = {
  period: `${NAMED_PERIODS.map((name) => `\`${name}\``).join(', ')}; or \`from\` and \`to\` instead`,
  metrics: 'Names with commas',
  dimensions: 'Names with commas',
  filter: 'A Filter, as JSON',
  compare: `${NAMED_COMPARISONS.map((name) => `\`${name}\``).join(', ')}, or a period of two ends as JSON`,
  order_by: 'Such as `visitors:desc,path`',
  goals: 'Ids with commas',
  limit: 'Rows at most; 100 if left out',
  offset: 'Rows to leave out first',
  include_bots: 'Whether bots count; what the site says if left out',
}
/** The ends of a period, as a URL has them. */
export const ENDS = [
  inQuery('from', 'With `to`: a date (inclusive), an RFC 3339 time, or epoch milliseconds (half-open)', TEXT),
  inQuery('to', 'The other end', TEXT),
]

/** What the routes of queries do. */
export const QUERY_OPERATIONS: Operations = {
  'POST /v1/query': {
    tag: 'Reports',
    summary: 'Answers a query',
    body: json(QUERY, { days: FIRST, pages: SECOND }),
    answers: ANSWER,
    errors: ['json_invalid', ...QUERY_ERRORS],
  },
  'GET /v1/query': {
    tag: 'Reports',
    summary: 'The same, for bookmarks',
    parameters: [
      ...asParameters(QUERY.properties as Record<string, Schema>, {
        period: '7d',
        metrics: 'visitors,page_views',
        dimensions: 'day',
      }),
      ...ENDS,
    ],
    answers: ANSWER,
    errors: QUERY_ERRORS,
  },
}
