/** A SELECT with its bound values: what a user sent is never part of the text. */
export interface Statement {
  readonly sql: string
  readonly params: Readonly<Record<string, unknown>>
}

/** Collects the bound values of a statement. */
export interface Binder {
  /** The placeholder of a value. The same name must always have the same value. */
  bind(name: string, type: string, value: unknown): string
  /** The placeholder of a value that has no name of its own. */
  add(type: string, value: unknown): string
  readonly params: Record<string, unknown>
}

export function createBinder(): Binder {
  const params: Record<string, unknown> = {}
  let unnamed = 0
  const bind = (name: string, type: string, value: unknown): string => {
    params[name] = value
    return `{${name}:${type}}`
  }
  return { params, bind, add: (type, value) => bind(`value_${++unnamed}`, type, value) }
}

/** `a AND b AND c`, each on its own line. */
export const allOf = (conditions: readonly string[]): string => conditions.join('\n  AND ')

/** A SELECT inside of another one. */
export const nested = (sql: string): string => `(\n${sql.replaceAll(/^/gm, '  ')}\n)`
