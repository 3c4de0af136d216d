export * from './browsers.ts'
export * from './random.ts'
export * from './visitors.ts'
