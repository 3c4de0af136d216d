import { ServerError } from './server-error.ts'

/** A statement as far as an HTTP front has to understand it: what it does, its formats, where its data begins. */
export interface Statement {
  readonly kind: 'insert' | 'select' | 'kill' | 'other'
  /** The text without inline data. */
  readonly sql: string
  /** The FORMAT clause; of an INSERT the format of its data. */
  readonly format: string | null
  /** Where the data of an INSERT begins in the bytes that were parsed; null = it takes none. */
  readonly dataAt: number | null
  readonly tokens: readonly Token[]
}

interface Token {
  readonly kind: 'word' | 'literal' | 'symbol'
  /** Words in upper case. */
  readonly text: string
  readonly start: number
  readonly end: number
  /** Brackets around it. */
  readonly depth: number
}

const READS = new Set(['SELECT', 'WITH', '(', 'SHOW', 'DESCRIBE', 'DESC', 'EXPLAIN', 'EXISTS'])

/** Reads one statement; bytes behind the beginning of an INSERT's data may be anything. @throws ServerError for two statements */
export function parseStatement(bytes: Buffer): Statement {
  // One character a byte, so that positions are positions of bytes.
  const text = bytes.toString('latin1')
  const tokens: Token[] = []
  const done = (kind: Statement['kind'], end: number, format: string | null, dataAt: number | null): Statement => ({
    kind,
    sql: bytes.toString('utf8', 0, end),
    format,
    dataAt,
    tokens: tokens.filter((token) => token.end <= end).map((token) => recode(token, bytes)),
  })
  for (const token of scan(text)) {
    const before = tokens.at(-1)
    if (before?.text === ';' && before.depth === 0) {
      throw new ServerError(62, 'SYNTAX_ERROR', 'Syntax error (Multi-statements are not allowed)')
    }
    tokens.push(token)
    if (tokens[0]!.text !== 'INSERT' || token.depth > 0) continue
    if (token.text === 'VALUES' && !['.', 'INTO', 'TABLE'].includes(before?.text ?? ''))
      return done('insert', token.end, 'Values', token.end)
    if (before?.text === 'FORMAT' && token.kind === 'word') {
      const format = text.slice(token.start, token.end)
      return done('insert', token.end, format, takesData(tokens) ? afterFormat(text, token.end) : null)
    }
  }
  const first = tokens[0]?.text ?? ''
  const kind = first === 'KILL' ? 'kill' : first === 'INSERT' ? 'insert' : READS.has(first) ? 'select' : 'other'
  const last = tokens.at(-1)
  return done(kind, last?.text === ';' ? last.start : text.length, resultFormat(tokens, text), null)
}

/** Positions of a token in the UTF-8 text instead of the bytes. */
function recode(token: Token, bytes: Buffer): Token {
  const start = bytes.toString('utf8', 0, token.start).length
  return { ...token, start, end: start + bytes.toString('utf8', token.start, token.end).length }
}

const takesData = (tokens: readonly Token[]): boolean =>
  !tokens.some((token) => token.text === 'SELECT') || callOf('INPUT', tokens) !== null

/** Behind the format's name ClickHouse skips blanks, a semicolon and one line end. */
const afterFormat = (text: string, end: number): number =>
  end + /^[ \t\f]*;?[ \t\f]*\r?\n?/.exec(text.slice(end, end + 64))![0].length

function resultFormat(tokens: readonly Token[], text: string): string | null {
  for (let i = tokens.length - 2; i >= 0; i--) {
    const [clause, name] = [tokens[i]!, tokens[i + 1]!]
    if (clause.text === 'FORMAT' && clause.depth === 0 && name.kind === 'word') return text.slice(name.start, name.end)
  }
  return null
}

