import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitUntil } from '@millrace/testing'
import type { Cluster } from '../../../infra/cluster/cluster.mjs'

const LOOK_MS = 200
const MEASURE_EVERY = 10
const READY_MS = 300_000
const MOST_WORDS = 500

/** What every service and spool reached at most, in bytes. */
export interface Peaks {
  readonly memory: number
  readonly spool: number
}

/**
 * What an orchestrator does for the cluster: a service that ends without having been told to is started again. It also
 * watches how large services become.
 */
export class Crew {
  readonly #cluster: Cluster
  readonly #say: (text: string) => void
  /** Parts that faults have in their hands, and how many faults each. */
  readonly #held = new Map<string, number>()
  readonly #endings: string[] = []
  readonly #peaks = { memory: 0, spool: 0 }
  #looks = 0
  #timer: NodeJS.Timeout | undefined

  constructor(cluster: Cluster, say: (text: string) => void) {
    this.#cluster = cluster
    this.#say = say
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  /** Parts by kind: `enricher` -> enricher-1, enricher-2. */
  parts(kind: string): string[] {
    return this.#cluster.names().filter((name) => name.startsWith(`${kind}-`))
  }

  get services(): string[] {
    return ['collector', 'enricher', 'aggregator'].flatMap((kind) => this.parts(kind))
  }

  /** Services that ended by themselves, with their last words. */
  get endings(): readonly string[] {
    return this.#endings
  }

  get peaks(): Peaks {
    return this.#peaks
  }

  /** Lets `work` have the parts for itself; when nobody holds them any more they run. */
  async hold(names: readonly string[], work: () => Promise<void>): Promise<void> {
    for (const name of names) this.#held.set(name, (this.#held.get(name) ?? 0) + 1)
    try {
      await work()
    } finally {
      for (const name of names) this.#release(name)
    }
  }

  #release(name: string): void {
    const others = this.#held.get(name)! - 1
    this.#held.set(name, others)
    if (others > 0) return
    this.#held.delete(name)
    if (!this.#runs(name)) this.#cluster.start(name)
  }

  /** kill -9, and up again after `downMs`. */
  async kill(names: readonly string[], downMs: number): Promise<void> {
    await this.hold(names, async () => {
      await Promise.all(names.map((name) => this.#cluster.kill(name)))
      await sleep(downMs)
    })
  }

  /** Stops the clock of parts for so long, or until another fault that stops it too is over. */
  async stall(names: readonly string[], ms: number): Promise<void> {
    await this.hold(names, async () => {
      for (const name of names) this.#cluster.pause(name)
      await sleep(ms)
      // Here, whoever else holds them: a fault that waits for one to end would wait for ever.
      for (const name of names) this.#cluster.resume(name)
    })
  }

  /** Resolves when all services are ready. @throws Error that names one that is not, and why */
  async ready(): Promise<void> {
    for (const name of this.services) {
      let problem = ''
      await waitUntil(
        `${name} is ready`,
        async () => {
          const answer = await fetch(`${this.#cluster.urlOf(name)}/readyz`, { signal: AbortSignal.timeout(5_000) })
          problem = await answer.text()
          return answer.ok
        },
        READY_MS,
      ).catch((error: Error) => {
        throw new Error(`${error.message}: ${problem}`)
      })
    }
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #runs(name: string): boolean {
    return this.#cluster.status().some((part) => part.name === name && part.running)
  }

  #look(): void {
    for (const { name, running, pid } of this.#cluster.status()) {
      if (name.startsWith('kafka-') || name === 'balancer') continue
      if (!running && !this.#held.has(name)) this.#revive(name)
      if (running && this.#looks % MEASURE_EVERY === 0 && pid && name !== 'clickhouse') this.#measure(name, pid)
    }
    this.#looks += 1
  }

  #revive(name: string): void {
    const words = lastWords(readFileSync(join(this.#cluster.dir, `${name}.log`), 'utf8'))
    this.#endings.push(`${name}: ${words}`)
    this.#say(`  ${name} ended by itself and is started again: ${words}`)
    this.#cluster.start(name)
  }

  #measure(name: string, pid: number): void {
    this.#peaks.memory = Math.max(this.#peaks.memory, residentBytes(pid))
    if (name.startsWith('collector-')) {
      this.#peaks.spool = Math.max(this.#peaks.spool, folderBytes(join(this.#cluster.dir, name, 'spool')))
    }
  }
}

/** Why it ended, if it said so among its last lines; else the last one. */
function lastWords(log: string): string {
  const lines = log.trim().split('\n').slice(-20)
  const reason = lines.findLast((line) => /^millrace: |^\w*Error|"level":"(error|fatal)"/.test(line))
  return (reason ?? lines.at(-1) ?? '').slice(0, MOST_WORDS)
}

/** 0 for a process that has just ended. */
function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024
  } catch {
    return 0
  }
}

/** Files may go while they are counted. */
function folderBytes(folder: string): number {
  try {
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
  } catch {
    return 0
  }
}
