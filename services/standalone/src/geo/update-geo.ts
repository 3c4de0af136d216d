import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { GeoReader, readGeoDatabase } from '@millrace/enricher'
import { fileFromTar } from './unpack-tar.ts'

/** A download without a byte for this long is given up. */
const SILENCE_MS = 60_000
/** No archive of a database is larger, packed or unpacked. */
const MAX_BYTES = 1 << 30
const unzip = promisify(gunzip)

/** Where a database comes from and where it goes. */
export interface GeoUpdate {
  /** Answers `?suffix=tar.gz` with the archive and `?suffix=tar.gz.sha256` with its checksum. */
  readonly url: string
  readonly accountId: string
  readonly licenceKey: string
  /** Path of the file; the checksum of its archive stands beside it, as `PATH.sha256`. */
  readonly target: string
  /** Told while the archive comes: bytes so far, and of how many (0 = not said). */
  onProgress?(received: number, total: number): void
}

/** What an update came to. */
export interface GeoUpdated {
  /** False: the file is the newest already, nothing was downloaded. */
  readonly changed: boolean
  readonly version: string
  readonly attribution: string
}

/**
 * Brings the database at `target` up to date. The file is replaced at once and as a whole, after its checksum and its
 * content were looked at: whoever reads it has the old one or the new one.
 * @throws Error with a sentence for the person at the terminal; the file is then as it was
 */
export async function updateGeo(update: GeoUpdate): Promise<GeoUpdated> {
  const wanted = await readChecksum(update)
  const known = await readFile(`${update.target}.sha256`, 'utf8').catch(() => '')
  if (known.trim() === wanted) {
    const old = await readFile(update.target).catch(() => null)
    if (old !== null) return { changed: false, ...describe(old) }
  }
  const archive = await download(update)
  const found = createHash('sha256').update(archive).digest('hex')
  if (found !== wanted) throw new Error('the download is damaged: its checksum is not the one that was announced')
  const database = await unpack(archive)
  const described = describe(database)
  await replaceFile(update.target, database)
  await replaceFile(`${update.target}.sha256`, Buffer.from(`${wanted}\n`))
  return { changed: true, ...described }
}

async function readChecksum(update: GeoUpdate): Promise<string> {
  const answer = await ask(update, 'tar.gz.sha256', AbortSignal.timeout(SILENCE_MS))
  const checksum = /^[0-9a-f]{64}\b/.exec((await answer.text()).trim().toLowerCase())
  if (checksum === null) throw new Error(`${hostOf(update)} announced no checksum`)
  return checksum[0]
}

async function download(update: GeoUpdate): Promise<Buffer> {
  const silence = new AbortController()
  const giveUp = (): void => silence.abort(new Error('nothing came for a minute'))
  let timer = setTimeout(giveUp, SILENCE_MS)
  try {
    const answer = await ask(update, 'tar.gz', silence.signal)
    const total = Number(answer.headers.get('content-length') ?? 0)
    const chunks: Uint8Array[] = []
    let received = 0
    for await (const chunk of answer.body ?? []) {
      clearTimeout(timer)
      timer = setTimeout(giveUp, SILENCE_MS)
      received += chunk.length
      if (received > MAX_BYTES) throw new Error('it is larger than any database')
      chunks.push(chunk)
      update.onProgress?.(received, total)
    }
    return Buffer.concat(chunks)
  } catch (error) {
    if (error instanceof Refused) throw error
    throw new Error(`the download from ${hostOf(update)} broke off: ${reasonOf(error)}`)
  } finally {
    clearTimeout(timer)
  }
}

/** An answer that is no download: its message is for people. */
class Refused extends Error {}

const REFUSALS: Readonly<Record<number, string>> = {
  401: 'the account id or the licence key is not right',
  403: 'the account may not download this database',
  404: 'there is no such database at this address (MILLRACE_GEO_URL)',
  429: 'too many downloads today; try again tomorrow',
}

/** Credentials go to the asked host alone: `fetch` leaves them out where it is sent on to another. */
async function ask(update: GeoUpdate, suffix: string, signal: AbortSignal): Promise<Response> {
  const url = new URL(update.url)
  url.searchParams.set('suffix', suffix)
  const credentials = Buffer.from(`${update.accountId}:${update.licenceKey}`).toString('base64')
  let answer: Response
  try {
    answer = await fetch(url, { headers: { authorization: `Basic ${credentials}` }, signal })
  } catch (error) {
    throw new Refused(`${hostOf(update)} cannot be reached: ${reasonOf(error)}`)
  }
  if (answer.ok) return answer
  await answer.body?.cancel()
  throw new Refused(`${hostOf(update)} refused: ${REFUSALS[answer.status] ?? `it answered ${answer.status}`}`)
}

const hostOf = ({ url }: GeoUpdate): string => new URL(url).host

/** `fetch failed` says nothing: what is behind it does. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error && cause.message !== '' ? cause.message : message
}

async function unpack(archive: Buffer): Promise<Buffer> {
  try {
    const database = fileFromTar(await unzip(archive, { maxOutputLength: MAX_BYTES }), '.mmdb')
    if (database !== null) return database
  } catch (error) {
    throw new Error(`the archive cannot be unpacked: ${(error as Error).message}`)
  }
  throw new Error('there is no database (.mmdb) in the archive')
}

function describe(bytes: Buffer): Pick<GeoUpdated, 'version' | 'attribution'> {
  try {
    const { version, attribution } = new GeoReader(readGeoDatabase(bytes))
    return { version, attribution }
  } catch (error) {
    throw new Error(`the database cannot be read: ${(error as Error).message}`)
  }
}

/** Written beside it, made durable, then put in its place by a rename. */
async function replaceFile(path: string, bytes: Buffer): Promise<void> {
  const folder = dirname(path)
  const draft = `${path}.${randomUUID()}.new`
  try {
    await mkdir(folder, { recursive: true })
    const file = await open(draft, 'wx')
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
    const parent = await open(folder, 'r')
    await parent.sync().finally(() => parent.close())
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw new Error(`${path} cannot be written: ${(error as Error).message}`)
  }
}
