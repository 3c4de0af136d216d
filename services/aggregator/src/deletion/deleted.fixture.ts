import type { HitRow, SessionRow } from '@millrace/shared'

interface Rows {
  readonly hits: readonly HitRow[]
  readonly sessions: readonly SessionRow[]
}

const FORGET_ENGAGEMENT_MS = 75 * 60_000
const inOrder = (a: HitRow, b: HitRow): number => a.time - b.time || a.ko - b.ko
const isHit = ({ verdict, type }: HitRow): boolean => verdict === 'keep' && type !== 'engagement'

/** The rows as a deletion of the hits that `isChosen` leaves them: as docs/numbers.md says it, in plain steps. */
export function deletedRows({ hits, sessions }: Rows, isChosen: (hit: HitRow) => boolean): Rows {
  const chosen = hits.filter((hit) => isHit(hit) && isChosen(hit))
  const ids = new Set(chosen.map(({ hit_id }) => hit_id))
  const pages = new Set(chosen.filter(({ type }) => type === 'page_view').map(({ hit_id }) => hit_id))
  const lost = new Set<HitRow>(chosen)
  for (const hit of hits) {
    if (hit.verdict === 'duplicate' && ids.has(hit.hit_id)) lost.add(hit)
    if (hit.verdict === 'keep' && hit.type === 'engagement' && pages.has(hit.page_id)) lost.add(hit)
  }
  const touched = new Set([...lost].map(({ session_id }) => session_id).filter((id) => BigInt(`0x${id}`) !== 0n))
  const left = hits.filter((hit) => !lost.has(hit))
  const remade = new Map<string, SessionRow>()
  for (const id of touched) {
    const session = remake(sessions.find(({ session_id }) => session_id === id)!, id, left)
    if (session) remade.set(id, session)
  }
  return {
    hits: left.flatMap((hit) => {
      if (!touched.has(hit.session_id)) return [hit]
      const session = remade.get(hit.session_id)
      return session ? [withoutTraces(hit, session, left, [...lost])] : []
    }),
    sessions: [...sessions.filter(({ session_id }) => !touched.has(session_id)), ...remade.values()],
  }
}

/** Of what is left; null = no page view or event is. */
function remake(before: SessionRow, id: string, hits: readonly HitRow[]): SessionRow | null {
  const own = hits.filter((hit) => hit.session_id === id && hit.verdict === 'keep').sort(inOrder)
  const seen = own.filter(isHit)
  const first = seen[0]
  if (!first) return null
  const views = seen.filter(({ type }) => type === 'page_view')
  const end = Math.max(...own.map(({ time }) => time))
  const engaged = engagementOf(id, hits)
  const many = new Set(views.map(({ hostname, path }) => `${hostname}\t${path}`)).size > 1
  const acted = seen.some(({ type, interactive }) => type === 'event' && interactive)
  const shared = Object.fromEntries(
    Object.keys(before).flatMap((key) => (key in first ? [[key, first[key as never]]] : [])),
  )
  return {
    ...before,
    ...shared,
    version: 1,
    sign: 1,
    start: first.time,
    end,
    duration_ms: end - first.time,
    page_views: views.length,
    events: seen.length - views.length,
    engaged_ms: engaged,
    is_bounce: views.length > 0 && !many && !acted && engaged < 10_000 ? 1 : 0,
    hostname: (views[0] ?? first).hostname,
    entry_path: views[0]?.path ?? '',
    exit_path: views.at(-1)?.path ?? '',
    exit_title: views.at(-1)?.title ?? '',
  }
}

/** Signal by signal, in the order of the log. */
function engagementOf(session: string, hits: readonly HitRow[]): number {
  const known: { page: string; at: number; total: number }[] = []
  let sum = 0
  const signals = hits.filter(
    ({ type, session_id, verdict }) => type === 'engagement' && verdict === 'keep' && BigInt(`0x${session_id}`) !== 0n,
  )
  for (const { page_id, visitor_id, received_at, engaged_ms, session_id } of signals.sort(
    (a, b) => a.received_at - b.received_at || a.ko - b.ko,
  )) {
    const page = page_id + visitor_id
    const before = known.filter((one) => one.page === page && one.at >= received_at - FORGET_ENGAGEMENT_MS)
    if (session_id === session) sum += Math.max(0, engaged_ms - Math.max(0, ...before.map(({ total }) => total)))
    known.push({ page, at: received_at, total: engaged_ms })
  }
  return sum
}

/** What a hit says of pages that its session does not have any more. */
function withoutTraces(hit: HitRow, session: SessionRow, left: readonly HitRow[], lost: readonly HitRow[]): HitRow {
  const views = left
    .filter(
      ({ session_id, type, verdict }) =>
        session_id === session.session_id && type === 'page_view' && verdict === 'keep',
    )
    .sort(inOrder)
  const previous = hit.type === 'page_view' ? views[views.indexOf(hit) - 1] : undefined
  const gone = lost.filter(({ session_id, type }) => session_id === session.session_id && type === 'page_view')
  return {
    ...hit,
    entry_path: session.entry_path,
    ...(hit.type === 'page_view' && {
      previous_path: previous?.path ?? '',
      previous_ms: previous ? hit.time - previous.time : 0,
    }),
    referrer: gone.some(({ hostname, path }) => hit.referrer.endsWith(`//${hostname}${path}`)) ? '' : hit.referrer,
  }
}
