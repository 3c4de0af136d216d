export { type LogNotice, NOTICE_KINDS } from './embedded/notice.ts'
export {
  attachEmbeddedLog,
  type EmbeddedLog,
  type EmbeddedLogOptions,
  openEmbeddedLog,
} from './embedded/open.ts'
export * from './event-log.ts'
export { openKafkaLog } from './kafka/load.ts'
export type { KafkaLogOptions } from './kafka/open.ts'
export { KAFKA_SETTINGS, kafkaOptions } from './kafka/settings.ts'
