import { readFileSync } from 'node:fs'

/** The hosts of a list: one a line, `#` begins a comment. */
export function parseSpamList(list: string): Set<string> {
  return new Set(
    list
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  )
}

const SPAM_HOSTS: ReadonlySet<string> = parseSpamList(
  readFileSync(new URL('../../data/spam-referrers.txt', import.meta.url), 'utf8'),
)

/** Whether a referrer's host (lower case), or a domain above it, is on the list of referrer spam: data/spam-referrers.txt. */
export function isSpamReferrer(host: string, spamHosts: ReadonlySet<string> = SPAM_HOSTS): boolean {
  for (let from = 0; ; ) {
    if (spamHosts.has(from === 0 ? host : host.slice(from))) return true
    from = host.indexOf('.', from) + 1
    if (from === 0) return false
  }
}
