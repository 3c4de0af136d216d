/** An RFC 9457 problem document, as the service answers every error (docs/reference/errors.md). */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  /** What is wrong with each field; `pointer` leads into the query. */
  readonly errors?: readonly { readonly code: string; readonly pointer: string; readonly detail: string }[]
}

/** A question that was not answered. */
export class MillraceApiError extends Error {
  override readonly name = 'MillraceApiError'
  /** HTTP status; 0 = there was no answer. */
  readonly status: number
  /** Code of the problem document; without one `http_502` and the like, `network`, `timeout`. */
  readonly code: string
  /** Null where the answer came from something else, or did not come. */
  readonly problem: Problem | null
  /** Milliseconds after which the service wants to be asked again. */
  readonly retryAfterMs: number | undefined

  constructor(
    message: string,
    facts: {
      status: number
      code: string
      problem?: Problem | null
      retryAfterMs?: number | undefined
      cause?: unknown
    },
  ) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.status = facts.status
    this.code = facts.code
    this.problem = facts.problem ?? null
    this.retryAfterMs = facts.retryAfterMs
  }
}
