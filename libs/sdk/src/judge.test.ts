import { expect, test } from 'vitest'
import { judge } from './judge.ts'

const verdict = (status: number, body?: unknown, headers: Record<string, string> = {}) =>
  judge({ status, headers: new Headers(headers), body }, 0)

test.each([
  [202, { accepted: 1 }, 'answered'],
  [400, { code: 'hits_refused', refused: [] }, 'answered'],
  [413, {}, 'too_large'],
  [415, { code: 'encoding_unsupported' }, 'encoding_unsupported'],
  [415, { code: 'media_type_unsupported' }, 'answered'],
  [400, { code: 'json_invalid' }, 'answered'],
  [401, undefined, 'answered'],
  [403, 'text', 'answered'],
  [404, null, 'answered'],
  [301, undefined, 'answered'],
  [408, undefined, 'retry'],
  [425, undefined, 'retry'],
  [429, undefined, 'retry'],
  [500, undefined, 'retry'],
  [503, undefined, 'retry'],
  [599, undefined, 'retry'],
  // Nobody but the service answers so; anything else may be a portal, or half an answer.
  [200, { accepted: 1 }, 'retry'],
  [202, undefined, 'retry'],
  [202, {}, 'retry'],
  [0, undefined, 'retry'],
])('%d with %j is %s', (status, body, kind) => {
  expect(verdict(status, body).kind).toBe(kind)
})

test('a retry says how long to wait, and whether the batch may be the reason', () => {
  expect(verdict(503, {}, { 'retry-after': '3' })).toEqual({
    kind: 'retry',
    reason: 'http_503',
    busy: true,
    retryAfterMs: 3_000,
  })
  expect(verdict(500)).toMatchObject({ busy: false, retryAfterMs: undefined })
})

test('refused and ignored hits are named by their place, pointers lead into the hit', () => {
  const answer = verdict(202, {
    accepted: 1,
    refused: [{ index: 1, code: 'url_invalid', pointer: '/hits/1/url', detail: 'must be …' }, 'nonsense', null],
    ignored: [{ index: 2, reason: 'do_not_track' }, { index: 'x' }],
  })
  expect(answer).toEqual({
    kind: 'answered',
    refused: new Map([[1, { code: 'url_invalid', pointer: '/url', detail: 'must be …', status: 202 }]]),
    ignored: new Map([[2, 'do_not_track']]),
    otherwise: null,
    retryAfterMs: undefined,
  })
})

test('a request that is refused says why of each hit, as well as it can', () => {
  const refused = [{ index: 0, code: 'site_unknown', pointer: '/hits/0/site', detail: 'is none' }]
  expect(verdict(404, { code: 'site_unknown', detail: 'There is no site x.', refused })).toMatchObject({
    refused: new Map([[0, { code: 'site_unknown', pointer: '/site', detail: 'is none', status: 404 }]]),
    otherwise: { code: 'site_unknown', pointer: '', detail: 'There is no site x.', status: 404 },
  })
  expect(verdict(404, '<html>')).toMatchObject({ otherwise: { code: 'http_404', detail: 'The answer was 404.' } })
})
