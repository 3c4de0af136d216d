import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LoadProcess, type LoadReport, spawnLoad } from '@millrace/bench/load'
import { freePort, type Product, query, startProduct, waitUntil } from '@millrace/testing'
import type { CheckReport } from '../check/findings.ts'
import { type CheckRequest, runCheck } from '../check/run-check.ts'
import { killInMoment, type Moment } from './kill-moments.ts'
import { type Recovery, readRecovery } from './recovery-lines.ts'

export interface CrashOptions {
  /** Kills go on until there are as many of each kind as asked for, but at most `maxKills`. */
  readonly kills: number
  readonly insideInsert: number
  readonly insideAppend: number
  readonly maxKills: number
  /** Or until so many minutes are over, whatever was reached by then. */
  readonly minutes?: number
  /** Offered hits per second while the product runs. */
  readonly rate: number
  readonly sessionTimeoutMinutes: number
  readonly zone: string
  /** Told of every kill and every recovery. */
  readonly say: (text: string) => void
}

export interface CrashResult {
  readonly kills: number
  readonly minutes: number
  readonly insideInsert: number
  readonly partialInsert: number
  readonly insideAppend: number
  /** Longest time from the start of the process to ready, milliseconds. */
  readonly slowestStartMs: number
  /** Answered hits per second of the time that the product was ready. */
  readonly answeredPerSecond: number
  readonly load: LoadReport
  readonly report: CheckReport
  /** To check the same folder again. */
  readonly request: CheckRequest & { readonly dataDir: string }
  /** Removes the folder. */
  readonly clean: () => void
}

/** Loads the real product, kills it again and again, lets it recover, stops it, and compares everything it holds. */
export async function crashRun(options: CrashOptions): Promise<CrashResult> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-crash-'))
  const dataDir = join(folder, 'data')
  const journalPath = join(folder, 'journal')
  const clean = (): void => rmSync(folder, { recursive: true, force: true })
  const runs = new Runs(options, dataDir, await freePort())
  let load: LoadProcess | undefined
  try {
    let product = await runs.start()
    load = spawnLoad({ ...loadOf(options), url: product.url, journal: journalPath })
    let loadIsOver = false
    const over = (): void => {
      loadIsOver = true
    }
    load.done.then(over, over)
    while (!runs.enough() && !loadIsOver) product = await runs.killAndRestart(product)
    load.stop()
    const report = await load.done
    await waitUntilComplete(product)
    runs.read(product)
    const { code, signal } = await product.stop()
    if (code !== 0) throw new Error(`the graceful stop ended with ${code ?? signal}`)
    const { sessionTimeoutMinutes, zone } = options
    const request = { dataDir, zone, sessionTimeoutMs: sessionTimeoutMinutes * 60_000, journalPath }
    options.say('comparing')
    return { ...runs.summary(report), load: report, report: await runCheck(request), request, clean }
  } catch (error) {
    options.say(`the data are in ${folder}`)
    load?.stop()
    await runs.abandon()
    throw error
  }
}

function loadOf({ rate }: CrashOptions) {
  return {
    rate,
    hitsPerRequest: [1, 10, 100],
    connections: 160,
    seconds: 7_200,
    maxHits: 60_000_000,
    seed: Date.now() % 2 ** 32,
    delayed: 0.1,
    repeated: 0.02,
  }
}

/** A start reads what came in the last hour or more: at 12,000 hits a second that is minutes. */
const PATIENCE_MS = 1_800_000

/** Every hit that was answered before now is in the reports. */
async function waitUntilComplete(product: Product): Promise<void> {
  const now = Date.now()
  const body = { site: 'shop', period: 'today', metrics: ['page_views'] }
  await waitUntil(
    'every hit in the log is counted',
    async () => Date.parse((await query(product.url, body)).complete_until) >= now,
    PATIENCE_MS,
  )
}

