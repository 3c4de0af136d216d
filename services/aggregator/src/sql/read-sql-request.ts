import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import type { FastifyRequest } from '@millrace/server'
import { isFreeSetting, isLowerable, MAX_SQL_BYTES, SQL_LIMITS } from './limits.ts'
import { refusal } from './refusal.ts'

/** What a request asks for, in ClickHouse's HTTP dialect. */
export interface SqlRequest {
  readonly text: string
  /** Unless the statement names one. */
  readonly format: string
  readonly params: ReadonlyMap<string, string>
  /** Of the session, within the limits. */
  readonly settings: Readonly<Record<string, string | number>>
  readonly queryId: string | null
  /** How the answer may be compressed, if at all. */
  readonly encoding: 'gzip' | 'deflate' | 'br' | null
}

/** URL parameters that are no settings, and settings of the transport: clients send them by themselves. */
const IGNORED: ReadonlySet<string> = new Set([
  ...['query', 'query_id', 'database', 'default_format', 'user', 'password', 'quota_key', 'role', 'stacktrace'],
  ...['session_id', 'session_timeout', 'session_check', 'close_session', 'buffer_size', 'client_protocol_version'],
  ...['wait_end_of_query', 'enable_http_compression', 'http_zlib_compression_level', 'readonly', 'max_threads'],
  ...['send_progress_in_http_headers', 'http_headers_progress_interval_ms', 'log_queries', 'log_comment'],
  ...['cancel_http_readonly_queries_on_client_close', 'http_write_exception_in_output_format', 'max_block_size'],
  ...['http_response_buffer_size', 'use_query_cache', 'compress', 'decompress', 'send_timeout', 'receive_timeout'],
])

/** Names that a client may give for what is the only database here. */
const OUR_DATABASE = ['', 'analytics', 'default']

/** Reads body and parameters. @throws StoreRefused for what is not understood or not allowed */
export async function readSqlRequest(request: FastifyRequest): Promise<SqlRequest> {
  const parameters = new URL(request.url, 'http://localhost').searchParams
  const isForm = /^multipart\/form-data/i.test(request.headers['content-type'] ?? '')
  const body = await decompressed(request.body as Buffer | undefined, request.headers['content-encoding'])
  if (isForm) await readForm(body, request.headers['content-type']!, parameters)
  for (const name of ['compress', 'decompress']) {
    if (parameters.get(name) === '1')
      throw refusal('NOT_IMPLEMENTED', `${name}=1 is not available: use Accept-Encoding`)
  }
  const database = parameters.get('database') ?? headerOf(request, 'x-clickhouse-database') ?? ''
  if (!OUR_DATABASE.includes(database)) throw refusal('UNKNOWN_DATABASE', `Database ${database} does not exist`)
  return {
    text: textOf(parameters.get('query') ?? '', isForm ? Buffer.alloc(0) : body),
    format: parameters.get('default_format') || headerOf(request, 'x-clickhouse-format') || 'TabSeparated',
    ...scopeOf(parameters),
    queryId: /^[\w.:-]{1,100}$/.exec(parameters.get('query_id') ?? '')?.[0] ?? null,
    encoding: parameters.get('enable_http_compression') === '1' ? encodingFor(request) : null,
  }
}

/** As ClickHouse does: the text of the URL, then that of the body. */
function textOf(inUrl: string, body: Buffer): string {
  if (inUrl.length + body.length > MAX_SQL_BYTES) {
    throw refusal('QUERY_IS_TOO_LARGE', `A statement may have ${MAX_SQL_BYTES} bytes`)
  }
  let inBody: string
  try {
    inBody = new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    throw refusal('SYNTAX_ERROR', 'The statement is not UTF-8')
  }
  const text = inUrl && inBody ? `${inUrl}\n${inBody}` : inUrl || inBody
  if (text.includes('\0')) throw refusal('SYNTAX_ERROR', 'The statement has a NUL in it')
  if (text.trim() === '') throw refusal('SYNTAX_ERROR', 'Empty query')
  return text
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

function scopeOf(parameters: URLSearchParams): Pick<SqlRequest, 'params' | 'settings'> {
  const params = new Map<string, string>()
  const settings: Record<string, string | number> = {}
  for (const [name, value] of parameters) {
    if (!NAME.test(name)) throw refusal('BAD_ARGUMENTS', 'A parameter of the URL has a strange name')
    if (value.includes('\0')) throw refusal('BAD_ARGUMENTS', `${name} has a NUL in it`)
    if (name.startsWith('param_')) params.set(name.slice('param_'.length), value)
    else if (isLowerable(name)) settings[name] = lowered(value, SQL_LIMITS[name])
    else if (isFreeSetting(name)) settings[name] = value
    else if (!IGNORED.has(name)) throw refusal('READONLY', `The setting ${name} cannot be changed here`)
  }
  return { params, settings }
}

/** 0 stands for no limit, as in ClickHouse: then it is ours. */
function lowered(value: string, limit: number): number {
  const number = Number(value)
  return Number.isFinite(number) && number >= 1 ? Math.min(Math.floor(number), limit) : limit
}

const DECODERS: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
}

async function decompressed(body: Buffer | undefined, encoding = ''): Promise<Buffer> {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  if (encoding === '' || encoding === 'identity' || bytes.length === 0) return bytes
  const decode = DECODERS[encoding.toLowerCase()]
  if (!decode) throw refusal('NOT_IMPLEMENTED', 'Content-Encoding may be gzip, deflate or br')
  try {
    return await decode(bytes, { maxOutputLength: MAX_SQL_BYTES * 2 })
  } catch {
    throw refusal('CANNOT_DECOMPRESS', 'The body cannot be decompressed, or is too long')
  }
}

/** Clients send long values of parameters as fields of a form. */
async function readForm(body: Buffer, type: string, parameters: URLSearchParams): Promise<void> {
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData().catch(() => {
    throw refusal('BAD_ARGUMENTS', 'The form cannot be read')
  })
  for (const [name, value] of form) {
    if (typeof value !== 'string') throw refusal('NOT_IMPLEMENTED', 'External tables are not available')
    parameters.set(name, value)
  }
}

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

function encodingFor(request: FastifyRequest): SqlRequest['encoding'] {
  const accepted = (headerOf(request, 'accept-encoding') ?? '').split(',').map((part) => part.split(';')[0]!.trim())
  return (['gzip', 'br', 'deflate'] as const).find((name) => accepted.includes(name)) ?? null
}
