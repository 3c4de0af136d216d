/**
 * The `for` of every element of a Forwarded header (RFC 7239), oldest first, without quotes: `192.0.2.7`,
 * `[2001:db8::1]:4711`, `unknown`, `_hidden`; '' for an element without one. null = not well formed.
 */
export function readForwarded(text: string): string[] | null {
  const nodes: string[] = []
  let node = ''
  let isEmpty = true
  let at = 0
  for (;;) {
    PAIR.lastIndex = at
    const found = PAIR.exec(text)
    if (!found) return null
    const [whole, name, token, quoted, end] = found
    if (name !== undefined) isEmpty = false
    if (name?.toLowerCase() === 'for') node = token ?? quoted!.replaceAll(/\\(.)/g, '$1')
    at += whole.length
    if (end === ';') continue
    if (!isEmpty) nodes.push(node)
    node = ''
    isEmpty = true
    if (end === '') return nodes
  }
}

/** One `name=value`, or nothing (empty elements are allowed), up to `;`, `,` or the end. Senders write unquoted IPv6 too. */
const PAIR = /[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w:[\]-]+)|"((?:[^"\\]|\\.)*)"))?[ \t]*([;,]|$)/y
