import { GOAL_TYPES, type GoalSettings, type GoalType } from '@millrace/shared'
import type { TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'

/** The form of a goal by its type: compiled one by one, as a union could not say which field is wrong. */
const FORMS = new Map<unknown, TypeCheck<TSchema>>(
  Object.entries(GOAL_TYPES).map(([type, schema]) => [type, TypeCompiler.Compile(schema)]),
)
export const GOAL_TYPE_NAMES = Object.keys(GOAL_TYPES) as readonly GoalType[]

/** The form of the type that a goal says it is of; null = of none. */
export const goalForm = (type: unknown): TypeCheck<TSchema> | null => FORMS.get(type) ?? null

/** Whether a value has the form of a goal; the conditions of its filter are not looked at. */
export function isGoal(value: unknown): value is GoalSettings {
  if (typeof value !== 'object' || value === null) return false
  return goalForm((value as { type?: unknown }).type)?.Check(value) ?? false
}
