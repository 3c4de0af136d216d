export * from './generator.ts'
export * from './hit-ids.ts'
export * from './journal.ts'
export * from './spawn.ts'
