import { problemAnswer } from '../answer-problems.ts'
import { answerOf } from './answer.ts'
import type { DirectRoute } from './direct-routes.ts'

/** Answers with what it was asked. A body `wait` is answered in a later turn of the event loop. */
export const ECHO: DirectRoute = {
  maxBodyBytes: 1_000,
  take({ headers, httpVersion, remoteAddress, body }, reply) {
    const text = JSON.stringify({ headers, httpVersion, remoteAddress, body: body.toString() })
    const answer = answerOf(202, { 'x-own': 'yes' }, text)
    if (body.toString() === 'wait') setTimeout(() => reply(answer), 5)
    else reply(answer)
  },
  refuse: (error, reply) => reply(problemAnswer(error.problem)),
}
