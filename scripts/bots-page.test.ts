import { expect, test } from 'vitest'
import { AGENT_RULES, REQUEST_RULES } from '../services/enricher/src/steps/bots.ts'
import { botsPage } from './bots-page.ts'

test('the page of bots has every rule once', () => {
  const rules = [...AGENT_RULES, ...REQUEST_RULES].map(({ name, reason }) => `| \`${name}\` | \`${reason}\` |`)
  const rows = botsPage().match(/^\| `[a-z0-9_]+` \| `[a-z_]+` \|/gm)
  expect(rows!.toSorted()).toEqual(rules.toSorted())
})
