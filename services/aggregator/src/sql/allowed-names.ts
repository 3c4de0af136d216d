/** The stable views of database `analytics`. */
const VIEWS: readonly string[] = ['hits', 'sessions', 'page_views', 'events', 'ledger']

/** Tables about the engine that clients ask for; `tables`, `columns` and `databases` show `analytics` only (see limits.ts). */
const SYSTEM_TABLES: readonly string[] = [
  ...['one', 'numbers', 'numbers_mt', 'zeros', 'settings', 'functions', 'table_functions', 'formats', 'keywords'],
  ...['data_type_families', 'aggregate_function_combinators', 'time_zones', 'databases', 'tables', 'columns'],
]

/** They make rows of their arguments and read nothing. */
const TABLE_FUNCTIONS = [
  'numbers',
  'numbers_mt',
  'zeros',
  'zeros_mt',
  'generate_series',
  'generateseries',
  'values',
  'null',
]

/** Whether a table function may be used. */
export const isTableFunction = (name: string): boolean => TABLE_FUNCTIONS.includes(name.toLowerCase())

/** As system.functions has them: a category that is not named here is refused, of `Other` only what is named below. */
const CATEGORIES: ReadonlySet<string> = new Set([
  ...['Aggregate Functions', 'Arithmetic', 'Arrays', 'Bit', 'Bitmap', 'Comparison', 'Conditional', 'Dates and Times'],
  ...['Distance', 'Encoding', 'Financial', 'Geo', 'Geo Polygon', 'Hash', 'IP Address', 'JSON', 'Logical', 'Map'],
  ...['Mathematical', 'Null', 'Nullable', 'Random Number', 'Rounding', 'String', 'String Replacement', 'String Search'],
  ...['String Splitting', 'Time Window', 'Tuple', 'Type Conversion', 'URL', 'UUID', 'Window Functions'],
])

const OTHERS: ReadonlySet<string> = new Set([
  ...[
    'bar',
    'byteSize',
    'countDigits',
    'currentDatabase',
    'currentSchemas',
    'currentUser',
    'digits',
    'errorCodeToName',
  ],
  ...['finalizeAggregation', 'formatReadableDecimalSize', 'formatReadableQuantity', 'formatReadableSize'],
  ...['formatReadableTimeDelta', 'getSizeOfEnumType', 'getSubcolumn', 'identity', 'ignore', 'initializeAggregation'],
  ...[
    'isConstant',
    'isDecimalOverflow',
    'materialize',
    'minSampleSizeContinuous',
    'minSampleSizeConversion',
    'neighbor',
  ],
  ...['normalizeQuery', 'parseReadableSize', 'parseReadableSizeOrNull', 'parseReadableSizeOrZero', 'parseTimeDelta'],
  ...[
    'rowNumberInAllBlocks',
    'rowNumberInBlock',
    'runningAccumulate',
    'runningDifference',
    'throwIf',
    'toColumnTypeName',
  ],
  ...['runningDifferenceStartingWithFirstValue', 'toTypeName', 'transform', 'variantElement', 'variantType', 'version'],
  // Of other categories: what the engine writes for CASE and for sets.
  ...['caseWithExpression', 'caseWithoutExpression', 'exists', 'grouping', 'tuple', 'array', 'arrayJoin'],
])

/** In an allowed category, but they take the name of a format, and with it the settings of its schema file. */
const DENIED: ReadonlySet<string> = new Set(['formatRow', 'formatRowNoNewline'])

/** A row of system.functions. */
interface FunctionRow {
  readonly name: string
  readonly alias_to: string
  readonly categories: string
  readonly is_aggregate: number
  readonly origin: string
}

/** What the engine knows, as far as a check has to know it. */
export interface Catalog {
  readonly functions: readonly FunctionRow[]
  readonly combinators: readonly string[]
  /** Names of types, which may stand before brackets too. */
  readonly types: readonly string[]
  readonly databases: readonly string[]
}

/** What a statement may name. */
export interface AllowedNames {
  isFunction(name: string): boolean
  isType(name: string): boolean
  /** Whether a dotted name begins with a database and leads to anything but a stable view or a harmless table. */
  leadsAway(name: string): boolean
}

/** The rules for one engine. */
export function allowedNames({ functions, combinators, types, databases }: Catalog): AllowedNames {
  const byName = new Map(functions.map((row) => [row.name, row]))
  const isAllowed = (row: FunctionRow | undefined): boolean =>
    row !== undefined &&
    row.origin === 'System' &&
    !DENIED.has(row.name) &&
    (OTHERS.has(row.name) ||
      (row.alias_to === '' ? CATEGORIES.has(row.categories) : isAllowed(byName.get(row.alias_to))))
  const denied = new Set(functions.filter((row) => !isAllowed(row)).map(({ name }) => name.toLowerCase()))
  const allowed = new Set(functions.filter(isAllowed).map(({ name }) => name.toLowerCase()))
  const aggregates = new Set(
    functions.filter((row) => row.is_aggregate && isAllowed(row)).map(({ name }) => name.toLowerCase()),
  )
  const isAggregate = (name: string): boolean =>
    aggregates.has(name) ||
    combinators.some((combinator) => {
      const suffix = combinator.toLowerCase()
      return name.length > suffix.length && name.endsWith(suffix) && isAggregate(name.slice(0, -suffix.length))
    })
  const typeNames = new Set(types.map((name) => name.toLowerCase()))
  return {
    // Names that differ in case only: refused if any of them is.
    isFunction(name) {
      const lower = name.toLowerCase()
      return !denied.has(lower) && (allowed.has(lower) || isAggregate(lower) || OTHERS.has(name))
    },
    isType: (name) => typeNames.has(name.toLowerCase()),
    leadsAway: (name) => leadsAway(name, databases),
  }
}

function leadsAway(name: string, databases: readonly string[]): boolean {
  if (/^_temporary/i.test(name)) return true
  const database = databases.find((known) => name.startsWith(`${known}.`))
  if (database === undefined) return false
  const [table = ''] = name.slice(database.length + 1).split('.')
  if (database === 'analytics') return !VIEWS.includes(table)
  return database !== 'system' || !SYSTEM_TABLES.includes(table)
}
