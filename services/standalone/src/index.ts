export { STANDALONE_SETTINGS, type StandaloneSettings, settingsFrom } from './settings.ts'
export { type MovableTime, type Standalone, startStandalone } from './start.ts'
