/**
 * Every error code of the HTTP API, with its status and title (RFC 9457). Codes are API: docs/reference/errors.md lists
 * them, and a test compares the two.
 */
export const ERROR_CODES = {
  json_invalid: [400, 'The body is not valid JSON'],
  body_invalid: [400, 'The body is not a hit or a list of hits'],
  hits_refused: [400, 'No hit was accepted'],
  hits_too_many: [400, 'Too many hits in one request'],
  field_unknown: [400, 'A field is not known'],
  field_missing: [400, 'A required field is missing'],
  field_invalid: [400, 'A field has a wrong type or value'],
  field_not_allowed: [400, 'A field needs a secret key'],
  url_invalid: [400, 'The url is not an absolute http(s) URL'],
  site_invalid: [400, 'The site id is not well formed'],
  query_invalid: [400, 'The query is not valid'],
  query_too_large: [422, 'The query needs more time or memory than one may use'],
  sql_invalid: [400, 'The SQL statement cannot be run'],
  sql_not_allowed: [403, 'The SQL statement may not be run here'],
  timezone_unknown: [400, 'The time zone is not known'],
  period_invalid: [400, 'The period is not valid'],
  request_invalid: [400, 'The request is not valid HTTP'],
  request_timeout: [408, 'The request took too long to arrive'],
  headers_too_large: [431, 'The request headers are too large'],
  encoding_unsupported: [415, 'The Content-Encoding is not supported'],
  media_type_unsupported: [415, 'The Content-Type is not supported'],
  body_too_large: [413, 'The body is too large'],
  unauthorized: [401, 'A key is required'],
  forbidden: [403, 'The key may not do this'],
  hostname_not_allowed: [403, 'The site takes no hits from this host'],
  site_unknown: [404, 'The site does not exist'],
  site_exists: [409, 'There is such a site already'],
  key_unknown: [404, 'The key does not exist'],
  goal_unknown: [404, 'The goal does not exist'],
  goal_exists: [409, 'There is such a goal already'],
  rebuild_running: [409, 'A rebuild runs already'],
  operation_running: [409, 'Such an operation runs already'],
  config_invalid: [400, 'The site, key or goal cannot be so'],
  not_found: [404, 'There is nothing at this address'],
  method_not_allowed: [405, 'The method is not allowed here'],
  rate_limited: [429, 'Too many requests'],
  overloaded: [503, 'The service has more work in flight than it may hold'],
  log_unavailable: [503, 'The log cannot take hits now'],
  store_unavailable: [503, 'The store cannot answer now'],
  not_ready: [503, 'A part of the service is not ready'],
  shutting_down: [503, 'The service is shutting down'],
  internal: [500, 'Something went wrong in Millrace'],
} as const satisfies Record<string, readonly [status: number, title: string]>

export type ErrorCode = keyof typeof ERROR_CODES

/** An RFC 9457 problem document, as every error of the HTTP API is answered. */
export interface Problem {
  type: string
  title: string
  status: number
  code: ErrorCode
  detail: string
  errors?: readonly FieldError[]
}

/** What is wrong with one field; `pointer` is a JSON pointer into the body as sent. */
export interface FieldError {
  code: ErrorCode
  pointer: string
  detail: string
}

/** The problem document of an error code. */
export function problem(code: ErrorCode, detail: string, errors?: readonly FieldError[]): Problem {
  const [status, title] = ERROR_CODES[code]
  return { type: `urn:millrace:error:${code}`, title, status, code, detail, ...(errors && { errors }) }
}

/** An error that the HTTP layer answers with its problem document. */
export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly errors: readonly FieldError[] | undefined
  constructor(code: ErrorCode, detail: string, errors?: readonly FieldError[]) {
    super(detail)
    this.name = 'MillraceError'
    this.code = code
    this.errors = errors
  }
  get problem(): Problem {
    return problem(this.code, this.message, this.errors)
  }
}
