import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, hitId, type Product, pageView, postHits, query, startProduct, waitUntil } from '@millrace/testing'
import { type CheckReport, tableOf } from '../check/findings.ts'
import { runCheck } from '../check/run-check.ts'

const PATIENCE_MS = 120_000
const DATA = 'data'
/** Room for an empty installation and little more. */
const SMALL_MB = 96
/** Hits that are sent while the disk is full. */
export const HITS = 24
/** Requests at the same time. */
const SENDERS = 8

/** Hits of a sender that keeps what is refused and sends it again later, with the same ids. */
class Sender {
  readonly #accepted: number[] = []
  #refused: number[] = []
  readonly wrong: string[] = []
  #next = 0

  get acceptedIds(): string[] {
    return this.#accepted.map(hitId)
  }
  get refused(): number {
    return this.#refused.length
  }

  /** Sends so many new hits, and what was refused before. Gives the number of answers of each status. */
  async send(url: string, count: number): Promise<Record<number, number>> {
    const numbers = [...this.#refused, ...Array.from({ length: count }, () => this.#next++)]
    const statuses: Record<number, number> = {}
    this.#refused = []
    const worker = async (): Promise<void> => {
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        const status = await this.#sendOne(url, number)
        statuses[status] = (statuses[status] ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: SENDERS }, worker))
    return statuses
  }

  async #sendOne(url: string, number: number): Promise<number> {
    const hit = { site: 'blog', hit_id: hitId(number), ...pageView({ url: `https://example.com/${number % 5}` }) }
    const { status, headers, body } = await postHits(url, hit, { 'user-agent': `Mozilla/5.0 (visitor ${number % 7})` })
    if (status === 202) this.#accepted.push(number)
    else this.#refused.push(number)
    const told = status === 503 && Number(headers.get('retry-after')) > 0 && body.code === 'log_unavailable'
    if (status !== 202 && !told) this.wrong.push(`hit ${number}: ${status} ${JSON.stringify(body)}`)
    return status
  }
}

/** What is full meanwhile. */
export interface Shortage {
  readonly title: string
  /** Beneath the data folder; '' is everything. */
  readonly paths: readonly string[]
  /**
   * No file can be made and no byte be written; or files can be made; or a write takes half of its bytes and then none; or
   * only a sync fails.
   */
  readonly how: 'full' | 'byte' | 'half' | 'sync'
  /** What the product writes of it, where hits have another place to wait in; else their senders are told. */
  readonly said?: RegExp
}

/** A disk of which a test can take the room. */
export interface Disk {
  /** Where the product may have its folder. */
  readonly folder: string
  /** Settings of a process that is to meet it. */
  readonly env: Readonly<Record<string, string>>
  fill(shortage: Pick<Shortage, 'paths' | 'how'>): void
  giveRoom(): void
  remove(): void
}

