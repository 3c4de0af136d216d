import type { ConfigBook, SiteGoal } from '@millrace/config'
import type { FieldError, GoalSettings } from '@millrace/shared'
import { type Filter, parseFilter } from './filter.ts'

/** A goal as understood. Page views, events and scrolled page views convert each; a duration once for each session. */
export interface Goal {
  readonly id: string
  readonly name: string
  /** What each conversion is worth; null = the value of its event. */
  readonly value: number | null
  readonly currency: string
  readonly is:
    | { readonly type: 'page'; readonly path: string }
    | { readonly type: 'event'; readonly eventName: string; readonly filter: Filter | null }
    | { readonly type: 'scroll'; readonly path: string; readonly percent: number }
    | { readonly type: 'duration'; readonly durationMs: number }
}

/** Understands a goal; null when its filter is wrong, with every mistake in `errors`. */
export function parseGoal(id: string, settings: GoalSettings, errors: FieldError[] = []): Goal | null {
  const { name = id, value = null, currency = '' } = settings
  const is = understand(settings, errors)
  return is && { id, name, value, currency, is }
}

const understood = new WeakMap<readonly SiteGoal[], readonly Goal[]>()

/**
 * The goals of a site, understood once for as long as the book keeps the list. Left out are those whose filter a newer
 * program wrote.
 */
export function goalsFrom(book: Pick<ConfigBook, 'goalsOf'>, site: string): readonly Goal[] {
  const stored = book.goalsOf(site)
  const known = understood.get(stored)
  if (known) return known
  const goals = stored.map(({ id, settings }) => parseGoal(id, settings)).filter((goal) => goal !== null)
  understood.set(stored, goals)
  return goals
}

function understand(input: GoalSettings, errors: FieldError[]): Goal['is'] | null {
  switch (input.type) {
    case 'page':
      return { type: 'page', path: input.path }
    case 'event': {
      if (input.filter === undefined) return { type: 'event', eventName: input.event_name, filter: null }
      const filter = parseFilter(input.filter, '/filter', errors)
      return filter && { type: 'event', eventName: input.event_name, filter }
    }
    case 'scroll':
      return { type: 'scroll', path: input.path, percent: input.scroll_percent }
    case 'duration':
      return { type: 'duration', durationMs: input.duration_ms }
  }
}
