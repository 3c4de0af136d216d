import { DEFAULT_URL, explain, isServed } from '../admin/instance.ts'
import type { OperatorSettings } from '../settings.ts'

/** A running instance, as the commands of operation talk to it. */
export interface RunningInstance {
  readonly address: string
  /** The body as a stream of bytes. @throws Error with what the instance says against it */
  ask(method: 'GET' | 'POST', path: string, body?: object): Promise<Response>
}

/**
 * The instance at `--url` or MILLRACE_URL, else the one at the default address if somebody answers there and no folder and
 * no Kafka was named; null = there is none.
 */
export async function findInstance(
  settings: OperatorSettings,
  url: string | undefined,
  dataDir: string | undefined,
): Promise<RunningInstance | null> {
  if (dataDir !== undefined) return null
  const named = url || settings.MILLRACE_URL
  const address = (named || DEFAULT_URL).replace(/\/+$/, '')
  if (!URL.canParse(address)) throw new Error('--url must be an http or https URL')
  if (!named && (settings.MILLRACE_LOG === 'kafka' || !(await isServed(address)))) return null
  return { address, ask: (method, path, body) => ask(address, settings.MILLRACE_ADMIN_KEY, method, path, body) }
}

async function ask(
  address: string,
  key: string,
  method: 'GET' | 'POST',
  path: string,
  body: object | undefined,
): Promise<Response> {
  const headers = {
    ...(key !== '' && { authorization: `Bearer ${key}` }),
    ...(body && { 'content-type': 'application/json' }),
  }
  const sent = { method, headers, ...(body && { body: JSON.stringify(body) }) }
  const response = await fetch(address + path, sent).catch((error: Error) => {
    throw new Error(`${address} cannot be reached: ${(error.cause as Error | undefined)?.message ?? error.message}`)
  })
  if (response.ok) return response
  const text = await response.text()
  if (response.status === 404 && text.includes('nothing at this address'))
    throw new Error(`${address} does not know this: it is one service of several, or an older version of Millrace`)
  throw new Error(explain({ status: response.status, text }))
}

/** The lines of an answer as they come. @throws Error with what the instance says in its last line, or that it was cut off */
export async function* linesOf(response: Response): AsyncGenerator<Record<string, unknown>> {
  let rest = ''
  const decoder = new TextDecoder()
  try {
    for await (const chunk of response.body!) {
      rest += decoder.decode(chunk, { stream: true })
      const lines = rest.split('\n')
      rest = lines.pop()!
      for (const line of lines) if (line !== '') yield parse(line)
    }
  } catch (error) {
    if (error instanceof TypeError) throw new Error('the instance has gone in the middle of its answer')
    throw error
  }
}

function parse(line: string): Record<string, unknown> {
  const parsed = JSON.parse(line) as Record<string, unknown>
  if (typeof parsed.error === 'string') throw new Error(parsed.error)
  return parsed
}
