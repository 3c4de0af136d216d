import { type Static, type TProperties, Type } from '@sinclair/typebox'

const text = (description: string) => Type.String({ minLength: 1, maxLength: 128, description })
const path = Type.String({
  minLength: 1,
  maxLength: 4_096,
  description: 'Pattern of the path: `*` = anything but a slash, `**` = anything',
})
const goal = <const Name extends string, Own extends TProperties>(type: Name, own: Own) =>
  Type.Object(
    {
      type: Type.Literal(type),
      ...own,
      name: Type.Optional(Type.String({ maxLength: 128, description: 'Name for people; the id if left out' })),
      value: Type.Optional(
        Type.Number({
          minimum: 0,
          maximum: 1e12,
          description: 'What a conversion is worth; else the value of its event',
        }),
      ),
      currency: Type.Optional(Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217 code of `value`' })),
    },
    { additionalProperties: false },
  )

/** The conversion goals that a site may have, by their type. */
export const GOAL_TYPES = {
  page: goal('page', { path }),
  event: goal('event', {
    event_name: text('Name of the event'),
    filter: Type.Optional(Type.Unknown({ description: 'Conditions on the event, as in a query' })),
  }),
  scroll: goal('scroll', {
    path,
    scroll_percent: Type.Integer({ minimum: 1, maximum: 100, description: 'How far the page was seen' }),
  }),
  duration: goal('duration', {
    duration_ms: Type.Integer({ minimum: 1, maximum: 86_400_000, description: 'How long the session lasts' }),
  }),
} as const
export type GoalType = keyof typeof GOAL_TYPES

/** A conversion goal of a site, in the words of `millrace goal` and of /v1/sites/SITE/goals. */
export type GoalSettings = { [Name in GoalType]: Static<(typeof GOAL_TYPES)[Name]> }[GoalType]
