/** An error as ClickHouse answers it. */
export class ServerError extends Error {
  override readonly name = 'ServerError'
  readonly code: number
  /** Its name, such as SYNTAX_ERROR. */
  readonly type: string
  constructor(code: number, type: string, message: string) {
    super(message)
    this.code = code
    this.type = type
  }

  /** The body of the answer. */
  text(version: string): string {
    return `Code: ${this.code}. DB::Exception: ${this.message} (${this.type}) (version ${version} (official build))\n`
  }

  /** The status of the answer. */
  get status(): number {
    return STATUS_OF_TYPE.get(this.type) ?? 500
  }
}

/** ClickHouse's own table, src/Server/HTTP/exceptionCodeToHTTPStatus.cpp. All others are 500. */
const TYPES_BY_STATUS: Readonly<Record<number, string>> = {
  400: `BAD_ARGUMENTS CANNOT_COMPILE_REGEXP CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE CANNOT_PARSE_QUOTED_STRING
    CANNOT_PARSE_DATE CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING CANNOT_PARSE_IPV4
    CANNOT_PARSE_IPV6 CANNOT_PARSE_INPUT_ASSERTION_FAILED CANNOT_PARSE_UUID DUPLICATE_COLUMN ILLEGAL_COLUMN
    UNKNOWN_ELEMENT_IN_AST UNKNOWN_TYPE_OF_AST_NODE THERE_IS_NO_COLUMN TOO_DEEP_AST TOO_BIG_AST UNEXPECTED_AST_STRUCTURE
    SYNTAX_ERROR INCORRECT_DATA TYPE_MISMATCH VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE`,
  401: 'REQUIRED_PASSWORD',
  403: 'UNKNOWN_USER WRONG_PASSWORD AUTHENTICATION_FAILED SET_NON_GRANTED_ROLE ACCESS_DENIED',
  404: `UNKNOWN_TABLE UNKNOWN_FUNCTION UNKNOWN_IDENTIFIER UNKNOWN_TYPE UNKNOWN_STORAGE UNKNOWN_DATABASE UNKNOWN_SETTING
    UNKNOWN_DIRECTION_OF_SORTING UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FORMAT UNKNOWN_DATABASE_ENGINE UNKNOWN_TYPE_OF_QUERY
    UNKNOWN_ROLE`,
  408: 'TIMEOUT_EXCEEDED',
  411: 'HTTP_LENGTH_REQUIRED',
  413: 'QUERY_IS_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  501: 'NOT_IMPLEMENTED',
  503: 'SOCKET_TIMEOUT CANNOT_OPEN_FILE CANNOT_SCHEDULE_TASK',
}
const STATUS_OF_TYPE = new Map(
  Object.entries(TYPES_BY_STATUS).flatMap(([status, types]) =>
    types.split(/\s+/).map((type) => [type, Number(status)]),
  ),
)

/** What the engine threw. It repeats the code where an INSERT reads a file, and names the file: a server would not. */
export function toServerError(error: unknown): ServerError {
  if (error instanceof ServerError) return error
  const text = error instanceof Error ? error.message : String(error)
  const match = /^(?:Code: (\d+)\. DB::Exception: )+([\s\S]*?)\.? \(([A-Z0-9_]+)\)\s*$/.exec(
    text.replaceAll(/\.? \(version [0-9.]+[^()]*(?:\([^)]*\))?\)/g, ''),
  )
  if (!match) return new ServerError(1002, 'UNKNOWN_EXCEPTION', text)
  const message = match[2]!
    .replaceAll(/\s*: \(in file\/uri [^)]*\)/g, '')
    .replaceAll(/: While executing File: data for INSERT was parsed from file/g, '')
    .replace(/( \([A-Z0-9_]+\))+$/, '')
  return new ServerError(Number(match[1]), match[3]!, `${message.replace(/\.+$/, '')}.`)
}
