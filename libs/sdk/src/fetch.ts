import { startTimer } from './timer.ts'

/** What the SDK needs of fetch: that of the runtime fits, and so does one of your own. */
export type Fetch = (
  url: string,
  init: {
    method: 'POST'
    headers: Record<string, string>
    body: string | ArrayBuffer
    redirect: 'manual'
    signal: AbortSignal
  },
) => Promise<FetchAnswer>

export interface FetchAnswer {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  text(): Promise<string>
}

/** An answer that was read to its end, which also gives its connection back for the next request. */
export interface Answer {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  /** The parsed JSON; undefined if it is none. */
  readonly body: unknown
}

export interface PostOptions {
  readonly fetch: Fetch
  readonly headers: Record<string, string>
  readonly body: string | ArrayBuffer
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** The request did not come to its answer within its time. */
export class TimedOut extends Error {}

/**
 * One request with its answer.
 * @throws TimedOut; the reason of `signal`; whatever fetch throws
 */
export async function post(url: string, { fetch, headers, body, timeoutMs, signal }: PostOptions): Promise<Answer> {
  const abort = new AbortController()
  const stop = (): void => abort.abort(signal!.reason)
  if (signal?.aborted) stop()
  signal?.addEventListener('abort', stop, { once: true })
  const cancel = startTimer(() => abort.abort(new TimedOut(`no answer within ${timeoutMs} ms`)), timeoutMs)
  try {
    const answer = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: abort.signal })
    return { status: answer.status, headers: answer.headers, body: parse(await answer.text()) }
  } catch (error) {
    // Runtimes differ in what they throw when a request is aborted.
    throw abort.signal.aborted ? abort.signal.reason : error
  } finally {
    cancel()
    signal?.removeEventListener('abort', stop)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
