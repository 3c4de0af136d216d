export type { BatchLimits } from './batch-appends.ts'
export { NO_TRUSTED_PROXIES, type TrustedProxies } from './client-address.ts'
export { COLLECTOR_SETTINGS, type CollectorSettings } from './settings.ts'
export { type Collector, type CollectorOptions, startCollector } from './start.ts'
