import { type Answer, answerOf, problemAnswer } from '@millrace/server'
import { type ErrorCode, problem } from '@millrace/shared'
import type { Admitted } from './admit.ts'
import { ACCEPT_CH, JSON_TYPE, readableHeaders, TAKEN } from './answer-headers.ts'
import { rateLimitHeaders } from './rate-limit.ts'
import type { Asked, Intake } from './take-hits.ts'
import type { RefusedHit } from './validate-hits.ts'

type Headers = Answer['headers']

/** By number of hits: the answer to requests of which every hit was taken, and any page may read it. */
const taken: Answer[] = []

/** The answer to a request of which every hit was looked at: 202 when one was taken or left out, else a problem. */
export function answerTo(intake: Intake, admitted: Admitted, asked: Asked): Answer {
  const { hits, refused, ignored, readableBy } = admitted
  if (refused.length === 0 && ignored.length === 0 && readableBy === 'any' && asked.caller === null) {
    taken[hits.length] ??= answerOf(202, TAKEN, textOf(admitted))
    return taken[hits.length]!
  }
  const headers = {
    ...readableHeaders(readableBy, asked.origin),
    'accept-ch': ACCEPT_CH,
    ...siteLimitHeaders(intake, admitted, asked),
  }
  if (hits.length === 0 && ignored.length === 0) return refusal(refused, headers)
  return answerOf(202, { ...headers, 'content-type': JSON_TYPE }, textOf(admitted))
}

function textOf({ hits, refused, ignored }: Admitted): string {
  return JSON.stringify({
    accepted: hits.length,
    ...(refused.length > 0 && { refused }),
    ...(ignored.length > 0 && { ignored }),
  })
}

/** Those who were refused for it are told of the limit, and servers, which can make use of it, at all times. */
function siteLimitHeaders({ siteLimit }: Intake, admitted: Admitted, asked: Asked): Headers {
  const site = admitted.limitedSite ?? (asked.caller === null ? null : admitted.site)
  if (siteLimit === null || site === null) return {}
  return rateLimitHeaders('site', siteLimit, siteLimit.quotaOf(site, asked.nowMs))
}

/** Whose whole request is refused for one reason is told so by its status; of several reasons each is in the list. */
function refusal(refused: readonly RefusedHit[], headers: Headers): Answer {
  const first = refused[0]!
  const code = codeOf(refused)
  const detail = `None of ${refused.length} accepted; first: ${first.pointer || 'the hit'} ${first.detail}.`
  const challenge = code === 'unauthorized' && { 'www-authenticate': 'Bearer' }
  return problemAnswer(problem(code, detail), { ...headers, ...challenge }, { refused })
}

/** Reasons that are the sender's, not the hit's. */
const OF_SENDER: ReadonlySet<ErrorCode> = new Set([
  'site_unknown',
  'unauthorized',
  'forbidden',
  'hostname_not_allowed',
] as const)

function codeOf(refused: readonly RefusedHit[]): ErrorCode {
  // What is not wrong but too much is worth sending again.
  if (refused.some(({ code }) => code === 'rate_limited')) return 'rate_limited'
  const { code } = refused[0]!
  return OF_SENDER.has(code) && refused.every((hit) => hit.code === code) ? code : 'hits_refused'
}
