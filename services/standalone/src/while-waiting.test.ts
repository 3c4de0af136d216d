import { createLogger, type ServerOptions } from '@millrace/server'
import { freePort } from '@millrace/testing'
import { expect, it } from 'vitest'
import { whileWaiting } from './while-waiting.ts'

it('tells everybody who asks for more than its health to come again', async () => {
  const port = await freePort()
  const options: ServerOptions = { host: '127.0.0.1', port, name: 'collector', logger: createLogger('fatal', 'test') }
  const answers = await whileWaiting(options, async () => {
    const ask = async (path: string, init?: RequestInit) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, init)
      return [answer.status, answer.headers.get('retry-after'), ((await answer.json()) as { code: string }).code]
    }
    return {
      live: (await ask('/livez'))[0],
      ready: await ask('/readyz'),
      hits: await ask('/v1/hits', {
        method: 'POST',
        body: '{"hits":[',
        headers: { 'content-type': 'application/json' },
      }),
      pixel: await ask('/v1/pixel.gif?site=blog'),
      root: await ask('/'),
    }
  })
  const comeAgain = [503, expect.stringMatching(/^\d+$/), 'not_ready']
  expect(answers).toEqual({ live: 200, ready: comeAgain, hits: comeAgain, pixel: comeAgain, root: comeAgain })
})
