import { Type } from '@sinclair/typebox'
import { allOf } from '../statement.ts'
import type { NamedReport } from './named-report.ts'
import { chosenHits, page, select } from './scope.ts'

/** The tags that page views and events carry. The values of one are a query by `tags.NAME`. */
export const tagKeys: NamedReport = {
  fields: Type.Object({}),
  async answer(_, scope) {
    const rows = await select(
      scope,
      (
        binder,
      ) => `SELECT tag, toFloat64(countIf(type = 'page_view')) AS page_views, toFloat64(countIf(type = 'event')) AS events,
  toFloat64(uniqExact(visitor_id)) AS visitors, toFloat64(uniqExact(tags[tag])) AS tag_values
FROM millrace.hits
ARRAY JOIN mapKeys(tags) AS tag
WHERE ${allOf(chosenHits(scope.question, binder))}
GROUP BY tag
ORDER BY page_views DESC, tag
${page(scope, binder)}`,
    )
    return { rows }
  },
}
