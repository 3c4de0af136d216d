export { type Enricher, type EnricherOptions, startEnricher } from './run.ts'
export { ENRICHER_SETTINGS, type EnricherSettings } from './settings.ts'
export { readAgent } from './steps/agent.ts'
