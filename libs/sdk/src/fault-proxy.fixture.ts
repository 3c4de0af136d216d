import { Agent, createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'

/** What may go wrong between a sender and the service. */
export const FAULTS = [
  'pass',
  /** The connection ends before the service got anything. */
  'cut_before',
  /** The service has taken the hits, its answer is lost. */
  'cut_after',
  /** The service has taken the hits, its answer ends in the middle. */
  'cut_in_answer',
  /** The service has taken the hits, its answer comes when nobody waits any more. */
  'late',
  /** The answer takes its time, but not too much. */
  'slow',
  'busy_seconds',
  'busy_date',
  'too_many',
  'bad_gateway',
] as const
export type Fault = (typeof FAULTS)[number]

export interface FaultProxy {
  readonly url: string
  /** How often each fault struck. */
  readonly struck: ReadonlyMap<Fault, number>
  /** Hits that reached the service, each time that they did. */
  readonly forwarded: string[]
  close(): Promise<void>
}

/** A proxy in front of `upstream` that does to each request what `choose` says. `lateMs` is longer than the sender waits. */
export async function startFaultProxy(upstream: string, choose: () => Fault, lateMs: number): Promise<FaultProxy> {
  const struck = new Map<Fault, number>()
  const forwarded: string[] = []
  const agent = new Agent({ keepAlive: true })
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const fault = choose()
    struck.set(fault, (struck.get(fault) ?? 0) + 1)
    if (fault === 'cut_before') return void request.socket.destroy()
    const body = Buffer.concat(await request.toArray())
    const refusal = REFUSALS[fault]?.()
    if (refusal) return void response.writeHead(refusal.status, refusal.headers).end(refusal.body)

    const answer = await forward(upstream, request, body, agent)
    forwarded.push(...idsIn(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body))
    if (fault === 'late') await sleep(lateMs, undefined, { ref: false })
    if (fault === 'slow') await sleep(20)
    if (fault === 'cut_after') return void request.socket.destroy()
    response.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length })
    if (fault !== 'cut_in_answer') return void response.end(answer.body)
    response.write(answer.body.subarray(0, 5), () => request.socket.destroy())
  }
  const server = createServer((request, response) => {
    handle(request, response).catch(() => request.socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    struck,
    forwarded,
    close() {
      agent.destroy()
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

const problem = { 'content-type': 'application/problem+json' }
const REFUSALS: Partial<Record<Fault, () => { status: number; headers: Record<string, string>; body: string }>> = {
  busy_seconds: () => ({
    status: 503,
    headers: { ...problem, 'retry-after': '0' },
    body: '{"code":"log_unavailable"}',
  }),
  busy_date: () => ({ status: 503, headers: { 'retry-after': new Date().toUTCString() }, body: '' }),
  too_many: () => ({ status: 429, headers: { ...problem, 'retry-after': '0' }, body: '{"code":"rate_limited"}' }),
  bad_gateway: () => ({ status: 502, headers: { 'content-type': 'text/html' }, body: '<html>Bad gateway</html>' }),
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

function forward(
  upstream: string,
  { url, method, headers }: IncomingMessage,
  body: Buffer,
  agent: Agent,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = send(upstream + url, { method, headers, agent }, async (answer) => {
      const chunks = await answer.toArray()
      resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks) })
    })
    request.on('error', reject)
    request.end(body)
  })
}

const idsIn = (body: Buffer): string[] => body.toString().match(/(?<="hit_id":")[^"]+/g) ?? []
