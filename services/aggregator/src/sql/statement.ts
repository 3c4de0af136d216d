import { refusal } from './refusal.ts'
import { type Token, tokensOf } from './tokens.ts'

/** A statement that only reads, cut into what runs and the format of the answer. */
export interface Statement {
  /** Without FORMAT. */
  readonly sql: string
  /** As the statement names it; null = it names none. */
  readonly format: string | null
  /** SELECTs have to be checked; the others are one of a few fixed texts. */
  readonly kind: 'select' | 'about'
  readonly tokens: readonly Token[]
  /** The names of `{name:Type}` in it. */
  readonly parameters: ReadonlySet<string>
}

/** Words that begin a clause that this console does not have, wherever they stand. */
const REFUSED_CLAUSES = ['SETTINGS', 'OUTFILE', 'PARALLEL']

/** What may be asked about the views besides SELECT, in the engine's words. */
const ABOUT =
  /^(?:SHOW DATABASES|SHOW TABLES(?: FROM analytics)?|(?:DESCRIBE|EXISTS) (?:TABLE|VIEW) (?:analytics\.)?(?:hits|sessions|page_views|events|ledger)|SHOW CREATE VIEW (?:analytics\.)?(?:hits|sessions|page_views|events|ledger))$/

/** Reads a canonical statement. @throws StoreRefused for one that does more than read */
export function readStatement(canonical: string): Statement {
  const all = tokensOf(canonical)
  const { sql, format, tokens } = cutFormat(canonical, all)
  for (const [i, token] of tokens.entries()) {
    if (isClause(token, tokens[i - 1])) throw refusal('READONLY', `${token.text} is not available here`)
  }
  const parameters = new Set(tokens.filter(({ kind }) => kind === 'parameter').map(parameterName))
  const first = tokens.find(({ text }) => text !== '(')
  if (first?.kind === 'word' && (first.text === 'SELECT' || first.text === 'WITH')) {
    return { sql, format, kind: 'select', tokens, parameters }
  }
  if (ABOUT.test(sql)) return { sql, format, kind: 'about', tokens, parameters }
  throw refusal('READONLY', 'Only SELECT, and SHOW and DESCRIBE of the views of analytics, may be run here')
}

/** `Values` comes in quotes: it is a word of the language. */
const FORMAT_NAME = /^[A-Za-z]\w*$/

function cutFormat(canonical: string, tokens: readonly Token[]) {
  const [clause, name] = tokens.slice(-2)
  if (
    clause?.text !== 'FORMAT' ||
    clause.kind !== 'word' ||
    clause.depth !== 0 ||
    !name ||
    !FORMAT_NAME.test(name.text)
  ) {
    return { sql: canonical, format: null, tokens }
  }
  return { sql: canonical.slice(0, clause.start).trimEnd(), format: name.text, tokens: tokens.slice(0, -2) }
}

/** Behind a dot or AS it is a name. */
const isClause = (token: Token, before: Token | undefined): boolean =>
  token.kind === 'word' && REFUSED_CLAUSES.includes(token.text) && before?.text !== '.' && before?.text !== 'AS'

function parameterName({ text }: Token): string {
  const [, name, type] = /^\{(\w+):\s*(.*)\}$/s.exec(text)!
  if (/identifier/i.test(type!)) throw refusal('ACCESS_DENIED', 'A parameter cannot be a name: use one for values only')
  return name!
}

/**
 * The same statement with '' for every text and 0 for every parameter: to be shown by the engine, which prints texts as
 * they are.
 */
export function withoutValues({ sql, tokens }: Statement): string {
  let out = ''
  let at = 0
  for (const { kind, start, end } of tokens) {
    if (kind !== 'string' && kind !== 'parameter') continue
    out += `${sql.slice(at, start)}${kind === 'string' ? "''" : '0'}`
    at = end
  }
  return out + sql.slice(at)
}