/** The lives of the product in one run. */
class Runs {
  readonly #options: CrashOptions
  readonly #dataDir: string
  readonly #port: number
  readonly #recoveries: Recovery[] = []
  readonly #startedAt = performance.now()
  #kills = 0
  #slowestStartMs = 0
  #readyMs = 0
  #product: Product | undefined

  constructor(options: CrashOptions, dataDir: string, port: number) {
    this.#options = options
    this.#dataDir = dataDir
    this.#port = port
  }

  async start(): Promise<Product> {
    const startedAt = performance.now()
    const product = startProduct({
      dataDir: this.#dataDir,
      port: this.#port,
      env: {
        MILLRACE_TRUSTED_PROXIES: '127.0.0.1/32',
        MILLRACE_TIMEZONE: this.#options.zone,
        MILLRACE_SESSION_TIMEOUT_MINUTES: String(this.#options.sessionTimeoutMinutes),
      },
    })
    this.#product = product
    await product.ready()
    this.#slowestStartMs = Math.max(this.#slowestStartMs, performance.now() - startedAt)
    return product
  }

  /** Kills what may still run, after a failure. */
  async abandon(): Promise<void> {
    await this.#product?.kill()
  }

  async killAndRestart(product: Product): Promise<Product> {
    const moment = this.#nextMoment()
    const readyAt = performance.now()
    // A random kill may also strike a recovery; after an aimed one the recovery is left to say what it found.
    if (moment !== 'random') await waitUntilComplete(product)
    const came = await killInMoment(moment, { pid: product.pid, dataDir: this.#dataDir }, Math.random)
    this.#readyMs += performance.now() - readyAt
    const { signal } = await product.exited
    if (signal !== 'SIGKILL') throw new Error(`the product ended by itself:\n${product.lines.at(-1)?.text}`)
    this.#kills += 1
    this.#options.say(`kill ${this.#kills} (${moment}${came ? '' : ', which did not come'})`)
    this.read(product)
    return await this.start()
  }

  /** Takes note of the recovery of a life that is over. */
  read(product: Product): void {
    const recovery = readRecovery(product.lines)
    for (const line of recovery.evidence) this.#options.say(`  its start had said: ${line}`)
    this.#recoveries.push(recovery)
  }

  #count(kind: 'insideInsert' | 'partialInsert' | 'insideAppend'): number {
    return this.#recoveries.filter((recovery) => recovery[kind]).length
  }

  /**
   * What is still missing is aimed at, appends most often: they are the hardest to hit. Every fourth kill is not aimed. In a run
   * of some minutes this goes on to its end: kills that are not aimed come so soon that little would be done in between.
   */
  #nextMoment(): Moment {
    const { insideInsert, insideAppend, minutes } = this.#options
    const turn = this.#kills % 4
    const wantsInsert = minutes !== undefined || this.#count('insideInsert') < insideInsert
    const wantsAppend = minutes !== undefined || this.#count('insideAppend') < insideAppend
    if (turn === 3 || (!wantsInsert && !wantsAppend)) return 'random'
    return wantsInsert && (turn === 0 || !wantsAppend) ? 'insert' : 'append'
  }

  #minutes(): number {
    return (performance.now() - this.#startedAt) / 60_000
  }

  enough(): boolean {
    const { kills, insideInsert, insideAppend, maxKills, minutes } = this.#options
    if (this.#kills >= maxKills) return true
    if (minutes !== undefined) return this.#minutes() >= minutes
    return (
      this.#kills >= kills && this.#count('insideInsert') >= insideInsert && this.#count('insideAppend') >= insideAppend
    )
  }

  summary(load: LoadReport) {
    return {
      kills: this.#kills,
      minutes: this.#minutes(),
      insideInsert: this.#count('insideInsert'),
      partialInsert: this.#count('partialInsert'),
      insideAppend: this.#count('insideAppend'),
      slowestStartMs: this.#slowestStartMs,
      answeredPerSecond: load.answeredHits / (this.#readyMs / 1_000),
    }
  }
}
