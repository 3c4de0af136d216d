import { SITE_PATTERN } from '@millrace/shared'
import { Type } from '@sinclair/typebox'
import { WEEK_STARTS } from './buckets.ts'
import { METRIC_NAMES } from './metrics.ts'
import { NAMED_PERIODS } from './period.ts'

const oneOf = (names: readonly string[], description: string) =>
  Type.Union(
    names.map((name) => Type.Literal(name)),
    { description },
  )
const boundary = Type.Union([Type.String({ maxLength: 64 }), Type.Number()])
const period = Type.Union(
  [
    oneOf(NAMED_PERIODS, 'Named period'),
    Type.Object({ from: boundary, to: boundary }, { additionalProperties: false }),
  ],
  { description: 'Named period; or dates (inclusive local days), RFC 3339 times or epoch milliseconds (half-open)' },
)

/** Comparison periods with a name. */
export const NAMED_COMPARISONS = ['previous_period', 'previous_year'] as const
const MAX_METRICS = 30
const MAX_DIMENSIONS = 5
/** Rows of an answer that are not buckets of time. */
const MAX_LIMIT = 100_000
const MAX_OFFSET = 10_000_000

/** Body of POST /v1/query: the form. What the values mean is checked by parseQuery. */
export const QuerySchema = Type.Object(
  {
    site: Type.Optional(Type.String({ pattern: SITE_PATTERN, description: 'Id of the site; `default` if left out' })),
    period,
    timezone: Type.Optional(
      Type.String({ maxLength: 64, description: 'IANA time zone; the zone of the site if left out' }),
    ),
    metrics: Type.Array(oneOf(METRIC_NAMES, 'Metric'), { minItems: 1, maxItems: MAX_METRICS }),
    dimensions: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: MAX_DIMENSIONS })),
    filter: Type.Optional(Type.Unknown({ description: 'Conditions in groups of and, or, not' })),
    compare: Type.Optional(
      Type.Union([
        oneOf(NAMED_COMPARISONS, 'Named comparison'),
        Type.Object({ from: boundary, to: boundary }, { additionalProperties: false }),
      ]),
    ),
    order_by: Type.Optional(
      Type.Array(
        Type.Object(
          {
            field: Type.String({ maxLength: 128, description: 'A metric or dimension of this query' }),
            direction: Type.Optional(oneOf(['asc', 'desc'], 'If left out: metrics desc, dimensions asc')),
          },
          { additionalProperties: false },
        ),
        { minItems: 1, maxItems: MAX_METRICS + MAX_DIMENSIONS },
      ),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_LIMIT })),
    offset: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_OFFSET })),
    include_bots: Type.Optional(Type.Boolean()),
    goals: Type.Optional(
      Type.Array(Type.String({ maxLength: 128 }), {
        minItems: 1,
        maxItems: 100,
        description: 'Ids of the goals that conversions are counted for; all of the site if left out',
      }),
    ),
    week_start: Type.Optional(oneOf(Object.keys(WEEK_STARTS), 'Day that weeks begin with; monday if left out')),
  },
  { additionalProperties: false, $id: 'Query' },
)
