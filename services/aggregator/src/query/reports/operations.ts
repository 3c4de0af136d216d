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
import {
  asParameters,
  COMPLETE_UNTIL,
  CSV,
  ENDS,
  partOfQuery,
  QUERY,
  QUERY_ERRORS,
  REPORT,
  UNDERSTOOD,
} from '../operations.ts'
import { OWN_REPORTS, REPORT_NAMES } from './list-reports.ts'
import { PRESETS } from './presets.ts'
import { SHARED } from './read-report.ts'
import { SHOWN } from './session-list.ts'

/** snake_case as the name of a schema. */
const title = (name: string): string => name.replaceAll(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase())

const COUNT: Schema = { type: 'integer' }
const RATE: Schema = { type: ['number', 'null'] }
const counted = (...names: string[]) => Object.fromEntries(names.map((name) => [name, COUNT]))
const nullable = (...names: string[]) => Object.fromEntries(names.map((name) => [name, RATE]))
const answerOf = (fields: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema =>
  objectOf({ query: UNDERSTOOD, ...fields, complete_until: COMPLETE_UNTIL }, optional)

const NUMBERS_OF_SESSIONS = ['duration_ms', 'page_views', 'events', 'engaged_ms']
const FLAGS_OF_SESSIONS = ['is_bounce', 'is_bot']
const SESSION = named(
  'Session',
  objectOf({
    session_id: TEXT,
    visitor_id: TEXT,
    start: TIME,
    end: TIME,
    ...Object.fromEntries(
      SHOWN.map((name) => [
        name,
        NUMBERS_OF_SESSIONS.includes(name)
          ? COUNT
          : FLAGS_OF_SESSIONS.includes(name)
            ? { type: ['integer', 'boolean'] }
            : TEXT,
      ]),
    ),
  }),
)
const STEP = named(
  'SessionStep',
  objectOf({
    time: TIME,
    type: { enum: ['page_view', 'event', 'engagement'] },
    ...Object.fromEntries(
      ['hostname', 'path', 'title', 'route', 'event_name', 'currency', 'hit_id', 'http_method'].map((name) => [
        name,
        TEXT,
      ]),
    ),
    ...{ value: NUMBER, event_duration_ms: COUNT, interactive: { type: ['integer', 'boolean'] } },
    props_text: { type: 'object', additionalProperties: TEXT },
    props_number: { type: 'object', additionalProperties: NUMBER },
    tags: { type: 'object', additionalProperties: TEXT },
    ...counted('engaged_ms', 'scroll_percent', 'http_status'),
    ...{ page_id: { type: ['string', 'null'] }, request_ms: NUMBER },
  }),
)
const NEIGHBOURS = listOf(objectOf({ path: TEXT, ...counted('page_views') }))
const HERE = counted('visitors', 'page_views', 'events')

/** What a realtime event and answer have in common. */
const REALTIME = {
  minutes: COUNT,
  totals: objectOf(HERE),
  series: listOf(objectOf({ minute: TIME, ...HERE })),
  rows: listOf(objectOf({ path: TEXT, ...counted('visitors') })),
}
const ANSWERS: Readonly<Record<keyof typeof OWN_REPORTS, Schema>> = {
  realtime: answerOf(REALTIME),
  event_properties: answerOf(
    {
      summary: objectOf({
        ...counted('events', 'numbers'),
        ...nullable('sum', 'average', 'min', 'max', 'p50', 'p75', 'p95', 'p99', 'event_duration'),
      }),
      rows: listOf(
        objectOf(
          {
            property: TEXT,
            value: TEXT,
            ...counted('events', 'visitors', 'numbers'),
            ...nullable('revenue', 'event_duration'),
          },
          ['property', 'value', 'numbers', 'revenue', 'event_duration'],
        ),
      ),
    },
    ['summary'],
  ),
  tags: answerOf({
    rows: listOf(objectOf({ tag: TEXT, ...counted('page_views', 'events', 'visitors', 'tag_values') })),
  }),
  sessions: answerOf({ rows: listOf(SESSION), row_count: COUNT }),
  session: answerOf({ session: { anyOf: [SESSION, { type: 'null' }] }, rows: listOf(STEP) }),
  goals: answerOf({
    rows: listOf(
      objectOf(
        {
          ...{ goal: TEXT, name: TEXT, type: { enum: ['page', 'event', 'scroll', 'duration'] } },
          ...counted('conversions', 'visitors'),
          ...{ conversion_rate: RATE, revenue: NUMBER, currency: TEXT },
        },
        ['currency'],
      ),
    ),
    totals: objectOf(counted('visitors')),
  }),
  funnel: answerOf({
    rows: listOf(
      objectOf({ step: COUNT, name: TEXT, count: COUNT, ...nullable('rate', 'step_rate'), ...counted('dropped') }),
    ),
  }),
  journey: answerOf({
    previous: NEIGHBOURS,
    next: NEIGHBOURS,
    totals: objectOf(counted('page_views', 'entries', 'exits')),
  }),
  values: answerOf({ rows: listOf(objectOf({ value: TEXT, count: NUMBER })) }),
}

const shared = partOfQuery(SHARED)
const REQUESTS = Object.entries(OWN_REPORTS).map(([name, { fields }]) =>
  named(`${title(name)}Request`, {
    ...fields,
    properties: { ...fields.properties, ...shared },
    additionalProperties: false,
    description: `Of the report \`${name}\``,
  }),
)
const PRESET = named('PresetRequest', {
  ...QUERY,
  $id: 'PresetRequest',
  required: [],
  description: `Of the reports ${Object.keys(PRESETS)
    .map((name) => `\`${name}\``)
    .join(', ')}: fields of a query, each with a value of its own if left out`,
})

const NAME = (example: string) => ({
  name: 'name',
  in: 'path' as const,
  description: 'Name of the report',
  schema: { enum: REPORT_NAMES },
  example,
})
const ANSWER: Operation['answers'] = {
  200: {
    description: 'The report; those that are queries also as CSV',
    content: {
      ...json({
        anyOf: [
          REPORT,
          ...Object.entries(ANSWERS).map(([name, schema]) =>
            named(`${title(name)}Answer`, { ...schema, description: `Of \`${name}\`` }),
          ),
        ],
      }),
      'text/csv': { schema: CSV },
    },
  },
}
const OWN_PARAMETERS = Object.assign(
  {},
  ...Object.values(OWN_REPORTS).map(({ fields }) => fields.properties),
) as Record<string, Schema>

