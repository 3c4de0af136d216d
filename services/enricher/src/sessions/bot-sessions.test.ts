import { pageView, rawLine, rawValue } from '@millrace/testing'
import { describe, expect, it } from 'vitest'
import { collapse, Lab, MINUTE, NOON, rawRecord } from '../testing/lab.ts'

/** A page view of one visitor, `minute` after noon; a bot's when it is a prefetch. */
function view(minute: number, path: string, ahead = false, sentAt = minute) {
  const hit = { ...pageView({ url: `https://example.com${path}` }), hit_id: crypto.randomUUID() }
  const at = NOON + minute * MINUTE
  const line = rawLine([{ ...hit, created_at: at }], {
    sent_at: NOON + sentAt * MINUTE,
    headers: ahead ? { 'sec-purpose': 'prefetch;prerender' } : {},
  })
  return { time: NOON + sentAt * MINUTE, value: rawValue([line]) }
}

function sessionsOf(views: ReturnType<typeof view>[], restore: boolean): string[] {
  const lab = new Lab()
  views.forEach(({ time, value }, offset) => {
    lab.enrich([rawRecord(offset, time, value)])
    if (restore) lab.restore()
  })
  return collapse(lab.sessionRows())
    .toSorted((a, b) => a.start - b.start)
    .map((row) => `${row.entry_path}>${row.exit_path} ${row.page_views} ${row.is_bot ? row.bot_reason : 'person'}`)
}

describe.each([
  ['', false],
  [', with a restore after each hit,', true],
])('a verdict%s', (_, restore) => {
  it('in mid-visit starts a bot session, and leaves the person with theirs', () => {
    const views = [view(0, '/a'), view(1, '/b', true), view(2, '/c')]
    expect(sessionsOf(views, restore)).toEqual(['/a>/c 2 person', '/b>/b 1 prefetch'])
  })

  it('goes on with the bot session that is there', () => {
    const views = [view(0, '/a', true), view(1, '/b', true), view(2, '/c')]
    expect(sessionsOf(views, restore)).toEqual(['/a>/b 2 prefetch', '/c>/c 1 person'])
  })

  it('of a late hit joins the bot session', () => {
    const views = [view(0, '/a'), view(10, '/c', true), view(5, '/b', true, 11)]
    expect(sessionsOf(views, restore)).toEqual(['/a>/a 1 person', '/b>/c 2 prefetch'])
  })
})
