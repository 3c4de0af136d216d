import type { Planted } from './schedule.ts'
import { bySourceAlone } from './src-only.ts'

/** Rules of the design, each switched off where the model stands in for log or store: no setting of the product does it. */
export const PLANTED: Readonly<Record<string, Planted>> = {
  'the chain rule': { view: bySourceAlone, appendsUnseen: true },
  'the check after doubt (everything is inserted again)': { check: 'nothing_is_there' },
  'the check after doubt (nothing is inserted again)': { check: 'all_is_there' },
  'the deadline of inserts': { deadlinesIgnored: true },
}
