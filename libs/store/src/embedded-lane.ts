import { type ClickHouseClient, createClient } from '@clickhouse/client'
import { literal, parameterText, plainName, settingValue } from './sql-text.ts'
import { type QueryOptions, StoreRefused } from './store.ts'

const UNKNOWN_QUERY_PARAMETER = 456

export type EmbeddedConnection = NonNullable<NonNullable<Parameters<typeof createClient>[0]>['connection']>

/**
 * One connection of the embedded engine. It runs one statement at a time, in the order of the calls: a second one would
 * wait inside the engine and hold a thread of Node's pool. The engine keeps settings and parameters for the session, so
 * each statement takes back what the one before had set. A signal keeps a statement from starting; ending one that runs is
 * the store's.
 */
export class EmbeddedLane {
  readonly #client: ClickHouseClient
  #tail: Promise<unknown> = Promise.resolve()
  #settings = new Set<string>()
  #params = new Set<string>()
  /** Statements that run or wait. */
  pending = 0

  constructor(connection: EmbeddedConnection) {
    this.#client = createClient({ connection })
  }

  rows<Row>(sql: string, options: QueryOptions): Promise<Row[]> {
    return this.#next(async () => {
      options.signal?.throwIfAborted()
      const result = await this.#client.query({ query: this.#prefixed(sql, options), format: 'JSONEachRow' })
      return (await result.json()) as Row[]
    })
  }

  run(sql: string, options: QueryOptions): Promise<void> {
    return this.#next(async () => {
      options.signal?.throwIfAborted()
      await this.#client.command({ query: this.#prefixed(sql, options) })
    })
  }

  async close(): Promise<void> {
    await this.#tail
    await this.#client.close()
  }

  #next<T>(task: () => Promise<T>): Promise<T> {
    this.pending++
    const result = this.#tail.then(task).catch(async (error: unknown) => {
      await this.#letGo()
      throw error
    })
    this.#tail = result.then(
      () => this.pending--,
      () => this.pending--,
    )
    return result
  }

  /** Of a statement that failed the engine keeps the tables in use until the next one, so that nobody can load them anew. */
  async #letGo(): Promise<void> {
    await this.#client.command({ query: 'SELECT 1' }).catch(() => undefined)
  }

  /** The statement after one SET with its settings and parameters, and DEFAULT for the settings of the last. */
  #prefixed(sql: string, { settings = {}, params = {} }: QueryOptions): string {
    const assignments: string[] = []
    for (const name of this.#settings) if (!(name in settings)) assignments.push(`${name} = DEFAULT`)
    for (const [name, value] of Object.entries(settings))
      assignments.push(`${plainName(name)} = ${settingValue(value)}`)
    for (const [name, value] of Object.entries(params)) {
      assignments.push(`param_${plainName(name)} = ${literal(parameterText(value))}`)
    }
    this.#refuseStaleParameters(sql, params)
    // Names are remembered before the statement runs: whether it fails after the SET or not, the next one resets them.
    this.#settings = new Set([...this.#settings].filter((name) => name in settings).concat(Object.keys(settings)))
    for (const name of Object.keys(params)) this.#params.add(name)
    return assignments.length === 0 ? sql : `SET ${assignments.join(', ')}; ${sql}`
  }

  /** Parameters cannot be taken back: a statement that forgot one would silently read the last value. */
  #refuseStaleParameters(sql: string, params: Readonly<Record<string, unknown>>): void {
    for (const name of this.#params) {
      if (name in params) continue
      if (new RegExp(`\\{\\s*${name}\\s*:`).test(sql)) {
        throw new StoreRefused(UNKNOWN_QUERY_PARAMETER, 'UNKNOWN_QUERY_PARAMETER', `parameter ${name} has no value`)
      }
    }
  }
}