/** What the routes of named reports do. */
export const REPORT_OPERATIONS: Operations = {
  'GET /v1/reports': {
    tag: 'Reports',
    summary: 'The names of the reports',
    answers: {
      200: { description: 'The names', content: json(objectOf({ reports: listOf({ enum: REPORT_NAMES }) })) },
    },
  },
  'GET /v1/reports/:name': {
    tag: 'Reports',
    summary: 'Answers a report by its name',
    description: 'Parameters are the fields of the report; lists of objects as JSON.',
    parameters: [
      NAME('pages'),
      ...asParameters(QUERY.properties as Record<string, Schema>, { period: '7d' }),
      ...ENDS,
      ...asParameters(OWN_PARAMETERS),
    ],
    answers: ANSWER,
    errors: ['not_found', ...QUERY_ERRORS!],
  },
  'POST /v1/reports/:name': {
    tag: 'Reports',
    summary: 'The same, with the fields in a body',
    parameters: [NAME('funnel')],
    body: json(
      { anyOf: [PRESET, ...REQUESTS] },
      {
        funnel: { period: '30d', steps: [{ path: '/' }, { path: '/shop/**' }, { event_name: 'buy' }], order: 'loose' },
      },
    ),
    answers: ANSWER,
    errors: ['json_invalid', 'not_found', ...QUERY_ERRORS!],
  },
  'GET /v1/reports/realtime/stream': {
    tag: 'Reports',
    summary: 'The report `realtime` as server-sent events',
    description:
      'One `event: realtime` at once and one every 5 s, with the data of the report without `complete_until`; an answer that failed is an `event: problem` with `code` and `detail`.',
    parameters: [
      ...asParameters({ ...shared }).filter(({ name }) => name !== 'period'),
      inQuery(
        'minutes',
        'How far back; 30 if left out',
        { type: 'integer', minimum: 1, maximum: 120 },
        { example: 30 },
      ),
    ],
    answers: { 200: { description: 'The stream', content: { 'text/event-stream': { schema: TEXT } } } },
    errors: [...QUERY_ERRORS!, 'overloaded'],
  },
}
