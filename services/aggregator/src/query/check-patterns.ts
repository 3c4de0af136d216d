import type { FieldError } from '@millrace/shared'
import { type Store, StoreRefused } from '@millrace/store'
import { conditionsOf, type Filter } from './filter.ts'
import type { Goal } from './goals.ts'
import { refusal } from './parse-query.ts'

const DETAIL = 'is not a regular expression (RE2)'

/** The engine's regular expressions are RE2, so only the engine can tell a wrong one. @throws MillraceError naming each */
export async function checkPatterns(
  filter: Filter | null | readonly (Filter | null)[],
  store: Pick<Store, 'query'>,
): Promise<void> {
  const errors: FieldError[] = []
  for (const one of [filter].flat() as (Filter | null)[]) errors.push(...(await wrongPatterns(one, store)))
  if (errors.length > 0) throw refusal(errors)
}

/** As checkPatterns, for the filters of goals: one that was stored may be wrong, too. */
export async function checkGoalPatterns(goals: readonly Goal[], store: Pick<Store, 'query'>): Promise<void> {
  const errors: FieldError[] = []
  for (const { id, is } of goals) {
    if (is.type !== 'event') continue
    for (const { pointer } of await wrongPatterns(is.filter, store)) {
      errors.push({ code: 'field_invalid', pointer: '/goals', detail: `${id}: ${pointer} ${DETAIL}` })
    }
  }
  if (errors.length > 0) throw refusal(errors)
}

async function wrongPatterns(filter: Filter | null, store: Pick<Store, 'query'>): Promise<FieldError[]> {
  const errors: FieldError[] = []
  for (const { operator, values, pointer } of conditionsOf(filter)) {
    if (!operator.startsWith('matches')) continue
    for (const [i, pattern] of values.entries()) {
      try {
        await store.query("SELECT match(materialize(''), {pattern:String})", { params: { pattern } })
      } catch (error) {
        if (!(error instanceof StoreRefused && error.type === 'CANNOT_COMPILE_REGEXP')) throw error
        errors.push({ code: 'field_invalid', pointer: `${pointer}/${i}`, detail: DETAIL })
      }
    }
  }
  return errors
}
