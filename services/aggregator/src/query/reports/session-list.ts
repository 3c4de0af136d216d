import { type Static, Type } from '@sinclair/typebox'
import { aroundPeriod, ownRows } from '../rows-of.ts'
import { allOf, type Binder, nested } from '../statement.ts'
import type { NamedReport } from './named-report.ts'
import { chosenSessions, hexId, page, type Scope, select, timeText } from './scope.ts'

/** Of a session, its last state. */
export const SHOWN = [
  ...[
    'duration_ms',
    'page_views',
    'events',
    'is_bounce',
    'engaged_ms',
    'hostname',
    'entry_path',
    'exit_path',
    'exit_title',
  ],
  ...[
    'session_referrer',
    'referrer_name',
    'channel',
    'utm_source',
    'utm_medium',
    'utm_campaign',
    'utm_content',
    'utm_term',
  ],
  ...[
    'click_id_kind',
    'country',
    'region',
    'region_name',
    'city',
    'browser',
    'browser_version',
    'os',
    'os_version',
    'device',
  ],
  ...['device_type', 'platform', 'client_kind', 'language', 'screen_class', 'is_bot', 'bot_reason'],
]

/** SELECT of the last states of sessions. Of each version at most one +1 and one -1 exist, so one with a sum above 0 is the last. */
const lastStates = (where: readonly string[]): string =>
  `SELECT ${hexId('session_id')} AS session, ${hexId('any(s.visitor_id)')} AS visitor, ${timeText('any(s.start)')} AS started,
  ${timeText('any(s.end)')} AS ended, ${SHOWN.map((name) => `any(s.${name}) AS ${name}`).join(', ')}
FROM ${nested(`SELECT *\nFROM millrace.sessions\nWHERE ${allOf(where)}`)} AS s
GROUP BY session_id, version
HAVING sum(sign) > 0`

/** Sessions, the latest first, each as it is now. */
export const sessionList: NamedReport = {
  fields: Type.Object({}),
  period: '7d',
  async answer(_, scope) {
    const [rows, [total]] = await Promise.all([readSessions(scope), countSessions(scope)])
    return { rows: rows.map(shown), row_count: total?.sessions ?? 0 }
  },
}

/** Ids of the page first, from few columns; then all columns of these. */
const readSessions = (scope: Scope): Promise<StoredSession[]> =>
  select(scope, (binder) => {
    const { question } = scope
    const ids = `SELECT session_id
FROM millrace.sessions
WHERE ${allOf(chosenSessions(question, binder))}
GROUP BY session_id
HAVING sum(sign) > 0
ORDER BY sum(sign * toUnixTimestamp64Milli(start)) DESC, session_id
${page(scope, binder)}`
    const own = [...ownRows('sessions', question, binder), ...aroundPeriod(2, question, binder)]
    return `${lastStates([...own, `session_id IN ${nested(ids)}`])}\nORDER BY started DESC, session_id`
  })

const countSessions = ({ store, question }: Scope): Promise<{ sessions: number }[]> =>
  select({ store }, (binder) => {
    const where = chosenSessions(question, binder)
    return `SELECT toFloat64(sum(sign)) AS sessions\nFROM millrace.sessions\nWHERE ${allOf(where)}`
  })

const StepFields = Type.Object({
  session_id: Type.String({ pattern: '^[0-9a-f]{16}$', description: 'As the list of sessions names it' }),
})

/** One session and its hits in order, engagement signals included. */
export const sessionSteps: NamedReport = {
  fields: StepFields,
  period: 'all',
  async answer(fields, scope) {
    const { session_id } = fields as Static<typeof StepFields>
    const id = BigInt(`0x${session_id}`).toString()
    const [sessions, steps] = await Promise.all([
      select<StoredSession>(scope, (binder) => lastStates(ofSession(id, 'sessions', scope, binder))),
      readSteps(id, scope),
    ])
    return { session: sessions[0] ? shown(sessions[0]) : null, rows: steps }
  },
}

const ofSession = (id: string, rows: 'sessions' | 'signals', { question }: Scope, binder: Binder): string[] => [
  ...ownRows(rows, { ...question, includeBots: true }, binder).filter((one) => !one.startsWith('type =')),
  ...aroundPeriod(2, question, binder),
  `session_id = ${binder.bind('session_id', 'UInt64', id)}`,
]

const readSteps = (id: string, scope: Scope): Promise<object[]> =>
  select(
    scope,
    (
      binder,
    ) => `SELECT ${timeText('hits.time')} AS time, type, hostname, path, title, route, event_name, toFloat64(hits.value) AS value,
  currency, event_duration_ms, interactive, props_text, props_number, tags, engaged_ms, scroll_percent, toString(hit_id) AS hit_id,
  if(type = 'engagement', toString(page_id), NULL) AS page_id, http_method, http_status, request_ms
FROM millrace.hits AS hits
WHERE ${allOf(ofSession(id, 'signals', scope, binder))}
ORDER BY hits.time, ko, ki
${page(scope, binder)}`,
  )

interface StoredSession {
  readonly session: string
  readonly visitor: string
  readonly started: string
  readonly ended: string
}

const shown = ({ session, visitor, started, ended, ...rest }: StoredSession): object => ({
  session_id: session,
  visitor_id: visitor,
  start: started,
  end: ended,
  ...rest,
})
