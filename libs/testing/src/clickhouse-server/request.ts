import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { Engine, Scope } from './engine.ts'
import { ServerError } from './server-error.ts'
import { type DataFile, parseStatement, type Statement } from './statement.ts'

/** URL parameters that are no settings. */
const OWN_PARAMETERS = new Set([
  'query',
  'query_id',
  'database',
  'default_format',
  'session_id',
  'session_timeout',
  'session_check',
  'close_session',
  'user',
  'password',
  'quota_key',
  'role',
  'compress',
  'decompress',
  'stacktrace',
  'buffer_size',
  'wait_end_of_query',
  'client_protocol_version',
])

/** Content encodings that the engine itself reads from a file. */
const ENGINE_ENCODINGS = new Set(['lz4', 'zstd', 'xz', 'bz2', 'snappy'])

/** What database, settings and parameters a request asks for. GET may change nothing, as with ClickHouse. */
export function scopeOf(request: IncomingMessage, params: URLSearchParams): Scope {
  const settings = new Map<string, string>()
  const values = new Map<string, string>()
  for (const [name, value] of params) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new ServerError(115, 'UNKNOWN_SETTING', `Unknown setting '${name}'.`)
    if (name.startsWith('param_')) values.set(name.slice('param_'.length), value)
    else if (!OWN_PARAMETERS.has(name)) settings.set(name, value)
  }
  if (request.method === 'GET' && !settings.has('readonly')) settings.set('readonly', '2')
  const database = params.get('database') ?? header(request, 'x-clickhouse-database')
  return { database: database || null, settings, params: values }
}

/** Name and password as the request gives them: by header, Basic or parameters. */
export function credentialsOf(request: IncomingMessage, params: URLSearchParams): { user: string; password: string } {
  const user = header(request, 'x-clickhouse-user')
  if (user !== null) return { user, password: header(request, 'x-clickhouse-key') ?? '' }
  const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')
  if (basic) {
    const [name, ...rest] = Buffer.from(basic[1]!, 'base64').toString().split(':')
    return { user: name!, password: rest.join(':') }
  }
  return { user: params.get('user') ?? 'default', password: params.get('password') ?? '' }
}

export const header = (request: IncomingMessage, name: string): string | null => {
  const value = request.headers[name]
  return typeof value === 'string' ? value : null
}

/** A statement with its data: in memory for VALUES (which may hold expressions), else in a file. */
export interface Work {
  readonly statement: Statement
  readonly values: string | null
  readonly file: DataFile | null
}

/** Reads the rest of a request. The caller removes the file. @throws ServerError, and the error of a connection that ends */
export async function readWork(request: IncomingMessage, params: URLSearchParams, engine: Engine): Promise<Work> {
  if (params.get('compress') === '1' || params.get('decompress') === '1') {
    throw new ServerError(48, 'NOT_IMPLEMENTED', 'This stand-in does not speak the native compression of compress=1')
  }
  const form = header(request, 'content-type')?.startsWith('multipart/form-data') ?? false
  if (form) await readForm(request, params)
  const inUrl = params.get('query') ?? ''
  const path = join(engine.spool, randomUUID())
  const encoding = encodingOf(request)
  const known = inUrl === '' ? null : parseStatement(Buffer.from(`${inUrl}\n`))
  if (known && known.dataAt !== null && known.format !== 'Values') {
    const inline = Buffer.from(`${inUrl}\n`).subarray(known.dataAt)
    if (inline.length > 0 && ENGINE_ENCODINGS.has(encoding)) {
      throw new ServerError(48, 'NOT_IMPLEMENTED', 'Data in the URL before a body that is compressed so')
    }
    return { statement: known, values: null, file: await spool(request, encoding, inline, path) }
  }
  const body = form ? Buffer.alloc(0) : await readBody(request, encoding, engine, path)
  const bytes = inUrl === '' ? body : Buffer.concat([Buffer.from(`${inUrl}\n`), body])
  const statement = parseStatement(bytes)
  if (statement.dataAt === null) return { statement, values: null, file: null }
  const data = bytes.subarray(statement.dataAt)
  if (statement.format === 'Values') return { statement, values: data.toString(), file: null }
  await writeFile(path, data)
  return { statement, values: null, file: { path, compression: 'none' } }
}

/** The fields of a form count as parameters: clients send long values of query parameters so. */
async function readForm(request: IncomingMessage, params: URLSearchParams): Promise<void> {
  const body = await collect(request)
  const form = await new Response(new Uint8Array(body), {
    headers: { 'content-type': header(request, 'content-type')! },
  }).formData()
  for (const [name, value] of form) {
    if (typeof value !== 'string')
      throw new ServerError(48, 'NOT_IMPLEMENTED', 'This stand-in takes no external tables')
    params.set(name, value)
  }
}

function encodingOf(request: IncomingMessage): string {
  const encoding = (header(request, 'content-encoding') ?? '').toLowerCase()
  if (encoding === '' || encoding === 'identity') return 'none'
  if (['gzip', 'x-gzip', 'deflate', 'br'].includes(encoding) || ENGINE_ENCODINGS.has(encoding)) return encoding
  throw new ServerError(89, 'UNKNOWN_COMPRESSION_METHOD', `Unknown compression method: ${encoding}`)
}

function decoded(request: IncomingMessage, encoding: string): Readable {
  const decoder =
    encoding === 'br' ? createBrotliDecompress() : encoding === 'deflate' ? createInflate() : createGunzip()
  // An error of the connection has to end the decoder too.
  request.once('error', (error) => decoder.destroy(error))
  return request.pipe(decoder)
}

async function spool(request: IncomingMessage, encoding: string, inline: Buffer, path: string): Promise<DataFile> {
  const verbatim = encoding === 'none' || ENGINE_ENCODINGS.has(encoding)
  const source = verbatim ? request : decoded(request, encoding)
  const file = createWriteStream(path)
  try {
    file.write(inline)
    await pipeline(source, file)
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
  return { path, compression: ENGINE_ENCODINGS.has(encoding) ? encoding : 'none' }
}

async function readBody(request: IncomingMessage, encoding: string, engine: Engine, path: string): Promise<Buffer> {
  if (encoding === 'none') return collect(request)
  if (!ENGINE_ENCODINGS.has(encoding)) return collect(decoded(request, encoding))
  const connection = engine.connect()
  try {
    await spool(request, encoding, Buffer.alloc(0), path)
    const { bytes } = await connection.run(
      `SELECT * FROM file('${path}', 'RawBLOB', 's String', '${encoding}')`,
      'RawBLOB',
    )
    return Buffer.from(bytes)
  } finally {
    connection.close()
    await rm(path, { force: true })
  }
}

async function collect(source: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
