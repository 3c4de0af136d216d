import {
  BlockWriter,
  type EnrichedRecord,
  encodeEnriched,
  HIT_COLUMNS,
  type HitRow,
  monthOfDay,
  NO_UUID,
  type RowsByMonth,
  SESSION_BLOCK_COLUMNS,
  type SessionRow,
} from '@millrace/shared'
import { BLANK_HIT, BLANK_SESSION } from '../markers.ts'

/** A page view of a day, at a place of the log. */
export function hit(day: number, kp: number, ko: number, ki: number, more: Partial<HitRow> = {}): HitRow {
  const visitor = (kp * 7 + ko * 3 + (ki % 2)).toString(16).padStart(16, '0')
  return {
    ...BLANK_HIT,
    site: 'blog',
    day,
    time: day * 86_400_000 + ko,
    received_at: day * 86_400_000 + ko,
    type: 'page_view',
    verdict: 'keep',
    hit_id: `${(kp * 2 ** 20 + ko).toString(16).padStart(8, '0')}-0000-4000-8000-${ki.toString(16).padStart(12, '0')}`,
    page_id: NO_UUID,
    visitor_id: visitor,
    session_id: visitor,
    hostname: 'example.com',
    path: `/${ko % 5}`,
    kp,
    ko,
    ki,
    ...more,
  }
}

/** A signed row of a session that began on a day. */
function session(
  day: number,
  kp: number,
  ko: number,
  id: string,
  version: number,
  sign: 1 | -1,
  views: number,
): SessionRow {
  const start = day * 86_400_000
  return {
    ...BLANK_SESSION,
    site: 'blog',
    day,
    session_id: id,
    visitor_id: id,
    version,
    sign,
    start,
    end: start + views * 1000,
    duration_ms: views * 1000,
    page_views: views,
    is_bounce: views === 1 ? 1 : 0,
    kp,
    ko,
  }
}

const byMonth = (rows: readonly { day: number }[]): RowsByMonth => {
  const counts: Record<number, number> = {}
  for (const { day } of rows) counts[monthOfDay(day)] = (counts[monthOfDay(day)] ?? 0) + 1
  return counts
}

/** An enriched record of these rows, as the enricher writes it. */
export function enriched(
  place: Pick<EnrichedRecord, 'prev' | 'srcFrom' | 'srcTo'>,
  hits: readonly HitRow[],
  sessions: readonly SessionRow[] = [],
) {
  const hitWriter = new BlockWriter<HitRow>(HIT_COLUMNS)
  for (const row of hits) hitWriter.append(row)
  const sessionWriter = new BlockWriter<SessionRow>(SESSION_BLOCK_COLUMNS)
  for (const row of sessions) sessionWriter.append(row)
  return encodeEnriched({
    ...place,
    schema: 1,
    from: -1,
    streamTime: Date.now(),
    rows: hits.length,
    hitRows: byMonth(hits),
    sessionRows: byMonth(sessions),
    build: 'test',
    geo: '',
    config: -1,
    hits: hitWriter.finish(),
    sessions: sessionWriter.finish(),
  })
}

/**
 * The records of one partition: `count` records of two raw records each, three hits a raw record, and a session that
 * every record goes on with. The first half lies in one month, the second in the next.
 */
export function chainOf(kp: number, count: number, firstDay: number, site = 'blog') {
  const records = []
  const hits: HitRow[] = []
  const sessions: SessionRow[] = []
  const id = (kp + 16).toString(16).padStart(16, '0')
  for (let i = 0; i < count; i++) {
    const day = i < count / 2 ? firstDay : firstDay + 31
    const rows = [2 * i, 2 * i + 1].flatMap((ko) => [0, 1, 2].map((ki) => hit(day, kp, ko, ki, { site })))
    const ko = 2 * i + 1
    const touched = [{ ...session(firstDay, kp, ko, id, i + 1, 1, i + 1), site }]
    if (i > 0) touched.unshift({ ...session(firstDay, kp, ko, id, i, -1, i), site })
    hits.push(...rows)
    sessions.push(...touched)
    records.push(enriched({ prev: i - 1, srcFrom: 2 * i, srcTo: ko }, rows, touched))
  }
  return { records, hits, sessions }
}
