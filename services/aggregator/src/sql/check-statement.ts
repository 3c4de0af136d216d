import { type AllowedNames, isTableFunction } from './allowed-names.ts'
import { refusal } from './refusal.ts'
import type { Statement } from './statement.ts'
import type { Token } from './tokens.ts'

/** Words that stand before a bracket and are no names. */
const KEYWORDS: ReadonlySet<string> = new Set(
  `ALL AND ANTI ANY APPLY ARRAY AS ASC ASOF BETWEEN BY CASE CAST COLUMNS CROSS CUBE DESC DISTINCT ELSE EXCEPT EXISTS FILL
  FILTER FINAL FROM FULL GLOBAL GROUP GROUPING HAVING ILIKE IN INNER INTERPOLATE INTERSECT INTERVAL IS JOIN LEFT LIKE LIMIT
  NOT NULL OFFSET ON OR ORDER OUTER OVER PARTITION PREWHERE QUALIFY REPLACE RIGHT ROLLUP SELECT SEMI SETS STEP STRICT THEN
  TO UNION USING WHEN WHERE WITH`.split(/\s+/),
)

/**
 * First look, at the words: whatever stands before a bracket or behind APPLY must be a function, table function or type that is allowed,
 * and no dotted name may lead out of the views. @throws StoreRefused
 */
export function checkTokens({ tokens }: Statement, names: AllowedNames): void {
  for (const [i, token] of tokens.entries()) {
    if (token.kind !== 'word' && token.kind !== 'quoted') continue
    const isApplied = tokens[i - 1]?.text === 'APPLY' && tokens[i + 1]?.text !== '->'
    if (tokens[i + 1]?.text === '(' || isApplied) checkCall(token, tokens[i - 1], names)
    if (tokens[i - 1]?.text !== '.') checkName(dottedName(tokens, i), names)
  }
}

function checkCall(token: Token, before: Token | undefined, names: AllowedNames): void {
  const { text, kind } = token
  if (kind === 'word' && KEYWORDS.has(text)) return
  // A window, a common table or a column, defined by name: `WITH t AS (`, `WINDOW w AS (` have the AS between.
  if (names.isFunction(text) || isTableFunction(text)) return
  if (before?.text === '::' && names.isType(text)) return
  if (names.isType(text) && kind === 'word') return
  throw refusal('ACCESS_DENIED', `The function ${text} is not available here`)
}

function dottedName(tokens: readonly Token[], from: number): string {
  let name = tokens[from]!.text
  for (let i = from; tokens[i + 1]?.text === '.' && tokens[i + 2] !== undefined; i += 2)
    name += `.${tokens[i + 2]!.text}`
  return name
}

function checkName(name: string, names: AllowedNames): void {
  if (names.leadsAway(name)) throw refusal('ACCESS_DENIED', `${name} is not one of the views of analytics`)
}

/**
 * Second look, at what the engine parsed: functions, table functions, tables and columns by its own account, settings none.
 * A line that a strange alias forges can only add to what is refused. @throws StoreRefused
 */
export function checkTree(tree: string, names: AllowedNames): void {
  for (const line of tree.split('\n')) {
    for (const [, name] of line.matchAll(/\bidentifier: ([^,]*)/g)) checkName(name!, names)
    for (const [, name] of line.matchAll(/\btable_function_name: ([^,]*)/g)) {
      if (!isTableFunction(name!)) throw refusal('ACCESS_DENIED', `The table function ${name} is not available here`)
    }
    for (const [, name] of line.matchAll(/(?<!table_)\bfunction_name: ([^,]*)/g)) {
      if (!names.isFunction(name!)) throw refusal('ACCESS_DENIED', `The function ${name} is not available here`)
    }
    if (/^\s*SETTINGS\b/.test(line)) throw refusal('READONLY', 'SETTINGS is not available here')
  }
}
