export { beginEpoch } from './embedded/begin-epoch.ts'
export { replaceFile } from './embedded/durable-file.ts'
export { draftFrame, HEADER_BYTES, PREAMBLE, stampFrame } from './embedded/frame.ts'
export { bootId, type Lock, lockFolder } from './embedded/lock.ts'
export { type LogNotice, NOTICE_KINDS } from './embedded/notice.ts'
export {
  attachEmbeddedLog,
  type EmbeddedLog,
  type EmbeddedLogOptions,
  openEmbeddedLog,
} from './embedded/open.ts'
export {
  DISK,
  encodePreamble,
  payloadOf,
  readChunk,
  type SegmentIo,
  SegmentWriter,
  scanFrames,
} from './embedded/segment.ts'
export { threadEntry } from './embedded/thread-entry.ts'
export * from './event-log.ts'
export { openKafkaLog } from './kafka/load.ts'
export type { KafkaLogOptions } from './kafka/open.ts'
export { KAFKA_SETTINGS, kafkaOptions } from './kafka/settings.ts'
export { type Move, moveRecord, readMove } from './move.ts'
