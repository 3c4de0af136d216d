import { eventProperties } from './event-properties.ts'
import { filterValues } from './filter-values.ts'
import { funnel } from './funnel.ts'
import { goalList } from './goal-list.ts'
import { journey } from './journey.ts'
import type { NamedReport } from './named-report.ts'
import { PRESETS } from './presets.ts'
import { realtime } from './realtime.ts'
import { sessionList, sessionSteps } from './session-list.ts'
import { tagKeys } from './tag-keys.ts'

/** Reports with fields and answers of their own. */
export const OWN_REPORTS: Readonly<Record<string, NamedReport>> = {
  realtime,
  event_properties: eventProperties,
  tags: tagKeys,
  sessions: sessionList,
  session: sessionSteps,
  goals: goalList,
  funnel,
  journey,
  values: filterValues,
}

/** Names of GET and POST /v1/reports/NAME. */
export const REPORT_NAMES: readonly string[] = [...Object.keys(PRESETS), ...Object.keys(OWN_REPORTS)]
