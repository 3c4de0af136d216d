import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Kinds of operations that change files. */
export const KINDS = ['create', 'write', 'sync', 'rename', 'unlink', 'truncate', 'mkdir', 'link'] as const
export type Kind = (typeof KINDS)[number]

/** Where a life ends: before its operation number `at`, from 1. */
export interface Kill {
  readonly at: number
  /** Counted from the start of the process, or from where its work begins. */
  readonly from: 'start' | 'work'
  /** Only operations of this kind count. */
  readonly kind?: Kind
  /** A write is done by half before the kill. */
  readonly torn?: boolean
  /** What was not synced is lost with it. */
  readonly power?: boolean
  /** A fault that is planted to see the judge find it: a sync does nothing. */
  readonly noSync?: boolean
}

export interface Scenario {
  readonly name: string
  /** Entry of a life, beside this file. */
  readonly child: string
  /** Folders beneath the installation's in which operations count. */
  readonly folders: readonly string[]
  /** All that is wrong with what the lives left behind. */
  judge(place: Place): Promise<string[]>
}

/** Where an installation lives, and what its lives noted. */
export interface Place {
  readonly folder: string
  readonly dir: string
  readonly journal: string
}

export const placeIn = (folder: string): Place => ({ folder, dir: `${folder}/data`, journal: `${folder}/journal` })

/** What became of a life. */
export interface Lived {
  /** The operation that it was killed before; null = it came to its end. */
  readonly killed: { readonly kind: Kind; readonly path: string } | null
  /** Operations that counted, in their order. */
  readonly operations: readonly Kind[]
  /** How many of them were counted before the work began. */
  readonly before: number
}

/** A life that neither ends nor dies is given up after this time. */
const PATIENCE_MS = 240_000

/** Lets one life happen, killed or to its end. `env`: more of its environment. @throws Error when it ends by itself with a failure, or not at all */
export async function live(
  { child: file, folders }: Scenario,
  library: string,
  place: Place,
  number: number,
  kill: Kill | null,
  env: Readonly<Record<string, string>> = {},
): Promise<Lived> {
  const { folder, dir, journal } = place
  const [log, begin, full] = [`${folder}/operations`, `${folder}/begun`, `${folder}/full`]
  for (const file of [log, begin, full]) rmSync(file, { force: true })
  const entry = fileURLToPath(new URL(file, import.meta.url))
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', entry, dir, journal, String(number)],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...env,
        LD_PRELOAD: library,
        // What goes through a ring is seen by nobody.
        UV_USE_IO_URING: '0',
        FAULTS_DIRS: folders.map((name) => `${dir}/${name}`).join(':'),
        FAULTS_LOG: log,
        FAULTS_FULL: full,
        FAULTS_BEGIN: begin,
        ...(kill && { FAULTS_FROM: kill.from, FAULTS_KILL_AT: String(kill.at) }),
        ...(kill?.kind && { FAULTS_KIND: kill.kind }),
        ...(kill?.torn && { FAULTS_TORN: '1' }),
        ...(kill?.power && { FAULTS_POWER: '1' }),
        ...(kill?.noSync && { FAULTS_NO_SYNC: '1' }),
      },
    },
  )
  const output: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk))
  const timer = setTimeout(() => child.kill('SIGABRT'), PATIENCE_MS)
  const [code, signal] = await new Promise<[number | null, string | null]>((done) =>
    child.once('close', (...ended) => done(ended)),
  )
  clearTimeout(timer)
  const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(0, -1) : []
  const died = lines.at(-1) === 'killed'
  if (died ? signal !== 'SIGKILL' : code !== 0)
    throw new Error(`life ${number} ended with ${code ?? signal}:\n${Buffer.concat(output).toString().slice(-3_000)}`)
  if (died) lines.pop()
  const begun = lines.indexOf('begin ')
  const [kind, path] = (lines.at(-1) ?? '').split(' ')
  return {
    killed: died ? { kind: kind as Kind, path: path!.slice(dir.length + 1) } : null,
    operations: lines.filter((_, i) => i !== begun).map((line) => line.split(' ')[0] as Kind),
    before: begun < 0 ? lines.length : begun,
  }
}
