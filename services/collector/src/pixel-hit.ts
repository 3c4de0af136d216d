import { EngagementHit, EventHit, PageViewHit, SECRET_FIELDS } from '@millrace/shared'

/** The parameters of a query. */
export type Query = Readonly<Record<string, string | string[] | undefined>>

type Kind = 'text' | 'number' | 'flag'
const KINDS: Readonly<Record<string, Kind>> = { string: 'text', number: 'number', integer: 'number', boolean: 'flag' }

/** Fields that a query may name. Those of secret keys are for servers, which can POST; objects are named by member. */
const FIELDS: ReadonlyMap<string, Kind> = new Map(
  [PageViewHit, EventHit, EngagementHit]
    .flatMap(({ properties }) => Object.entries(properties as Record<string, { type?: string }>))
    .filter(([name, { type = '' }]) => type in KINDS && !(SECRET_FIELDS as readonly string[]).includes(name))
    .map(([name, { type }]) => [name, KINDS[type!]!]),
)

/** `tags.section=docs`, `props.plan=team`: the object, then the key. */
const MEMBER = /^(tags|props)\.([\s\S]+)$/

/**
 * The hit that a query describes, not validated. Parameters that are no fields, such as one against caches, are left out; of
 * a parameter that comes twice the last counts, an empty one is missing. Without a url it is that of the Referer.
 */
export function hitOfQuery(query: Query, referer: string | undefined): Record<string, unknown> {
  const hit: Record<string, unknown> = {}
  for (const name in query) {
    const text = [query[name]].flat().at(-1)
    if (text === undefined || text === '') continue
    const [, object, key] = MEMBER.exec(name) ?? []
    const kind = FIELDS.get(name)
    if (object !== undefined) {
      hit[object] ??= Object.create(null)
      ;(hit[object] as Record<string, string>)[key!] = text
    } else if (kind !== undefined) hit[name] = readParameter(kind, text)
  }
  if (hit.url === undefined && hit.type !== 'engagement') hit.url = referer
  return hit
}

/** What is not of its kind stays text, so that it is refused by name. */
function readParameter(kind: Kind, text: string): unknown {
  if (kind === 'number') return Number.isFinite(Number(text)) ? Number(text) : text
  if (kind === 'flag' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}