function* scan(text: string): Generator<Token> {
  const pattern =
    /(?<blank>\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<word>[A-Za-z_][A-Za-z0-9_]*)|(?<literal>'(?:[^'\\]|\\[\s\S]|'')*'?|`(?:[^`\\]|\\[\s\S]|``)*`?|"(?:[^"\\]|\\[\s\S]|"")*"?|[0-9][A-Za-z0-9_.]*)|(?<symbol>[\s\S])/gy
  let depth = 0
  for (const match of text.matchAll(pattern)) {
    const { blank, word, literal } = match.groups!
    if (blank) continue
    const found = match[0]
    if (found === ')') depth--
    const kind = word ? 'word' : literal ? 'literal' : 'symbol'
    const start = match.index
    yield { kind, text: word ? found.toUpperCase() : found, start, end: start + found.length, depth }
    if (found === '(') depth++
  }
}

/** The call of a function: where it begins and ends, and its arguments as SQL. */
function callOf(name: string, tokens: readonly Token[]): { first: Token; open: Token; last: Token } | null {
  for (let i = 0; i + 1 < tokens.length; i++) {
    const [first, open] = [tokens[i]!, tokens[i + 1]!]
    if (first.text !== name || open.text !== '(') continue
    const last = tokens.find((token) => token.start > open.start && token.text === ')' && token.depth === open.depth)
    if (last) return { first, open, last }
  }
  return null
}

export interface DataFile {
  readonly path: string
  /** Name of the compression as file() knows it, or `none`. */
  readonly compression: string
}

/** An INSERT that takes data, reading it from a file instead of from behind its text. */
export function insertFromFile({ sql, tokens, format }: Statement, { path, compression }: DataFile): string {
  const clause = tokens.findLast((token) => token.text === 'FORMAT' && token.depth === 0)!
  const input = callOf('INPUT', tokens)
  if (input) {
    const structure = sql.slice(input.open.end, input.last.start)
    const file = `file('${path}', '${format}', ${structure}, '${compression}')`
    return `${sql.slice(0, input.first.start)}${file}${sql.slice(input.last.end, clause.start)}`
  }
  const settings = tokens.find((t, i) => t.text === 'SETTINGS' && t.depth === 0 && tokens[i + 2]?.text === '=')
  const at = (settings ?? clause).start
  return `${sql.slice(0, at)}FROM INFILE '${path}' COMPRESSION '${compression}' ${sql.slice(at)}`
}

/** The statement with `sql` in place of each `system.processes`. */
export function replaceProcesses({ sql, tokens }: Statement, table: string): string {
  let out = ''
  let from = 0
  for (let i = 0; i + 2 < tokens.length; i++) {
    const [database, dot, name] = [tokens[i]!, tokens[i + 1]!, tokens[i + 2]!]
    if (database.text !== 'SYSTEM' || dot.text !== '.' || name.text !== 'PROCESSES') continue
    out += `${sql.slice(from, database.start)}${table}`
    from = name.end
  }
  return out + sql.slice(from)
}

export interface Kill {
  readonly condition: string
  readonly mode: 'ASYNC' | 'SYNC' | 'TEST'
}

/** @throws ServerError for what is no KILL QUERY WHERE ... [ASYNC|SYNC|TEST] */
export function parseKill({ sql, tokens }: Statement): Kill {
  const where = tokens.findIndex((token) => token.text === 'WHERE')
  if (tokens[1]?.text !== 'QUERY' || where < 0) {
    throw new ServerError(48, 'NOT_IMPLEMENTED', 'This stand-in knows KILL QUERY WHERE ... only')
  }
  const clauses = tokens.slice(where + 1)
  if (clauses.at(-2)?.text === 'FORMAT') clauses.splice(-2)
  const mode = ['ASYNC', 'SYNC', 'TEST'].includes(clauses.at(-1)?.text ?? '') ? clauses.pop()!.text : 'ASYNC'
  const end = clauses.at(-1)?.end ?? tokens[where]!.end
  return { condition: sql.slice(tokens[where]!.end, end), mode: mode as Kill['mode'] }
}
