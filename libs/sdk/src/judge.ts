import type { Answer } from './fetch.ts'
import { readRetryAfter } from './retry-delay.ts'

/** Why a hit was not taken: a code of docs/reference/errors.md, or `http_404` where the answer is not the service's. */
export interface Refusal {
  readonly code: string
  /** JSON pointer to what is wrong in the hit; '' = the hit, or the request, as a whole. */
  readonly pointer: string
  readonly detail: string
  readonly status: number
}

/** What an answer means for the batch that it answers. Indexes are places in the batch. */
export type Verdict =
  | Answered
  | {
      readonly kind: 'retry'
      readonly reason: string
      readonly busy: boolean
      readonly retryAfterMs: number | undefined
    }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'encoding_unsupported' }

/** Each hit has its own end; those that no list names were delivered, or refused if there is an `otherwise`. */
export interface Answered {
  readonly kind: 'answered'
  readonly refused: ReadonlyMap<number, Refusal>
  readonly ignored: ReadonlyMap<number, string>
  readonly otherwise: Refusal | null
  /** Of hits that are not wrong but too many now (`isTooMuch`). */
  readonly retryAfterMs: number | undefined
}

/** A refusal of the moment: the hit is worth sending again. */
export const isTooMuch = ({ code }: Refusal): boolean => code === 'rate_limited'

interface Document {
  readonly accepted?: unknown
  readonly refused?: unknown
  readonly ignored?: unknown
  readonly code?: unknown
  readonly detail?: unknown
  readonly title?: unknown
}

/** Other statuses than these (and 5xx) do not get better by waiting. */
const RETRIED = [408, 425, 429]

/** `busy` of a retry: the service, or one before it, cannot now. Otherwise this very batch may be the reason. */
export function judge({ status, headers, body }: Answer, nowMs: number): Verdict {
  const document: Document = typeof body === 'object' && body !== null ? body : {}
  const retryAfterMs = readRetryAfter(headers.get('retry-after'), headers.get('date'), nowMs)
  const answered = (otherwise: Refusal | null): Answered => ({
    kind: 'answered',
    refused: refusals(document, status),
    ignored: reasons(document),
    otherwise,
    retryAfterMs,
  })
  if (status === 202 && typeof document.accepted === 'number') return answered(null)
  if (status === 413) return { kind: 'too_large' }
  if (status === 415 && document.code === 'encoding_unsupported') return { kind: 'encoding_unsupported' }
  // A 2xx of somebody else (a captive portal, a wrong address) is no promise.
  if (status >= 500 || status < 300 || RETRIED.includes(status)) {
    return { kind: 'retry', reason: `http_${status}`, busy: status !== 500, retryAfterMs }
  }
  return answered(refusalOf(document, status))
}

/** What a problem document says of the whole request. */
export function refusalOf({ code, detail, title }: Document, status: number): Refusal {
  return {
    code: typeof code === 'string' ? code : `http_${status}`,
    pointer: '',
    detail: textOf(detail) ?? textOf(title) ?? `The answer was ${status}.`,
    status,
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** By index. Pointers lead into the request as sent: what stands before the hit is left out. */
function refusals({ refused }: Document, status: number): ReadonlyMap<number, Refusal> {
  return new Map(
    entries(refused).map((entry) => {
      const pointer = (textOf(entry.pointer) ?? '').replace(/^\/hits\/\d+/, '')
      return [entry.index, { ...refusalOf(entry, status), pointer }]
    }),
  )
}

const reasons = ({ ignored }: Document): ReadonlyMap<number, string> =>
  new Map(entries(ignored).map(({ index, reason }) => [index, textOf(reason) ?? 'ignored']))

type Entry = Document & { readonly index: number; readonly pointer?: unknown; readonly reason?: unknown }

function entries(list: unknown): Entry[] {
  if (!Array.isArray(list)) return []
  return list.filter((entry) => typeof entry === 'object' && entry !== null && Number.isInteger(entry.index))
}
