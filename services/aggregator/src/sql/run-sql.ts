import type { SqlAnswer, SqlConsole } from '@millrace/store'
import { type AllowedNames, allowedNames, type Catalog } from './allowed-names.ts'
import { checkTokens, checkTree } from './check-statement.ts'
import { FORMATS } from './formats.ts'
import { SQL_FILTERS, SQL_LIMITS } from './limits.ts'
import type { SqlRequest } from './read-sql-request.ts'
import { refusal } from './refusal.ts'
import { readStatement, withoutValues } from './statement.ts'

/** An answer with the format that it is in. */
export interface Answered extends SqlAnswer {
  readonly format: string
}

/** Runs checked statements; the engine's own lists of names are read once, the databases each time. */
export class SqlRunner {
  readonly #console: SqlConsole
  #catalog: Promise<Omit<Catalog, 'databases'>> | undefined

  constructor(console: SqlConsole) {
    this.#console = console
  }

  /**
   * Runs a statement if it does nothing but read the stable views. What is checked, and what runs, is the engine's own
   * writing of what it parsed. @throws StoreRefused, StoreUnavailable, and the signal's reason
   */
  async run(request: SqlRequest, signal: AbortSignal): Promise<Answered> {
    const names = await this.names()
    const settings = { ...SQL_LIMITS, ...request.settings, ...SQL_FILTERS }
    const session = await this.#console.open({ params: request.params, settings })
    try {
      const canonical = await session.canonical(request.text)
      const statement = readStatement(canonical)
      const format = statement.format ?? request.format
      if (!FORMATS.has(format)) throw refusal('UNKNOWN_FORMAT', `The format ${format} is not available here`)
      if (statement.kind === 'select') {
        checkTokens(statement, names) // before the engine is shown it: a tree of INTO OUTFILE would make the file
        checkTree(await session.tree(withoutValues(statement)), names)
      }
      return { ...(await session.run(statement.sql, format, signal)), format }
    } finally {
      session.close()
    }
  }

  /** What a statement may name now. */
  async names(): Promise<AllowedNames> {
    this.#catalog ??= readCatalog(this.#console).catch((error: unknown) => {
      this.#catalog = undefined
      throw error
    })
    const databases = await this.#console.inspect<{ name: string }>('SELECT name FROM system.databases')
    return allowedNames({ ...(await this.#catalog), databases: databases.map(({ name }) => name) })
  }
}

async function readCatalog(console: SqlConsole): Promise<Omit<Catalog, 'databases'>> {
  const names = async (table: string): Promise<string[]> =>
    (await console.inspect<{ name: string }>(`SELECT name FROM system.${table}`)).map(({ name }) => name)
  return {
    functions: await console.inspect('SELECT name, alias_to, categories, is_aggregate, origin FROM system.functions'),
    combinators: await names('aggregate_function_combinators'),
    types: await names('data_type_families'),
  }
}
