import type { TObject } from '@sinclair/typebox'
import type { Scope } from './scope.ts'

/** A report that is more than one query: fields of its own beside site, period, timezone, filter, limit and offset. */
export interface NamedReport {
  /** Form of its own fields. */
  readonly fields: TObject
  /** Period if the request names none; 30d if left out. */
  readonly period?: string
  /** @throws MillraceError; errors of the store as they are */
  answer(own: Readonly<Record<string, unknown>>, scope: Scope): Promise<Record<string, unknown>>
}
