import type { Session } from './session.ts'

/** Nobody needs it, but reads that nothing comes of may be left out. */
const read = { sum: 0 }

/** So many sessions are read ahead: more than the processor asks its memory for at once, fewer than its cache holds. */
export const AHEAD = 32

/**
 * Reads a little of each part of a session that is about to be worked on. Of very many sessions most lie far away: whoever
 * reads ahead of all that come next waits for many of them at once, else for one after the other.
 */
export function readAhead(session: Session): void {
  const { bucket, engaging, version, exitDepth, exitPageId, sessionId, visitorId, screen } = session
  const ids = exitPageId.word0 + sessionId.low + visitorId.low
  read.sum = (read.sum + bucket + version + exitDepth + ids + screen.width + (engaging ? 1 : 0)) | 0
}
