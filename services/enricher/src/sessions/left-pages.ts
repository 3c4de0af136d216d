import { Uuid } from '@millrace/shared'

/** So many left pages a session remembers at most: a visitor reads on in a few tabs, and very many sessions are alive. */
export const MOST_LEFT_PAGES = 4

/**
 * A page that its session has left, by the hit_id of its page view: one of a ring, so that the oldest is at hand without looking
 * at the others, of which each lies somewhere else. It is written into, never replaced.
 */
export class LeftPage extends Uuid {
  path = ''
  /** Time of its page view, counted like all times that a session keeps: from the session's own origin. */
  at = 0
  /** The deepest point that its rows have said so far, percent; 0 = not measured. */
  depth = 0
  /** The page that was left next; of the newest, the oldest. */
  after: LeftPage = this
}

/** A page to be filled, which becomes the newest of a ring. */
export function addTo(oldest: LeftPage | null): LeftPage {
  const page = new LeftPage(0, 0, 0, 0)
  if (oldest === null) return page
  newestOf(oldest).after = page
  page.after = oldest
  return page
}

export function newestOf(oldest: LeftPage): LeftPage {
  let page = oldest
  while (page.after !== oldest) page = page.after
  return page
}

/** The page of this hit_id; of several the newest. */
export function find(oldest: LeftPage | null, id: Uuid): LeftPage | null {
  if (oldest === null) return null
  let found: LeftPage | null = null
  let page = oldest
  do {
    if (page.equals(id)) found = page
    page = page.after
  } while (page !== oldest)
  return found
}
