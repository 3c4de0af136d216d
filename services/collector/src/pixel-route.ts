import { type FastifyInstance, type FastifyReply, type FastifyRequest, problemOf } from '@millrace/server'
import { ACCEPT_CH } from './answer-headers.ts'
import { hitOfQuery, type Query } from './pixel-hit.ts'
import { AddressLimited, ask, type Incoming, type Intake, keepHits } from './take-hits.ts'
import { readHits } from './validate-hits.ts'

/** One transparent pixel. */
const GIF = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64')

const HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'image/gif',
  'content-length': String(GIF.length),
  // A picture from a cache is a hit that nobody sees.
  'cache-control': 'no-store, no-cache, must-revalidate, max-age=0, private',
  pragma: 'no-cache',
  expires: '0',
  'access-control-allow-origin': '*',
  // Pages that are isolated (COEP) load it too.
  'cross-origin-resource-policy': 'cross-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'accept-ch': ACCEPT_CH,
}

/** GET /v1/pixel.gif: one hit by its query, for pages without scripts. Whatever becomes of the hit, the answer is the picture. */
export function addPixelRoute(app: FastifyInstance, intake: Intake): void {
  app.route({
    method: 'GET',
    url: '/v1/pixel.gif',
    // Who asks for the headers only shows it to nobody.
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      await keepPixel(intake, request)
      intake.facts.pixelAnswered()
      return answerPixel(reply)
    },
  })
  app.head('/v1/pixel.gif', (_request, reply) => answerPixel(reply))
}

const answerPixel = (reply: FastifyReply): FastifyReply => reply.code(200).headers(HEADERS).send(GIF)

/** Never throws what the sender, the log or a limit can cause: that is counted, as a refused hit. */
async function keepPixel(intake: Intake, request: FastifyRequest): Promise<void> {
  const { headers, httpVersion, socket } = request.raw
  const incoming: Incoming = { headers, httpVersion, socketAddress: socket.remoteAddress }
  try {
    const asked = ask(intake, incoming)
    const hit = hitOfQuery(request.query as Query, headers.referer)
    const { admitted, durable } = keepHits(intake, readHits(JSON.stringify(hit), true), asked, incoming)
    await durable
    intake.facts.hitsAccepted(admitted.hits.length)
  } catch (error) {
    const { code } = problemOf(error)
    if (code === 'internal') throw error
    if (error instanceof AddressLimited) intake.facts.addressLimited()
    intake.facts.hitsRefused([{ code }])
  }
}
