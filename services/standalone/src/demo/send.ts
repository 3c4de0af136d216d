import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type VisitorRequest, visitorRequests } from './visitors.ts'

/** A demo: where to, how much, how long. */
export interface Demo {
  readonly url: string
  readonly seed: number
  readonly visitsPerMinute: number
  /** 0 = until stopped. */
  readonly minutes: number
}

export const DEMO_OPTIONS = {
  url: { type: 'string' },
  seed: { type: 'string' },
  'visits-per-minute': { type: 'string' },
  minutes: { type: 'string' },
} as const

export const DEMO_HELP = `Usage: millrace demo [options]

Sends made-up visitors to a running instance, as they would come: pages, sources, devices, events, time on page. The same
seed gives the same visitors. They count as visitors of their own where the instance trusts this machine's
X-Forwarded-For (MILLRACE_TRUSTED_PROXIES=127.0.0.1/32, as millrace start --demo sets it).

  --url URL                 of the instance (http://127.0.0.1:8700)
  --seed N                  of the visitors (1)
  --visits-per-minute N     mean number of visits that begin in a minute (60)
  --minutes N               how long; 0 = until stopped (0)`

type DemoValues = { [Name in keyof typeof DEMO_OPTIONS]?: string | undefined }

/** Options of the command line with their defaults. @throws Error naming the wrong one */
export function demoOptions(values: DemoValues): Demo {
  const number = (name: keyof typeof DEMO_OPTIONS, fallback: number): number => {
    const value = values[name] === undefined ? fallback : Number(values[name])
    if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} must be a number, 0 or more`)
    return value
  }
  const url = values.url ?? 'http://127.0.0.1:8700'
  if (!URL.canParse(url) || new URL(url).protocol !== 'http:') throw new Error('--url must be an http URL')
  return {
    url,
    seed: number('seed', 1),
    visitsPerMinute: Math.max(number('visits-per-minute', 60), 0.01),
    minutes: number('minutes', 0),
  }
}

/** Sends the stream in real time and says every ten seconds how far it is. Resolves after `minutes`. */
export async function sendDemo(demo: Demo): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const startMs = Date.now()
  const endMs = demo.minutes > 0 ? startMs + demo.minutes * 60_000 : Number.POSITIVE_INFINITY
  let sent = 0
  let refused = 0
  const report = setInterval(() => console.log(`demo: ${sent} requests sent, ${refused} refused`), 10_000)
  try {
    for (const next of visitorRequests({ seed: demo.seed, startMs, visitsPerMinute: demo.visitsPerMinute })) {
      if (next.atMs > endMs) break
      await sleep(Math.max(0, next.atMs - Date.now()))
      const status = await post(`${demo.url}/v1/hits`, next, agent)
      sent++
      if (status !== 202) refused++
    }
  } finally {
    clearInterval(report)
    agent.destroy()
  }
  console.log(`demo: ended after ${sent} requests, ${refused} refused`)
}

/** Status of the answer; 0 where there was none. */
function post(url: string, { headers, body }: VisitorRequest, agent: Agent): Promise<number> {
  return new Promise((resolve) => {
    const sending = request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0))
    })
    sending.on('error', () => resolve(0)).end(body)
  })
}
