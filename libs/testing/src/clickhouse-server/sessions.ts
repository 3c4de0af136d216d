import type { Connection, Engine } from './engine.ts'
import { ServerError } from './server-error.ts'

interface Kept {
  readonly connection: Connection
  busy: boolean
  timer: NodeJS.Timeout | undefined
}

/** Connections of sessions: settings made by SET and temporary tables stay until `session_timeout` (s, 60) after the last use. */
export class Sessions {
  readonly #engine: Engine
  readonly #kept = new Map<string, Kept>()
  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** Runs `work` with the connection of the session, or with one that ends with it. @throws ServerError */
  async with<T>(params: URLSearchParams, work: (connection: Connection, sticky: boolean) => Promise<T>): Promise<T> {
    const id = params.get('session_id')
    if (!id) {
      const connection = this.#engine.connect()
      try {
        return await work(connection, false)
      } finally {
        connection.close()
      }
    }
    const kept = this.#take(id, params.get('session_check') === '1')
    try {
      return await work(kept.connection, true)
    } finally {
      kept.busy = false
      if (params.get('close_session') === '1') this.#end(id)
      else kept.timer = setTimeout(() => this.#end(id), Number(params.get('session_timeout') ?? 60) * 1000).unref()
    }
  }

  #take(id: string, mustExist: boolean): Kept {
    let kept = this.#kept.get(id)
    if (!kept && mustExist) throw new ServerError(372, 'SESSION_NOT_FOUND', `Session ${id} not found`)
    if (kept?.busy) throw new ServerError(373, 'SESSION_IS_LOCKED', `Session ${id} is locked by a concurrent client`)
    kept ??= { connection: this.#engine.connect(), busy: false, timer: undefined }
    this.#kept.set(id, kept)
    clearTimeout(kept.timer)
    kept.busy = true
    return kept
  }

  #end(id: string): void {
    this.#kept.get(id)?.connection.close()
    this.#kept.delete(id)
  }
}
