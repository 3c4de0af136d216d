/** Where `millrace site`, `millrace goal` and `millrace key` make their changes: a running instance, or the folder of one that does not run. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Problem, SettingsOf } from '@millrace/shared'
import type { ADMIN_COMMAND } from '../settings.ts'

export type AdminSettings = SettingsOf<typeof ADMIN_COMMAND>

/** Answers requests to the admin API. */
export interface Instance {
  /** The body of the answer. @throws Error with what the API says, every mistake in a line */
  send(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<Record<string, unknown>>
  close(): Promise<void>
}

export interface Answer {
  readonly status: number
  readonly text: string
}

/** Of an instance that was started without settings. */
export const DEFAULT_URL = 'http://127.0.0.1:8700'
const TIMEOUT_MS = 30_000

/**
 * The instance at `--url` or MILLRACE_URL, else the one at the default address; when none runs there and none was named,
 * the one whose data are in MILLRACE_DATA_DIR, unless it has to be a `running` one. @throws Error when there is neither
 */
export async function reachInstance(
  settings: AdminSettings,
  url: string | undefined,
  which: 'any' | 'running' = 'any',
): Promise<Instance> {
  const named = url || settings.MILLRACE_URL
  const address = (named || DEFAULT_URL).replace(/\/+$/, '')
  if (!URL.canParse(address)) throw new Error('--url must be an http or https URL')
  if (named || (await isServed(address))) return atAddress(address, settings.MILLRACE_ADMIN_KEY)
  if (which === 'running') {
    throw new Error(`nothing answers at ${address}: start Millrace, or say where it runs by --url`)
  }
  const dir = join(settings.MILLRACE_DATA_DIR, 'log')
  if (existsSync(dir)) {
    // Half of the product is loaded for it.
    const { openFolder } = await import('./open-folder.ts')
    const { exchange, close } = await openFolder(dir)
    return instanceFrom(exchange, close)
  }
  throw new Error(
    `nothing answers at ${address}, and ${settings.MILLRACE_DATA_DIR} holds no data: start Millrace, or say where it is by --url or MILLRACE_DATA_DIR`,
  )
}

/** Whether something answers at an address. */
export async function isServed(address: string): Promise<boolean> {
  try {
    await fetch(`${address}/livez`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    return true
  } catch {
    return false
  }
}

function atAddress(address: string, key: string): Instance {
  const authorization = key ? { authorization: `Bearer ${key}` } : undefined
  return instanceFrom(
    async (method, path, body) => {
      const response = await fetch(address + path, {
        method,
        headers: { ...authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      }).catch((error: Error) => {
        throw new Error(`${address} cannot be reached: ${(error.cause as Error | undefined)?.message ?? error.message}`)
      })
      return { status: response.status, text: await response.text() }
    },
    async () => {},
  )
}

/** One request to the API; `body` is JSON. */
export type Exchange = (method: Parameters<Instance['send']>[0], path: string, body?: string) => Promise<Answer>

function instanceFrom(exchange: Exchange, close: () => Promise<void>): Instance {
  return {
    async send(method, path, body) {
      const answer = await exchange(method, path, body === undefined ? undefined : JSON.stringify(body))
      if (answer.status < 300) return answer.text === '' ? {} : JSON.parse(answer.text)
      throw new Error(explain(answer))
    },
    close,
  }
}

/** What an answer that is an error means to the person at the terminal. */
export function explain({ status, text }: Answer): string {
  let problem: Partial<Problem> = {}
  try {
    problem = JSON.parse(text) as Problem
  } catch {
    return `the instance answered ${status}`
  }
  if (status === 401) return 'the instance needs its key: set MILLRACE_ADMIN_KEY'
  const { errors = [], detail = `the instance answered ${status}` } = problem
  if (errors.length === 0) return detail
  return errors.map((error) => `${error.pointer.slice(1) || 'the settings'} ${error.detail}`).join('\n  ')
}
