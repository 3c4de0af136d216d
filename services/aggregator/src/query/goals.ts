import type { FieldError } from '@millrace/shared'
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { type Filter, parseFilter } from './filter.ts'

const common = {
  v: Type.Optional(Type.Literal(1)),
  name: Type.Optional(Type.String({ maxLength: 128, description: 'Name for people; the id if left out' })),
  value: Type.Optional(
    Type.Number({ minimum: 0, maximum: 1e12, description: 'What a conversion is worth; else the value of its event' }),
  ),
  currency: Type.Optional(Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217 code of `value`' })),
}
const path = Type.String({
  minLength: 1,
  maxLength: 4_096,
  description: 'Pattern of the path: `*` = anything but a slash, `**` = anything',
})

/** A conversion goal as millrace.config keeps it under `goal/SITE/ID`. */
export const GoalSettings = Type.Union([
  Type.Object({ ...common, type: Type.Literal('page'), path }, { additionalProperties: false }),
  Type.Object(
    {
      ...common,
      type: Type.Literal('event'),
      event_name: Type.String({ minLength: 1, maxLength: 128 }),
      filter: Type.Optional(Type.Unknown({ description: 'Conditions on the event, as in a query' })),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    { ...common, type: Type.Literal('scroll'), path, scroll_percent: Type.Integer({ minimum: 1, maximum: 100 }) },
    { additionalProperties: false },
  ),
  Type.Object(
    { ...common, type: Type.Literal('duration'), duration_ms: Type.Integer({ minimum: 1, maximum: 86_400_000 }) },
    { additionalProperties: false },
  ),
])
export type GoalSettings = Static<typeof GoalSettings>
const form = TypeCompiler.Compile(GoalSettings)

/** A goal as understood. Page views, events and scrolled page views convert each; a duration once for each session. */
export interface Goal {
  readonly id: string
  readonly name: string
  /** What each conversion is worth; null = the value of its event. */
  readonly value: number | null
  readonly currency: string
  readonly is:
    | { readonly type: 'page'; readonly pattern: string }
    | { readonly type: 'event'; readonly eventName: string; readonly filter: Filter | null }
    | { readonly type: 'scroll'; readonly pattern: string; readonly percent: number }
    | { readonly type: 'duration'; readonly durationMs: number }
}

/** Reads a goal; null when it is wrong, with every mistake in `errors`. */
export function parseGoal(id: string, input: unknown, errors: FieldError[] = []): Goal | null {
  if (!form.Check(input)) {
    const [first] = form.Errors(input)
    const detail = 'is no goal of type page, event, scroll or duration with its fields'
    errors.push({ code: 'field_invalid', pointer: first?.path ?? '', detail })
    return null
  }
  const { name = id, value = null, currency = '' } = input
  const is = understand(input, errors)
  return is && { id, name, value, currency, is }
}

function understand(input: GoalSettings, errors: FieldError[]): Goal['is'] | null {
  switch (input.type) {
    case 'page':
      return { type: 'page', pattern: patternOf(input.path) }
    case 'event': {
      if (input.filter === undefined) return { type: 'event', eventName: input.event_name, filter: null }
      const filter = parseFilter(input.filter, '/filter', errors)
      return filter && { type: 'event', eventName: input.event_name, filter }
    }
    case 'scroll':
      return { type: 'scroll', pattern: patternOf(input.path), percent: input.scroll_percent }
    case 'duration':
      return { type: 'duration', durationMs: input.duration_ms }
  }
}

/** A regular expression (RE2 and JavaScript) for a pattern of paths: `*` = anything but a slash, `**` = anything. */
export function patternOf(glob: string): string {
  const parts = glob.split(/(\*+)/)
  const translated = parts.map((part) => {
    if (part.startsWith('**')) return '.*'
    return part === '*' ? '[^/]*' : part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&')
  })
  return `^${translated.join('')}$`
}
