/** What a person who starts Millrace wants to know next. */
export function welcome(url: string, places: string, key: string): string {
  const bearer = key ? ` \\\n    -H "authorization: Bearer $MILLRACE_ADMIN_KEY"` : ''
  return `
Millrace is ready on ${url}   (${places})

  send a page view:
    curl ${url}/v1/hits -H 'content-type: application/json' \\
      -d '{"url": "https://example.com/pricing", "title": "Pricing"}'

  read the report a second later:
    curl ${url}/v1/query -H 'content-type: application/json'${bearer} \\
      -d '{"period": "today", "include_bots": true, "metrics": ["visitors", "page_views"], "dimensions": ["path"]}'

  add a site of your own:
    millrace site add blog --timezone Europe/Vienna

  all of the API ${url}/docs   health ${url}/health   metrics ${url}/metrics   stop with Ctrl+C
`
}
