import { FLAG, inQuery, json, listOf, named, type Operations, objectOf, TEXT, TIME } from '@millrace/server'
import { COMPLETE_UNTIL } from '../query/operations.ts'

const COUNT = { type: 'integer' } as const
const counts = (...names: string[]) => Object.fromEntries(names.map((name) => [name, COUNT]))

const LEDGER = named(
  'Ledger',
  objectOf(
    {
      query: objectOf({ sites: { ...listOf(TEXT), description: 'Empty = all' }, from: TIME, to: TIME }),
      rows: listOf(
        objectOf({
          hour: TIME,
          verdict: { enum: ['keep', 'duplicate', 'dead'] },
          reason: { type: 'string', description: "A verdict's; of a kept hit why it is taken for a bot's" },
          is_bot: FLAG,
          hits: COUNT,
        }),
      ),
      totals: objectOf(counts('hits', 'kept', 'bots', 'duplicate', 'dead')),
      balance: objectOf({
        balanced: FLAG,
        partitions: listOf(
          objectOf(
            counts(
              ...['kp', 'from', 'to', 'records', 'rows', 'missing_records', 'missing_rows', 'repeated_rows'],
              'waiting_records',
            ),
          ),
        ),
      }),
      complete_until: COMPLETE_UNTIL,
    },
    ['balance'],
  ),
)

/** What the route of the ledger does. */
export const LEDGER_OPERATIONS: Operations = {
  'GET /v1/ledger': {
    tag: 'Reports',
    summary: 'What became of every hit that the log took, and whether that adds up',
    parameters: [
      inQuery('site', "Id of a site; the key's sites if left out", TEXT),
      inQuery(
        'from',
        'A whole hour of receipt: RFC 3339, or epoch milliseconds; 48 hours before `to` if left out',
        TEXT,
      ),
      inQuery('to', 'The hour behind the last one; now if left out', TEXT),
      inQuery('balance', 'false: leave out `balance`', { enum: ['true', 'false', '1', '0'] }),
    ],
    answers: { 200: { description: 'The ledger', content: json(LEDGER) } },
    errors: ['query_invalid', 'store_unavailable', 'query_too_large'],
  },
}
