export { type ConfigBook, type ConfigBookOptions, openConfigBook } from './config-book.ts'
export { type ConfigWriter, type NewKey, openConfigWriter, type SiteChange } from './config-writer.ts'
export { KEY_SCOPES, type Key, type KeyScope } from './key.ts'
export type { SiteRecord } from './record.ts'
