import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { SqlAnswer, SqlConsole, SqlScope, SqlSession } from './sql-console.ts'
import { refusalOf } from './sql-console-error.ts'
import { literal, plainName } from './sql-text.ts'
import { StoreRefused, StoreUnavailable } from './store.ts'

/** Above the longest time that a statement may take: then the server itself ends it. */
const PATIENCE_MS = 120_000

/** The server has threads enough; it is its time that is shared. */
const SIDE_BY_SIDE = 4

/** A ClickHouse server, by HTTP. @throws StoreUnavailable when it does not answer */
export async function openServerConsole(url: string): Promise<SqlConsole> {
  const server = new Server(url)
  const inspect = async <Row>(sql: string): Promise<Row[]> => {
    const lines = (await server.text(`${sql} FORMAT JSONEachRow`, {})).split('\n').filter(Boolean)
    return lines.map((line) => JSON.parse(line) as Row)
  }
  const [about] = await inspect<{ version: string; timezone: string }>(
    'SELECT version() AS version, timezone() AS timezone',
  )
  return {
    version: about!.version,
    timezone: about!.timezone,
    sideBySide: SIDE_BY_SIDE,
    inspect,
    open: async (scope) => new ServerSession(server, scope),
    close: async () => undefined,
  }
}

class Server {
  readonly #url: URL
  readonly #headers: Readonly<Record<string, string>>

  constructor(url: string) {
    const { username, password, origin } = new URL(url)
    this.#url = new URL(origin)
    this.#headers = username
      ? { 'X-ClickHouse-User': decodeURIComponent(username), 'X-ClickHouse-Key': decodeURIComponent(password) }
      : {}
  }

  /** One statement; the server answers when the answer is complete, so that its status is final. The body is as long on its way as it is read. */
  async ask(sql: string, parameters: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<SqlAnswer> {
    const url = new URL(this.#url)
    for (const [name, value] of Object.entries({ ...parameters, wait_end_of_query: '1' })) {
      url.searchParams.set(name, value)
    }
    const patience = new AbortController()
    const timer = setTimeout(() => patience.abort(), PATIENCE_MS)
    const ends = signal ? AbortSignal.any([signal, patience.signal]) : patience.signal
    try {
      const answer = await fetch(url, { method: 'POST', headers: this.#headers, body: sql, signal: ends })
      if (answer.ok && !answer.headers.has('x-clickhouse-exception-code')) {
        const body = answer.body ? Readable.fromWeb(answer.body as ReadableStream) : Buffer.alloc(0)
        return { body, ...summaryOf(answer.headers.get('x-clickhouse-summary')) }
      }
      throw refusalOf(await answer.text()) ?? new StoreUnavailable(`ClickHouse answered with ${answer.status}`)
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (error instanceof StoreRefused || error instanceof StoreUnavailable) throw error
      throw new StoreUnavailable(`ClickHouse did not answer: ${(error as Error).name}`)
    } finally {
      clearTimeout(timer)
    }
  }

  /** The answer to a statement of ours, as text. */
  async text(sql: string, parameters: Readonly<Record<string, string>>): Promise<string> {
    const { body } = await this.ask(sql, parameters)
    const chunks: Buffer[] = []
    try {
      for await (const chunk of Readable.from(body)) chunks.push(chunk as Buffer)
    } catch (error) {
      throw new StoreUnavailable(`ClickHouse did not answer: ${(error as Error).name}`)
    }
    return Buffer.concat(chunks).toString()
  }
}

function summaryOf(text: string | null): Omit<SqlAnswer, 'body'> {
  const { read_rows = 0, read_bytes = 0, elapsed_ns = 0, result_bytes = 0 } = JSON.parse(text ?? '{}')
  return {
    resultBytes: Number(result_bytes),
    readRows: Number(read_rows),
    readBytes: Number(read_bytes),
    elapsedNs: Number(elapsed_ns),
  }
}

/** The server keeps no session: each request carries the settings, `readonly = 1` among them. */
class ServerSession implements SqlSession {
  readonly #server: Server
  readonly #parameters: Readonly<Record<string, string>>
  readonly #tag = `sql=${randomUUID()}`

  constructor(server: Server, { params, settings }: SqlScope) {
    this.#server = server
    const own = { log_comment: this.#tag, cancel_http_readonly_queries_on_client_close: 1, readonly: 1 }
    this.#parameters = Object.fromEntries([
      ...Object.entries({ ...settings, ...own }).map(([name, value]) => [plainName(name), String(value)]),
      ...[...params].map(([name, value]) => [`param_${plainName(name)}`, value]),
      ['database', 'analytics'],
    ])
  }

  async canonical(text: string): Promise<string> {
    return this.#text(`SELECT formatQuery(${literal(text)}) FORMAT TSVRaw`)
  }

  async tree(canonical: string): Promise<string> {
    return this.#text(`EXPLAIN QUERY TREE run_passes = 0 ${canonical} FORMAT TSVRaw`)
  }

  async run(sql: string, format: string, signal: AbortSignal): Promise<SqlAnswer> {
    signal.throwIfAborted()
    return this.#server.ask(`${sql}\nFORMAT ${plainName(format)}`, this.#parameters, signal)
  }

  close(): void {
    // Nothing is kept.
  }

  async #text(sql: string): Promise<string> {
    const text = await this.#server.text(sql, this.#parameters)
    return text.endsWith('\n') ? text.slice(0, -1) : text
  }
}
