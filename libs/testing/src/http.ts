import { PERSON_AGENT } from './builders.ts'

/** An answer of the HTTP API; `body` is the parsed JSON, or the text when it is none. */
export interface HttpAnswer<Body = Record<string, unknown>> {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
}

/** Sends `body` (an object is sent as JSON, text and bytes as they are) to POST /v1/hits as a browser would. */
export function postHits(
  url: string,
  body: object | string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<HttpAnswer> {
  return send(`${url}/v1/hits`, body, { 'user-agent': PERSON_AGENT, ...headers })
}

/** Sites that tests send to unless they name others. */
export const TEST_SITES: readonly string[] = ['blog', 'shop', 'docs', 'neighbours']

/** Makes the sites that are missing. @throws Error when the API refuses one */
export async function addSites(url: string, sites: readonly string[] = TEST_SITES, adminKey = ''): Promise<void> {
  const headers = adminKey ? { authorization: `Bearer ${adminKey}` } : undefined
  for (const id of sites) {
    const answer = await send(`${url}/v1/sites`, { id }, headers)
    if (answer.status !== 201 && answer.status !== 409)
      throw new Error(`site ${id}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }
}

export interface QueryAnswer {
  readonly rows: readonly Record<string, unknown>[]
  readonly totals: Readonly<Record<string, number | null>>
  readonly complete_until: string
}

/** Asks POST /v1/query. @throws Error when it is not answered with 200 */
export async function query(url: string, body: object): Promise<QueryAnswer> {
  const answer = await send<QueryAnswer>(`${url}/v1/query`, body)
  if (answer.status !== 200) throw new Error(`query answered ${answer.status}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

async function send<Body>(
  url: string,
  body: object | string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<HttpAnswer<Body>> {
  const raw = typeof body === 'string' || body instanceof Uint8Array
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: raw ? (body as string) : JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: (jsonOf(text) ?? text) as Body }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