/** Any disk, beneath a library that says that it is full: as exactly as a test wishes, and everywhere. */
export function preloadedDisk(library: string): Disk {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-full-'))
  const file = join(folder, 'full')
  return {
    folder,
    env: { LD_PRELOAD: library, UV_USE_IO_URING: '0', FAULTS_FULL: file },
    fill: ({ paths, how }) => writeFileSync(file, paths.map((path) => `${how} ${join(folder, DATA, path)}\n`).join('')),
    giveRoom: () => writeFileSync(file, ''),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** A file system of a few megabytes that is filled with a file, or why there can be none here. */
export function smallDisk(): Disk | { readonly missing: string } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-small-'))
  const { status, error, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_MB}m`, 'millrace', folder], {
    encoding: 'utf8',
  })
  if (error || status !== 0) {
    rmSync(folder, { recursive: true, force: true })
    return { missing: `no file system can be mounted here: ${(error?.message ?? stderr).trim()}` }
  }
  const filler = join(folder, 'filler')
  return {
    folder,
    env: {},
    fill: () => fillWith(filler),
    giveRoom: () => rmSync(filler, { force: true }),
    remove() {
      spawnSync('umount', ['-l', folder])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Writes a file until nothing more can be written. */
function fillWith(path: string): void {
  const fd = openSync(path, 'a')
  try {
    for (const bytes of [1 << 20, 4 << 10]) {
      const chunk = Buffer.alloc(bytes)
      try {
        for (;;) writeSync(fd, chunk)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    }
  } finally {
    closeSync(fd)
  }
}

/** Runs a file beside this one in a process of its own, on this disk. Gives what it says. @throws Error when it fails */
export function runOn({ folder, env }: Disk, child: string): unknown {
  const entry = fileURLToPath(new URL(child, import.meta.url))
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', entry, join(folder, DATA)],
    { encoding: 'utf8', env: { ...process.env, ...env } },
  )
  if (status !== 0) throw new Error(`the process ended with ${status}:\n${stderr.slice(-3_000)}`)
  return JSON.parse(stdout)
}

/** The running product on a disk that becomes full at the word of a test. */
export class FullDisk {
  readonly sender = new Sender()
  readonly #disk: Disk
  #product: Product | undefined

  constructor(disk: Disk) {
    this.#disk = disk
    disk.giveRoom()
  }

  get #dataDir(): string {
    return join(this.#disk.folder, DATA)
  }

  async start(): Promise<Product> {
    this.#product = startProduct({ dataDir: this.#dataDir, port: await freePort(), env: this.#disk.env })
    return this.#product
  }

  fill(shortage: Pick<Shortage, 'paths' | 'how'>): void {
    this.#disk.fill(shortage)
  }

  giveRoom(): void {
    this.#disk.giveRoom()
  }

  /** One shortage from its beginning to the time when everything goes on: hits are taken all the same. */
  async wait(product: Product, shortage: Shortage & { readonly said: RegExp }): Promise<void> {
    const from = product.lines.length
    this.fill(shortage)
    await this.sender.send(product.url, HITS)
    await this.#everyHitIsTaken(product)
    const isSaid = () => product.lines.slice(from).some(({ text }) => shortage.said.test(text))
    await waitUntil(`the product says ${shortage.said}`, isSaid, PATIENCE_MS)
    this.giveRoom()
    await this.goOn(product)
  }

  /** One shortage from its beginning to the time when everything goes on: hits are refused. Gives the number of each answer. */
  async refuse(product: Product, shortage: Shortage): Promise<Record<number, number>> {
    this.fill(shortage)
    const statuses = await this.sender.send(product.url, HITS)
    this.giveRoom()
    await this.goOn(product)
    return statuses
  }

  /** Hits are sent until one is refused. */
  async refuseSome(product: Product): Promise<void> {
    this.fill({ paths: [''], how: 'full' })
    const isRefused = async () => {
      await this.sender.send(product.url, HITS)
      return this.sender.refused > 0
    }
    await waitUntil('a hit is refused', isRefused, PATIENCE_MS)
    this.giveRoom()
    await this.goOn(product)
  }

  /** Kills the product, and starts it on a full disk. Resolves with the reason that it gives for ending. */
  async startFull(): Promise<string> {
    await this.#product?.kill()
    this.fill({ paths: [''], how: 'full' })
    const product = await this.start()
    const { code } = await product.exited
    this.giveRoom()
    return `${code}: ${product.lines.at(-1)?.text}`
  }

  /** By itself everything is taken again, and everything that was taken is counted. */
  async goOn(product: Product): Promise<void> {
    await this.#everyHitIsTaken(product)
    const accepted = this.sender.acceptedIds.length
    await waitUntil('every hit is in the store', async () => (await this.#stored(product)) === accepted, PATIENCE_MS)
    await product.ready(PATIENCE_MS)
  }

  /** A machine that is busy may refuse some for a while. */
  async #everyHitIsTaken({ url }: Product): Promise<void> {
    const isTaken = async () => {
      await this.sender.send(url, 1)
      return this.sender.refused === 0
    }
    await waitUntil('every hit is taken', isTaken, PATIENCE_MS)
  }

  async #stored({ url }: Product): Promise<number> {
    const body = { site: 'blog', period: 'all', metrics: ['page_views'], include_bots: true }
    return Number((await query(url, body)).totals.page_views)
  }

  /** Stops the product and compares everything that it holds. Gives what is wrong. */
  async stopAndCheck(): Promise<string[]> {
    const { code, signal } = await this.#product!.stop()
    if (code !== 0) return [`the product ended with ${code ?? signal}`]
    const straight = this.sender.acceptedIds
    const report: CheckReport = await runCheck({
      ...{ dataDir: this.#dataDir, zone: 'UTC', sessionTimeoutMs: 30 * 60_000, straight },
    })
    return [...this.sender.wrong, ...(report.ok ? [] : [tableOf(report)])]
  }

  async clean(): Promise<void> {
    await this.#product?.kill()
    this.#disk.remove()
  }
}
