export { type LogNotice, NOTICE_KINDS } from './embedded/notice.ts'
export {
  attachEmbeddedLog,
  type EmbeddedLog,
  type EmbeddedLogOptions,
  openEmbeddedLog,
} from './embedded/open.ts'
export * from './event-log.ts'
