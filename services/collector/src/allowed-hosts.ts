/** Whether a host, in lower case and without a port, may send hits. */
export type AllowedHosts = (host: string) => boolean

/** Of `example.com` and `*.example.com` (every host below it, not itself); null = any host. */
export function createAllowedHosts(patterns: readonly string[]): AllowedHosts | null {
  if (patterns.length === 0) return null
  const whole = new Set<string>()
  const above = new Set<string>()
  for (const pattern of patterns) {
    const below = pattern.startsWith('*.')
    const host = hostOf(`https://${below ? pattern.slice(2) : pattern}`)
    if (host !== '') (below ? above : whole).add(host)
  }
  return (host) => {
    if (whole.has(host)) return true
    if (above.size === 0) return false
    for (let dot = host.indexOf('.'); dot > 0; dot = host.indexOf('.', dot + 1)) {
      if (above.has(host.slice(dot + 1))) return true
    }
    return false
  }
}

/** A plain host in lower case needs no parser; whatever else it may be, the parser knows. */
const PLAIN = /^https?:\/\/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::\d{1,5})?(?:[/?#]|$)/

/** The host of an absolute URL or an Origin, as the URL standard writes it, without its port; '' = none. */
export function hostOf(url: string): string {
  const plain = PLAIN.exec(url)
  if (plain !== null) return plain[1]!
  if (!URL.canParse(url)) return ''
  const { hostname } = new URL(url)
  return hostname.endsWith('.') ? hostname.slice(0, -1) : hostname
}
