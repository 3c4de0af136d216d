export { type QueryApi, registerQueryApi } from './query/register.ts'
export { AGGREGATOR_SETTINGS, type AggregatorSettings } from './settings.ts'
export { type AggregatorOptions, startAggregator } from './start.ts'
export type { Writer } from './writer/write.ts'
