import { type Static, Type } from '@sinclair/typebox'
import { sessionsOfHits } from '../filter-sql.ts'
import type { Question } from '../question.ts'
import { aroundPeriod, duringPeriod, ownRows } from '../rows-of.ts'
import { allOf, type Binder, nested } from '../statement.ts'
import type { NamedReport } from './named-report.ts'
import { type Scope, select } from './scope.ts'

const Fields = Type.Object({
  path: Type.String({ minLength: 1, maxLength: 4_096, description: 'The page in the middle' }),
})

/** Where the views of a page came from and went to in their session: the page view before, and the one after. */
export const journey: NamedReport = {
  fields: Fields,
  async answer(fields, scope) {
    const { path } = fields as Static<typeof Fields>
    const counted = await count(path, scope)
    const [before, after] = [sideOf('before', counted), sideOf('after', counted)]
    const { limit, offset } = scope.query
    const shown = ({ rows }: Side): Neighbour[] => rows.slice(offset, offset + limit)
    const totals = { page_views: before.all, entries: before.none, exits: after.none }
    return { previous: shown(before), next: shown(after), totals }
  },
}

interface Counted {
  readonly before: string | null
  readonly after: string | null
  /** 1 = counted by the page after, not by the one before. */
  readonly by_after: number
  readonly n: number
}
interface Neighbour {
  readonly path: string
  readonly page_views: number
}
interface Side {
  readonly rows: Neighbour[]
  readonly all: number
  readonly none: number
}

/** The most frequent first; of equally frequent ones in the order of their bytes, as everywhere. */
function sideOf(side: 'before' | 'after', counted: readonly Counted[]): Side {
  const own = counted.filter(({ by_after }) => (by_after === 1) === (side === 'after'))
  const rows = own.flatMap((row) => (row[side] === null ? [] : { path: row[side], page_views: row.n }))
  rows.sort((a, b) => b.page_views - a.page_views || Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
  const all = own.reduce((sum, { n }) => sum + n, 0)
  return { rows, all, none: all - rows.reduce((sum, { page_views }) => sum + page_views, 0) }
}

/** Page views of the sessions that saw the page, each with its neighbours; null = there is none. */
function views(path: string, question: Question, binder: Binder): string {
  const around = [...ownRows('views', question, binder), ...aroundPeriod(2, question, binder), 'session_id != 0']
  const saw = [...around, `path = ${binder.bind('path', 'String', path)}`]
  const where = [...around, `session_id IN ${nested(`SELECT session_id\nFROM millrace.hits\nWHERE ${allOf(saw)}`)}`]
  if (question.filter) where.push(`session_id IN ${nested(sessionsOfHits(question.filter, question, binder))}`)
  const window = 'PARTITION BY session_id ORDER BY time, ko, ki ROWS BETWEEN'
  const columns = [
    'path',
    'day',
    'time',
    `lagInFrame(toNullable(path)) OVER (${window} 1 PRECEDING AND CURRENT ROW) AS before`,
    `leadInFrame(toNullable(path)) OVER (${window} CURRENT ROW AND 1 FOLLOWING) AS after`,
  ]
  const all = nested(`SELECT ${columns.join(', ')}\nFROM millrace.hits\nWHERE ${allOf(where)}`)
  const during = [...duringPeriod('views', question, binder), `path = ${binder.bind('path', 'String', path)}`]
  return nested(`SELECT before, after\nFROM ${all}\nWHERE ${allOf(during)}`)
}

/** Both sides from one pass: finding the neighbours is what costs. */
const count = (path: string, scope: Scope): Promise<Counted[]> =>
  select(
    scope,
    (binder) => `SELECT before, after, toUInt8(grouping(before)) AS by_after, toFloat64(count()) AS n
FROM ${views(path, scope.question, binder)}
GROUP BY GROUPING SETS ((before), (after))`,
  )
