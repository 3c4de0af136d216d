import { type FastifyReply, sendProblem } from '@millrace/server'
import { ERROR_CODES, type ErrorCode, problem } from '@millrace/shared'
import type { Admitted } from './admit.ts'
import { ACCEPT_CH, JSON_TYPE, readableHeaders, TAKEN } from './answer-headers.ts'
import { rateLimitHeaders } from './rate-limit.ts'
import type { Asked, Intake } from './take-hits.ts'
import type { RefusedHit } from './validate-hits.ts'

/** Answers a request of which every hit was looked at: 202 when one was taken or left out, else a problem. */
export function answerHits(intake: Intake, admitted: Admitted, asked: Asked, reply: FastifyReply): void {
  const { hits, refused, ignored, readableBy } = admitted
  if (refused.length === 0 && ignored.length === 0 && readableBy === 'any' && asked.caller === null) {
    intake.facts.answered(202)
    reply.code(202).headers(TAKEN).send(`{"accepted":${hits.length}}`)
    return
  }
  reply.headers(readableHeaders(readableBy, asked.origin)).header('accept-ch', ACCEPT_CH)
  addSiteLimit(intake, admitted, asked, reply)
  if (hits.length === 0 && ignored.length === 0) {
    refuseAll(intake, refused, reply)
    return
  }
  intake.facts.answered(202)
  reply.code(202).header('content-type', JSON_TYPE).send(textOf(admitted))
}

function textOf({ hits, refused, ignored }: Admitted): string {
  return JSON.stringify({
    accepted: hits.length,
    ...(refused.length > 0 && { refused }),
    ...(ignored.length > 0 && { ignored }),
  })
}

/** Those who were refused for it are told of the limit, and servers, which can make use of it, at all times. */
function addSiteLimit(intake: Intake, admitted: Admitted, asked: Asked, reply: FastifyReply): void {
  const limit = intake.siteLimit
  const site = admitted.limitedSite ?? (asked.caller === null ? null : admitted.site)
  if (limit === null || site === null) return
  reply.headers(rateLimitHeaders('site', limit, limit.quotaOf(site, asked.nowMs)))
}

/** Whose whole request is refused for one reason is told so by its status; of several reasons each is in the list. */
function refuseAll({ facts }: Intake, refused: readonly RefusedHit[], reply: FastifyReply): void {
  const first = refused[0]!
  const code = codeOf(refused)
  const detail = `None of ${refused.length} accepted; first: ${first.pointer || 'the hit'} ${first.detail}.`
  facts.answered(ERROR_CODES[code][0])
  if (code === 'unauthorized') reply.header('www-authenticate', 'Bearer')
  sendProblem(reply, problem(code, detail), { refused })
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
