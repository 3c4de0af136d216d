export { MillraceApiError, type Problem } from './api-error.ts'
export { createMillrace, type Millrace } from './create-millrace.ts'
export { type AskOptions, createReader, type Reader } from './create-reader.ts'
export type { Fetch, FetchAnswer } from './fetch.ts'
export type { CommonFields, EngagementFields, EventFields, HitFields, Page, PageViewFields, SentHit } from './hits.ts'
export type { Refusal } from './judge.ts'
export type { DropReason, Listeners, MillraceOptions, Retry, SendingOptions, ServiceOptions } from './options.ts'
export type {
  Between,
  Compared,
  Condition,
  Count,
  Dimension,
  Filter,
  Metric,
  NumberDimension,
  Numbers,
  Period,
  Query,
  Ratio,
  Report,
  Row,
  Selection,
  TextDimension,
} from './query.ts'
export type { AskReport, ReportOptions, Reports } from './reports.ts'
export type { FetchRequestLike, NodeRequestLike, RequestLike, TrustProxy } from './request.ts'
export type { Stats } from './tell.ts'
