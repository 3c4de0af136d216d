import { MillraceApiError, type Problem } from './api-error.ts'
import { type Answer, post, TimedOut } from './fetch.ts'
import type { Service, ServiceOptions } from './options.ts'
import type { Dimension, Metric, Query, Report } from './query.ts'
import { createReports, type Reports } from './reports.ts'
import { readRetryAfter } from './retry-delay.ts'
import { openService } from './service.ts'

/** What goes with a question besides its words. */
export interface AskOptions {
  /** Stops the request. */
  readonly signal?: AbortSignal | undefined
}

/** The reading side. */
export interface Reader {
  /**
   * Asks POST /v1/query. Rows have the metrics and dimensions that were asked, by name.
   * @throws MillraceApiError; the signal's reason when it is aborted
   */
  query<const M extends Metric, const D extends Dimension = never>(
    query: Query<M, D>,
    options?: AskOptions,
  ): Promise<Report<M, D>>
  /** The usual questions, one function each. */
  readonly reports: Reports
}

const TIMEOUT_MS = 30_000

/**
 * The reading side alone, for programs that send nothing.
 * @throws TypeError for options that cannot be right
 */
export function createReader(options: ServiceOptions): Reader {
  const service = openService(options, TIMEOUT_MS)
  const query = <M extends Metric, D extends Dimension>(asked: Query<M, D>, ask?: AskOptions): Promise<Report<M, D>> =>
    send<Report<M, D>>(service, '/v1/query', { site: service.site, ...asked }, ask?.signal)
  return { query, reports: createReports(query) }
}

async function send<T>(service: Service, path: string, body: object, signal: AbortSignal | undefined): Promise<T> {
  const { fetch, headers, timeoutMs } = service
  let answer: Answer
  try {
    answer = await post(service.url + path, { fetch, headers, body: JSON.stringify(body), timeoutMs, signal })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new MillraceApiError(`The service did not answer: ${error instanceof Error ? error.message : error}`, {
      status: 0,
      code: error instanceof TimedOut ? 'timeout' : 'network',
      cause: error,
    })
  }
  if (answer.status === 200 && typeof answer.body === 'object' && answer.body !== null) return answer.body as T
  throw errorOf(answer)
}

function errorOf({ status, headers, body }: Answer): MillraceApiError {
  const problem = isProblem(body) ? body : null
  return new MillraceApiError(problem?.detail || `The service answered ${status}.`, {
    status,
    code: problem?.code ?? `http_${status}`,
    problem,
    retryAfterMs: readRetryAfter(headers.get('retry-after'), headers.get('date'), Date.now()),
  })
}

const isProblem = (body: unknown): body is Problem =>
  typeof body === 'object' && body !== null && typeof (body as Partial<Problem>).code === 'string'
