import { Uuid } from '@millrace/shared'

/** So many left pages a session remembers at most: a visitor reads on in a few tabs, and very many sessions are alive. */
const MOST = 4

/**
 * A page that its session has left, by the hit_id of its page view, of a list that begins with the one left last. It is written
 * into, never replaced.
 */
export class LeftPage extends Uuid {
  path = ''
  /** Time of its page view, counted like all times that a session keeps: from the session's own origin. */
  at = 0
  /** The deepest point that its rows have said so far, percent; 0 = not measured. */
  depth = 0
  /** The page that was left before. */
  before: LeftPage | null = null
}

/** A page to be filled, which then begins the list. Of a full list it is the oldest one, which is forgotten. */
export function nextLeftPage(list: LeftPage | null): LeftPage {
  const page = takeOldest(list) ?? new LeftPage(0, 0, 0, 0)
  page.before = list
  return page
}

function takeOldest(list: LeftPage | null): LeftPage | null {
  let last = list
  for (let n = 2; last !== null && n < MOST; n++) last = last.before
  if (last === null) return null
  const oldest = last.before
  last.before = null
  return oldest
}
