import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, type Engine, PROCESSES_AND_IDS, type Scope } from './engine.ts'
import { ServerError } from './server-error.ts'
import { parseKill, type Statement } from './statement.ts'

interface Victim {
  readonly engine_id: string
  readonly query_id: string
  readonly user: string
  readonly query: string
}

/** The statements that run, by query_id, and their end by KILL QUERY. */
export class Processes {
  readonly #engine: Engine
  readonly #running = new Map<string, Promise<unknown>>()
  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** @throws ServerError when a statement with this id runs */
  async track<T>(queryId: string, work: () => Promise<T>): Promise<T> {
    if (this.#running.has(queryId)) {
      const message = `Query with id = ${queryId} is already running.`
      throw new ServerError(216, 'QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING', message)
    }
    const result = work()
    this.#running.set(
      queryId,
      result.catch(() => undefined),
    )
    try {
      return await result
    } finally {
      this.#running.delete(queryId)
    }
  }

  /** Resolves when nothing runs, or after `timeoutMs`. */
  async idle(timeoutMs: number): Promise<void> {
    const ended = new AbortController()
    const all = Promise.all(this.#running.values())
    await Promise.race([all, sleep(timeoutMs, undefined, { signal: ended.signal }).catch(() => undefined)])
    ended.abort()
  }

  /** Ends one statement; repeated until it is gone, as the engine finds nothing before the statement has begun. */
  async end(queryId: string): Promise<void> {
    const condition = `query_id = '${queryId.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
    const nothing: Scope = { database: null, settings: new Map(), params: new Map() }
    while (this.#running.has(queryId)) {
      if ((await this.#victims(condition, nothing, true)).length > 0) return
      await sleep(20)
    }
  }

  /** KILL QUERY: its answer is a table of the statements that it ended. */
  async kill(statement: Statement, scope: Scope, defaultFormat: string): Promise<Answer> {
    const { condition, mode } = parseKill(statement)
    const victims = await this.#victims(condition, scope, mode !== 'TEST')
    if (victims.length === 0) return { bytes: new Uint8Array(), readRows: 0, readBytes: 0, elapsedNs: 0 }
    // The engine's own SYNC can hang.
    if (mode === 'SYNC') await Promise.all(victims.map(({ query_id }) => this.#running.get(query_id)))
    const status = mode === 'SYNC' ? 'finished' : 'waiting'
    const rows = victims.map(({ query_id, user, query }) =>
      JSON.stringify({ kill_status: status, query_id, user, query }),
    )
    const connection = this.#engine.connect()
    try {
      const text = rows.join('\n').replaceAll('\\', '\\\\').replaceAll("'", "\\'")
      const structure = 'kill_status String, query_id String, user String, query String'
      return await connection.run(
        `SELECT * FROM format(JSONEachRow, '${structure}', '${text}')`,
        statement.format ?? defaultFormat,
      )
    } finally {
      connection.close()
    }
  }

  async #victims(condition: string, scope: Scope, end: boolean): Promise<readonly Victim[]> {
    const connection = this.#engine.connect()
    try {
      await connection.enter(scope)
      const found = await connection.run(
        `SELECT engine_id, query_id, user, query FROM ${PROCESSES_AND_IDS} WHERE (${condition}) AND engine_id != queryID()`,
        'JSONEachRow',
      )
      const lines = Buffer.from(found.bytes).toString().split('\n').filter(Boolean)
      const victims = lines.map((line) => JSON.parse(line) as Victim)
      const ids = victims.map((victim) => `'${victim.engine_id}'`).join(', ')
      if (end && ids) await connection.run(`KILL QUERY WHERE query_id IN (${ids}) ASYNC`)
      return victims
    } finally {
      connection.close()
    }
  }
}
