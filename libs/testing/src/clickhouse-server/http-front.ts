import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { brotliCompress, deflate, gzip } from 'node:zlib'
import { type Answer, type Engine, PROCESSES, QUERY_ID_SETTING, type Scope } from './engine.ts'
import { type Fault, FaultPlan } from './faults.ts'
import type { Processes } from './processes.ts'
import { credentialsOf, header, readWork, scopeOf, type Work } from './request.ts'
import { ServerError, toServerError } from './server-error.ts'
import type { Sessions } from './sessions.ts'
import { insertFromFile, parseStatement, replaceProcesses, type Statement } from './statement.ts'

export interface FrontOptions {
  readonly engine: Engine
  readonly processes: Processes
  readonly sessions: Sessions
  readonly user: string
  readonly password: string
}

/** What a request wants, once its parameters are read. */
interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly params: URLSearchParams
  readonly queryId: string
}

/** Thrown where a fault has ended the connection. */
const CUT = Symbol('cut')

/** ClickHouse's HTTP dialect: one request, one statement. */
export class HttpFront {
  readonly #options: FrontOptions
  readonly #faults = new FaultPlan()
  constructor(options: FrontOptions) {
    this.#options = options
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A connection that ends shows where it is read or written; without a listener it would end the process.
    const { socket } = request
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    response.setHeader('X-ClickHouse-Server-Display-Name', 'stand-in')
    if (pathname === '/__faults') return this.#control(request, response)
    if (pathname === '/ping' || pathname === '/replicas_status') return void response.end('Ok.\n')
    if (pathname !== '/') return void response.writeHead(404).end(`There is no handle ${pathname}\n`)
    if (request.method === 'GET' && !searchParams.has('query')) return void response.end('Ok.\n')
    const queryId = searchParams.get('query_id') || header(request, 'x-clickhouse-query-id') || randomUUID()
    const call: Call = { request, response, params: searchParams, queryId }
    try {
      await this.#statement(call)
    } catch (error) {
      if (error === CUT || socket.destroyed) socket.destroy()
      else await this.#refuse(call, toServerError(error))
    }
  }

  async #control(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request) body += chunk
    if (request.method === 'POST') this.#faults.add(JSON.parse(body) as Fault)
    if (request.method === 'DELETE') this.#faults.clear()
    response.end(JSON.stringify({ fired: this.#faults.fired }))
  }

  async #statement(call: Call): Promise<void> {
    const { request, params } = call
    this.#admit(request, params)
    const inUrl = params.get('query')
    let fault = inUrl ? this.#fault(parseStatement(Buffer.from(`${inUrl}\n`)), params) : undefined
    if (fault?.kind === 'cut_request') await cutRequest(request, fault.afterBytes)
    const work = await readWork(request, params, this.#options.engine)
    try {
      fault ??= inUrl ? undefined : this.#fault(work.statement, params)
      if (fault?.kind === 'cut_request') throw CUT
      if (fault?.kind === 'delay' && fault.when === 'before') await sleep(fault.ms)
      if (fault?.kind === 'refuse' && fault.when === 'before') throw refusal(fault)
      const answer = await this.#run(call, work, fault)
      if (fault?.kind === 'delay' && fault.when === 'after') await sleep(fault.ms)
      if (fault?.kind === 'refuse') throw refusal(fault)
      if (fault?.kind === 'lose_answer') throw CUT
      await this.#send(call, work.statement, answer, fault?.kind === 'cut_response')
    } finally {
      if (work.file) await rm(work.file.path, { force: true })
    }
  }

  #admit(request: IncomingMessage, params: URLSearchParams): void {
    const { user, password } = credentialsOf(request, params)
    if (user === this.#options.user && password === this.#options.password) return
    const reason = 'Authentication failed: password is incorrect, or there is no user with such name.'
    throw new ServerError(516, 'AUTHENTICATION_FAILED', `${user}: ${reason}`)
  }

  #fault({ kind, sql }: Statement, params: URLSearchParams): Fault | undefined {
    return this.#faults.take(kind, `${sql} ${params.get('log_comment') ?? ''}`)
  }

  async #run(call: Call, { statement, values, file }: Work, fault: Fault | undefined): Promise<Answer> {
    const { request, response, params, queryId } = call
    const { engine, processes, sessions } = this.#options
    const scope = scopeOf(request, params)
    const format = defaultFormat(call)
    if (statement.sql.trim() === '') throw new ServerError(62, 'SYNTAX_ERROR', 'Syntax error: Empty query')
    if (statement.kind === 'kill') return processes.kill(statement, scope, format)
    const tagged: Scope = { ...scope, settings: new Map([[QUERY_ID_SETTING, queryId], ...scope.settings]) }
    const sql = file
      ? insertFromFile(statement, file)
      : `${replaceProcesses(statement, PROCESSES)}${values === null ? '' : ` ${values}`}`
    const ended = (): void => void processes.end(queryId)
    const cancels = statement.kind === 'select' && scope.settings.get('cancel_http_readonly_queries_on_client_close')
    if (cancels === '1') response.once('close', ended)
    const timer = fault?.kind === 'refuse' && fault.when === 'midway' ? setTimeout(ended, fault.afterMs) : undefined
    try {
      return await processes.track(queryId, () =>
        engine.inTurn(() =>
          sessions.with(params, async (connection, sticky) => {
            const back = sticky ? await connection.remember([...tagged.settings.keys()]) : null
            try {
              await connection.enter(tagged)
              return await connection.run(sql, format)
            } finally {
              if (back) await connection.run(back)
            }
          }),
        ),
      )
    } catch (error) {
      throw fault?.kind === 'refuse' && fault.when === 'midway' ? refusal(fault) : error
    } finally {
      clearTimeout(timer)
      response.off('close', ended)
    }
  }

