import { inQuery, type Operation, type Operations, TEXT } from '@millrace/server'

const EXAMPLE =
  "SELECT path, count() AS views FROM page_views WHERE site = 'default' GROUP BY path ORDER BY views DESC LIMIT 10 FORMAT JSON"
const ANYTHING = {
  'application/json': { schema: { type: 'object' } },
  'application/x-ndjson': { schema: TEXT },
  'text/tab-separated-values': { schema: TEXT },
  'text/csv': { schema: TEXT },
  '*/*': { schema: TEXT },
}
const PARAMETERS = [
  inQuery('param_NAME', 'Value of `{NAME:Type}` in the statement', TEXT),
  inQuery('default_format', 'Format of statements without `FORMAT`; `TabSeparated` if left out', TEXT),
]
const ANSWERS: Operation['answers'] = {
  200: { description: 'The rows, in the format that was asked for', content: ANYTHING },
}
const ERRORS: Operation['errors'] = [
  'sql_invalid',
  'sql_not_allowed',
  'query_too_large',
  'rate_limited',
  'overloaded',
  'store_unavailable',
]
const BODY = { 'text/plain': { schema: TEXT, examples: { pages: EXAMPLE } } }

const post: Operation = {
  tag: 'SQL',
  summary: "ClickHouse's HTTP dialect, for its own clients",
  description: 'Errors are in their words. A password is taken for a key.',
  parameters: PARAMETERS,
  body: BODY,
  answers: ANSWERS,
}
const get: Operation = {
  tag: 'SQL',
  summary: 'The same, with the statement as `query`',
  parameters: [inQuery('query', 'The statement', TEXT, { example: EXAMPLE }), ...PARAMETERS],
  answers: ANSWERS,
}

/** What the routes of SQL do. */
export const SQL_OPERATIONS: Operations = {
  'POST /v1/sql': {
    tag: 'SQL',
    summary: 'Answers one statement that reads the views of the database `analytics`',
    description:
      'The key has to be for all sites. Some settings of ClickHouse may be given as parameters too: docs/sql.md.',
    parameters: PARAMETERS,
    body: BODY,
    answers: ANSWERS,
    errors: ERRORS,
  },
  'POST /clickhouse': post,
  'POST /clickhouse/': post,
  'GET /clickhouse': get,
  'GET /clickhouse/': get,
  'GET /clickhouse/ping': {
    tag: 'SQL',
    summary: 'Whether the dialect answers',
    answers: { 200: { description: '`Ok.`', content: { 'text/plain': { schema: TEXT } } } },
  },
}
