import { StoreRefused } from '@millrace/store'

/** ClickHouse's own codes for what is refused before it comes to the engine. */
const CODES = {
  SYNTAX_ERROR: 62,
  CANNOT_DECOMPRESS: 271,
  UNKNOWN_FORMAT: 73,
  UNKNOWN_DATABASE: 81,
  QUERY_IS_TOO_LARGE: 443,
  NOT_IMPLEMENTED: 48,
  READONLY: 164,
  ACCESS_DENIED: 497,
  AUTHENTICATION_FAILED: 516,
  TOO_MANY_SIMULTANEOUS_QUERIES: 202,
  BAD_ARGUMENTS: 36,
} as const

/** A statement that is not run, with ClickHouse's code; the text is for the sender. */
export const refusal = (type: keyof typeof CODES, detail: string): StoreRefused =>
  new StoreRefused(CODES[type], type, detail)
