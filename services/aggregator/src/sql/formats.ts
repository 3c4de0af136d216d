const TYPES: Readonly<Record<string, string>> = {
  TabSeparated: 'text/tab-separated-values; charset=UTF-8',
  TSV: 'text/tab-separated-values; charset=UTF-8',
  TSVRaw: 'text/tab-separated-values; charset=UTF-8',
  TabSeparatedRaw: 'text/tab-separated-values; charset=UTF-8',
  TSVWithNames: 'text/tab-separated-values; charset=UTF-8',
  TabSeparatedWithNames: 'text/tab-separated-values; charset=UTF-8',
  TSVWithNamesAndTypes: 'text/tab-separated-values; charset=UTF-8',
  TabSeparatedWithNamesAndTypes: 'text/tab-separated-values; charset=UTF-8',
  CSV: 'text/csv; charset=UTF-8; header=absent',
  CSVWithNames: 'text/csv; charset=UTF-8; header=present',
  CSVWithNamesAndTypes: 'text/csv; charset=UTF-8; header=present',
  JSON: 'application/json; charset=UTF-8',
  JSONCompact: 'application/json; charset=UTF-8',
  JSONStrings: 'application/json; charset=UTF-8',
  JSONCompactStrings: 'application/json; charset=UTF-8',
  JSONColumns: 'application/json; charset=UTF-8',
  JSONColumnsWithMetadata: 'application/json; charset=UTF-8',
  JSONCompactColumns: 'application/json; charset=UTF-8',
  JSONObjectEachRow: 'application/json; charset=UTF-8',
  XML: 'application/xml; charset=UTF-8',
}

const LINES = ['JSONEachRow', 'JSONLines', 'JSONL', 'NDJSON', 'JSONStringsEachRow', 'JSONCompactEachRow']
const MORE_LINES = ['WithNames', 'WithNamesAndTypes'].flatMap((more) =>
  ['JSONCompactEachRow', 'JSONCompactStringsEachRow'].map((name) => name + more),
)
const PRETTY = ['Pretty', 'PrettyCompact', 'PrettySpace'].flatMap((name) =>
  ['', 'MonoBlock', 'NoEscapes', 'NoEscapesMonoBlock'].map((more) => name + more),
)
const TEXTS = ['Vertical', 'Values', 'Markdown', 'TSKV', 'SQLInsert', 'Null', 'LineAsString', 'PrettyJSONEachRow']
const BYTES = ['Native', 'RowBinary', 'RowBinaryWithNames', 'RowBinaryWithNamesAndTypes', 'RawBLOB', 'Parquet', 'Arrow']
const MORE_BYTES = ['ArrowStream', 'ORC', 'Avro', 'MsgPack', 'BSONEachRow', 'Npy']

/** Content types by format. Those that are missing read a schema or template from a file, or speak another protocol. */
export const FORMATS: ReadonlyMap<string, string> = new Map([
  ...Object.entries(TYPES),
  ...[...LINES, ...MORE_LINES, 'JSONCompactStringsEachRow', 'JSONEachRowWithProgress'].map(
    (name) => [name, 'application/x-ndjson; charset=UTF-8'] as const,
  ),
  ...[...PRETTY, ...TEXTS].map((name) => [name, 'text/plain; charset=UTF-8'] as const),
  ...[...BYTES, ...MORE_BYTES].map((name) => [name, 'application/octet-stream'] as const),
])