  async #send(call: Call, statement: Statement, answer: Answer, cut: boolean): Promise<void> {
    const { request, response, params, queryId } = call
    const format = (statement.kind === 'insert' ? null : statement.format) ?? defaultFormat(call)
    const encoding = params.get('enable_http_compression') === '1' ? chooseEncoding(request) : null
    const body = encoding ? await COMPRESS[encoding]!(answer.bytes) : answer.bytes
    response.setHeader('X-ClickHouse-Query-Id', queryId)
    response.setHeader('X-ClickHouse-Format', format)
    response.setHeader('X-ClickHouse-Timezone', this.#options.engine.timezone)
    response.setHeader('X-ClickHouse-Summary', summaryOf(statement, answer))
    response.setHeader('Content-Type', CONTENT_TYPES[format] ?? 'text/plain; charset=UTF-8')
    if (encoding) response.setHeader('Content-Encoding', encoding)
    // ClickHouse does not say the length either: a cut answer has to look cut.
    response.setHeader('Transfer-Encoding', 'chunked')
    response.flushHeaders()
    if (!cut) return void response.end(body)
    await new Promise<void>((resolve) => response.write(body.subarray(0, body.length >> 1), () => resolve()))
    throw CUT
  }

  async #refuse({ request, response, queryId }: Call, error: ServerError): Promise<void> {
    const { version, timezone } = this.#options.engine
    const body = error.text(version)
    if (error.status === 401) response.setHeader('WWW-Authenticate', 'Basic realm="ClickHouse server HTTP API"')
    // What has not been read of the body would be taken for the next request.
    if (!request.complete) response.setHeader('Connection', 'close')
    response.writeHead(error.status, {
      'Content-Type': 'text/plain; charset=UTF-8',
      'X-ClickHouse-Exception-Code': String(error.code),
      'X-ClickHouse-Query-Id': queryId,
      'X-ClickHouse-Timezone': timezone,
    })
    request.resume()
    response.end(body)
  }
}

const refusal = (fault: { code: number; type: string }): ServerError =>
  new ServerError(fault.code, fault.type, 'Refused by a fault that a test has set.')

async function cutRequest(request: IncomingMessage, afterBytes: number): Promise<never> {
  let seen = 0
  for await (const chunk of request) {
    seen += (chunk as Buffer).length
    if (seen >= afterBytes) break
  }
  throw CUT
}

const defaultFormat = ({ request, params }: Call): string =>
  params.get('default_format') || header(request, 'x-clickhouse-format') || 'TabSeparated'

/** Rows read are rows written in an INSERT: more the engine does not tell. */
function summaryOf({ kind }: Statement, { bytes, readRows, readBytes, elapsedNs }: Answer): string {
  const insert = kind === 'insert'
  const counts = {
    read_rows: readRows,
    read_bytes: readBytes,
    written_rows: insert ? readRows : 0,
    written_bytes: insert ? readBytes : 0,
    total_rows_to_read: 0,
    result_rows: insert ? readRows : 0,
    result_bytes: insert ? readBytes : bytes.length,
    elapsed_ns: elapsedNs,
  }
  return JSON.stringify(Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, String(n)])))
}

const COMPRESS: Readonly<Record<string, (bytes: Uint8Array) => Promise<Uint8Array>>> = {
  gzip: promisify(gzip),
  deflate: promisify(deflate),
  br: promisify(brotliCompress),
}

function chooseEncoding(request: IncomingMessage): string | null {
  const accepted = (header(request, 'accept-encoding') ?? '').split(',').map((part) => part.split(';')[0]!.trim())
  return accepted.find((name) => name in COMPRESS) ?? null
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  TabSeparated: 'text/tab-separated-values; charset=UTF-8',
  TSV: 'text/tab-separated-values; charset=UTF-8',
  CSV: 'text/csv; charset=UTF-8; header=absent',
  CSVWithNames: 'text/csv; charset=UTF-8; header=present',
  JSON: 'application/json; charset=UTF-8',
  JSONCompact: 'application/json; charset=UTF-8',
  JSONEachRow: 'application/x-ndjson; charset=UTF-8',
  JSONCompactEachRow: 'application/x-ndjson; charset=UTF-8',
  Native: 'application/octet-stream',
  RowBinary: 'application/octet-stream',
}
