export * from './recount.ts'
