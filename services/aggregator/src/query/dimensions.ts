import { BUCKET_UNITS, type BucketUnit } from './buckets.ts'

/** Time cut into buckets, in the asked zone. */
export interface BucketDimension {
  readonly kind: 'bucket'
  readonly name: string
  readonly unit: BucketUnit
}
/** What comes round again, in the asked zone: `weekday` 1 (Monday) to 7, `hour_of_day` 0 to 23. */
interface CycleDimension {
  readonly kind: 'cycle'
  readonly name: CycleName
}
/**
 * A column. One that only hits have (`sessions: null`) counts a session for every value that its page views and events
 * have; one that only sessions have counts their hits.
 */
interface ColumnDimension {
  readonly kind: 'column'
  readonly name: string
  readonly hits: string | null
  readonly sessions: string | null
  readonly type: 'String' | 'UInt8' | 'UInt16' | 'UInt32'
  /** Only these hits have it. */
  readonly only?: 'event'
}
/** A property of events (`props.plan`) or a tag (`tags.section`), of the hits that have it. */
interface MapDimension {
  readonly kind: 'map'
  readonly name: string
  readonly map: 'props' | 'tags'
  readonly key: string
  readonly type: 'String'
}
export type Dimension = BucketDimension | CycleDimension | ColumnDimension | MapDimension

export const CYCLES = { weekday: [1, 7], hour_of_day: [0, 23] } as const
type CycleName = keyof typeof CYCLES

/** Columns of both tables under the dimension's own name. */
const SHARED = [
  'hostname',
  'entry_path',
  'referrer_name',
  'channel',
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'utm_content',
  'utm_term',
  'click_id_kind',
  'country',
  'region',
  'city',
  'browser',
  'browser_version',
  'os',
  'os_version',
  'device',
  'device_type',
  'platform',
  'client_kind',
  'language',
  'screen_class',
  'bot_reason',
]
/** Each hit's own. */
const HITS_ONLY = ['path', 'route', 'title', 'http_method']
/** Numbers of a session, by name and column: so that hits can be asked for by what became of their session. */
const OF_SESSIONS = [
  { name: 'is_bounce', column: 'is_bounce', type: 'UInt8' },
  { name: 'session_page_views', column: 'page_views', type: 'UInt32' },
  { name: 'session_events', column: 'events', type: 'UInt32' },
  { name: 'session_duration_ms', column: 'duration_ms', type: 'UInt32' },
] as const

const column = (name: string, hits: string | null, sessions: string | null): ColumnDimension => ({
  kind: 'column',
  name,
  hits,
  sessions,
  type: 'String',
})

const DIMENSIONS = new Map<string, Dimension>(
  [
    ...BUCKET_UNITS.map((unit): Dimension => ({ kind: 'bucket', name: unit, unit })),
    { kind: 'cycle' as const, name: 'weekday' as const },
    { kind: 'cycle' as const, name: 'hour_of_day' as const },
    ...SHARED.map((name) => column(name, name, name)),
    // Where the session came from; `hits.referrer` is the page before, mostly of the same site.
    column('referrer', 'session_referrer', 'session_referrer'),
    ...HITS_ONLY.map((name) => column(name, name, null)),
    { ...column('event_name', 'event_name', null), only: 'event' as const },
    { ...column('currency', 'currency', null), only: 'event' as const },
    { ...column('http_status', 'http_status', null), type: 'UInt16' as const },
    column('exit_path', null, 'exit_path'),
    ...OF_SESSIONS.map((own) => ({ ...column(own.name, null, own.column), type: own.type })),
  ].map((dimension) => [dimension.name, dimension]),
)

/** All names, for messages and documentation; `props.KEY` and `tags.KEY` are dimensions too. */
export const DIMENSION_NAMES: readonly string[] = [...DIMENSIONS.keys()]

const MAP_NAME = /^(props|tags)\.(.{1,64})$/su

/** The dimension of a name; null when there is none. */
export function findDimension(name: string): Dimension | null {
  const known = DIMENSIONS.get(name)
  if (known) return known
  const [, map, key] = MAP_NAME.exec(name) ?? []
  return map && key ? { kind: 'map', name, map: map as 'props' | 'tags', key, type: 'String' } : null
}

/** Whether a dimension is time, so that values without data are known too. */
export const isTime = ({ kind }: Dimension): boolean => kind === 'bucket' || kind === 'cycle'

/** Columns of hits that tell a dimension which sessions do not. */
export function hitColumnsOf(dimension: Dimension): string[] {
  if (dimension.kind === 'map') return dimension.map === 'tags' ? ['tags'] : ['props_number', 'props_text']
  return dimension.kind === 'column' && dimension.sessions === null ? [dimension.hits!] : []
}

/** Tables that can tell the dimension of a row by themselves. */
export function tellsOf(dimension: Dimension): { hits: boolean; sessions: boolean } {
  if (dimension.kind === 'map') return { hits: true, sessions: false }
  if (dimension.kind === 'column') return { hits: dimension.hits !== null, sessions: dimension.sessions !== null }
  return { hits: true, sessions: true }
}
