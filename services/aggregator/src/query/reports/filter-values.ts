import { MillraceError } from '@millrace/shared'
import { type Static, Type } from '@sinclair/typebox'
import { type Dimension, findDimension, isTime, tellsOf } from '../dimensions.ts'
import { dimensionSql, hasValue } from '../rows-of.ts'
import { allOf, type Binder } from '../statement.ts'
import type { NamedReport } from './named-report.ts'
import { chosenHits, chosenSessions, page, type Scope, select } from './scope.ts'

const Fields = Type.Object({
  dimension: Type.String({
    maxLength: 128,
    description: 'Any but those of time; `props` and `tags` answer their keys',
  }),
  search: Type.Optional(Type.String({ maxLength: 256, description: 'Part of the value, in any case of letters' })),
})

/** The values of a dimension, most frequent first: what a filter may be made of. */
export const filterValues: NamedReport = {
  fields: Fields,
  async answer(fields, scope) {
    const { dimension: name, search = '' } = fields as Static<typeof Fields>
    const rows = await select<{ value: string; hits: number }>(scope, (binder) => {
      const { from, value, count, where } = sourceOf(name, scope, binder)
      const sought =
        search === '' ? [] : [`positionCaseInsensitiveUTF8(value, ${binder.bind('search', 'String', search)}) > 0`]
      const found = `SELECT toString(${value}) AS value, toFloat64(${count}) AS n\nFROM ${from}\nWHERE ${allOf(where)}\nGROUP BY value`
      return `SELECT value, n AS count\nFROM (${found})\nWHERE ${allOf(['n > 0', ...sought])}\nORDER BY n DESC, value\n${page(scope, binder)}`
    })
    return { rows }
  },
}

interface ValueSource {
  readonly from: string
  readonly value: string
  readonly count: string
  readonly where: string[]
}

function sourceOf(name: string, scope: Scope, binder: Binder): ValueSource {
  const { question } = scope
  const hits = { from: 'millrace.hits', count: 'count()' }
  if (name === 'tags') return { ...hits, value: 'arrayJoin(mapKeys(tags))', where: chosenHits(question, binder) }
  if (name === 'props') {
    const value = 'arrayJoin(arrayDistinct(arrayConcat(mapKeys(props_text), mapKeys(props_number))))'
    return { ...hits, value, where: chosenHits(question, binder) }
  }
  const dimension = dimensionOf(name)
  if (!tellsOf(dimension).hits) {
    const value = dimensionSql(dimension, 'sessions', question, binder)
    return { from: 'millrace.sessions', value, count: 'sum(sign)', where: chosenSessions(question, binder) }
  }
  const has = hasValue(dimension, 'hits', binder)
  const where = [...chosenHits(question, binder), ...(has ? [has] : [])]
  return { ...hits, value: dimensionSql(dimension, 'hits', question, binder), where }
}

function dimensionOf(name: string): Dimension {
  const dimension = findDimension(name)
  if (dimension && !isTime(dimension)) return dimension
  const detail = `${JSON.stringify(name)} is not a dimension with values`
  throw new MillraceError('query_invalid', `/dimension ${detail}.`, [
    { code: 'field_invalid', pointer: '/dimension', detail },
  ])
}
