import { readSettings } from '@millrace/shared'
import { COLLECTOR_SETTINGS, type CollectorSettings } from './settings.ts'

/** The defaults, but for what a test is about. */
export const settingsWith = (some: Partial<CollectorSettings> = {}): CollectorSettings => ({
  ...readSettings(COLLECTOR_SETTINGS, {}),
  ...some,
})
