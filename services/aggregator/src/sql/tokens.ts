import { refusal } from './refusal.ts'

/** A token of a canonical statement. */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'parameter' | 'symbol'
  /** As it stands in the statement; of a quoted name what is between the quotes. */
  readonly text: string
  readonly start: number
  readonly end: number
  /** Round brackets around it. */
  readonly depth: number
}

const PATTERN =
  /(?<blank>\s+)|(?<string>'(?:[^'\\]|\\[\s\S])*')|`(?<quoted>[^`\\]*)`|(?<word>[A-Za-z_][A-Za-z0-9_]*)|(?<number>[0-9](?:[eE][+-]?[0-9]|[\w.])*)|(?<parameter>\{[A-Za-z_]\w*:[^{}'`"]*\})|(?<symbol>->|::|[-()[\],.+*/%=!<>|?:@&^])/gy

/**
 * The tokens of a statement in the engine's own words: no comments, one way to write texts and names. Anything else is
 * refused, so that nothing here is read otherwise than by the engine. @throws StoreRefused
 */
export function tokensOf(canonical: string): readonly Token[] {
  const tokens: Token[] = []
  let depth = 0
  let at = 0
  for (const match of canonical.matchAll(PATTERN)) {
    const start = match.index
    at = start + match[0].length
    const { blank, quoted, ...kinds } = match.groups!
    if (blank !== undefined) continue
    if (quoted !== undefined) {
      // Names are printed as they are where the engine shows what it parsed.
      if (/[\p{Cc},:;]/u.test(quoted)) throw refusal('SYNTAX_ERROR', 'A quoted name may not contain any of , : ; \\ `')
      tokens.push({ kind: 'quoted', text: quoted, start, end: at, depth })
      continue
    }
    const [kind, text] = Object.entries(kinds).find(([, found]) => found !== undefined) as [Token['kind'], string]
    if (text === ')') depth--
    tokens.push({ kind, text, start, end: at, depth })
    if (text === '(') depth++
  }
  if (at !== canonical.length)
    throw refusal('SYNTAX_ERROR', 'The statement has a character that is not understood here')
  return tokens
}
