/** What every runtime must be able to do, against a running service. Bundled, then run by each; prints one line of JSON. */
import { createMillrace, createReader } from './index.ts'

const [url, hostname] = process.argv.slice(2) as [string, string]
const refused: unknown[] = []
const millrace = createMillrace({ url, onRefused: (_, refusal) => refused.push(refusal) })

const request = new Request(`https://${hostname}/from-a-request`, {
  headers: { cookie: 'a=1', referer: 'https://news.example/' },
})
const page = millrace.pageView({ request, title: 'From a request' })
millrace.event('signup', { url: `https://${hostname}/signup`, props: { plan: 'team' } })
millrace.engagement(page, { engaged_ms: 1_000 })
millrace.batch(Array.from({ length: 150 }, (_, n) => ({ url: `https://${hostname}/${n}` })))
const settled = await millrace.flush()
const { delivered } = millrace.stats()

const { query } = createReader({ url })
const filter = { dimension: 'hostname', is: hostname } as const
const sentAt = Date.now()
const ask = () => query({ period: '24h', metrics: ['page_views', 'events'], include_bots: true, filter })
let report = await ask()
for (let i = 0; i < 500 && Date.parse(report.complete_until) < sentAt; i++) {
  await new Promise((resolve) => setTimeout(resolve, 20))
  report = await ask()
}

const code = await query({ period: '8d' as never, metrics: ['visitors'] }).catch(
  (error: { code: string }) => error.code,
)
const unreachable = await createReader({ url: 'http://127.0.0.1:1' })
  .query({ period: '7d', metrics: ['visitors'] })
  .catch((error: { code: string }) => error.code)
await millrace.close()

// The program is over here: neither hits that wait, nor their timers, nor a long backoff may keep it.
const away = createMillrace({ url: 'http://127.0.0.1:1', backoffMinMs: 3_600_000, backoffMaxMs: 3_600_000 })
away.pageView({ url: 'https://example.com/' })
await away.flush({ timeoutMs: 100 })
createMillrace({ url, lingerMs: 3_600_000 }).pageView({ url: 'https://example.com/never-sent' })

const { queued, retries } = away.stats()
console.log(
  JSON.stringify({ settled, delivered, refused, totals: report.totals, code, unreachable, queued, tried: retries > 0 }),
)
