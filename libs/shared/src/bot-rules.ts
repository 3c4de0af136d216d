/**
 * Names of the bot rules, in the order in which they are asked: what `disabled_bot_rules` of a site may name. The rules
 * themselves are the enricher's (services/enricher/src/steps/bots.ts); a test there compares the two.
 */
export const BOT_RULES: readonly string[] = `
  ua_missing curl libcurl wget wget2 httpie xh python_requests python_urllib python_urllib3 python_httpx python
  aiohttp scrapy go_http_client go_resty colly fasthttp okhttp java java_http_client apache_httpclient
  apache_httpasyncclient jakarta_commons_httpclient ktor_http_client ktor_client jersey reactornetty axios node_fetch
  node undici got superagent node_superagent deno bun libwww_perl lwp perl www_mechanize mechanize ruby faraday
  http_rb typhoeus guzzlehttp symfony_httpclient php pecl_http dart reqwest ureq hyper rust restsharp unirest_java
  postmanruntime insomnia thunder_client k6 apachebench autocannon winhttp windowspowershell googlebot storebot_google
  google_inspectiontool adsbot_google mediapartners_google apis_google google_safety feedfetcher_google
  google_read_aloud google_site_verification googleimageproxy chrome_lighthouse bingbot adidxbot microsoftpreview
  bingpreview skypeuripreview yandexbot yandeximages yandexmobilebot yandexrenderresourcesbot yandexadditionalbot
  baiduspider duckduckbot applebot yahoo_slurp seznambot petalbot sogou_web_spider qwantbot mojeekbot yeti
  coccocbot_web bravebot kagibot facebookexternalhit facebookcatalog twitterbot linkedinbot pinterestbot slackbot
  slackbot_linkexpanding slack_imgproxy discordbot telegrambot redditbot mastodon bluesky_cardyb iframely embedly
  ahrefsbot ahrefssiteaudit semrushbot siteauditbot mj12bot dotbot rogerbot dataforseobot blexbot
  serankingbacklinksbot screaming_frog_seo_spider barkrowler serpstatbot archive_org_bot ia_archiver heritrix
  uptimerobot pingdom_com_bot pingdompagespeed statuscake better_uptime_bot site24x7 datadogsynthetics newrelicpinger
  checkly gtmetrix ptst w3c_validator w3c_checklink censysinspect expanse internetmeasurement zgrab nikto sqlmap
  nmap_scripting_engine masscan nuclei gptbot oai_searchbot oai_adsbot claudebot claude_searchbot anthropic_ai
  claude_web perplexitybot google_cloudvertexbot googleother meta_externalagent meta_webindexer facebookbot bytespider
  tiktokspider amazonbot amzn_searchbot ccbot cohere_ai cohere_training_data_crawler diffbot ai2bot omgili
  webzio_extended youbot timpibot imagesiftbot pangubot kangaroo_bot iaskspider sbintuitionsbot cotoyogi icc_crawler
  img2dataset firecrawlagent crawl4ai linerbot bedrockbot brightbot thinkbot qualifiedbot deepseekbot
  azureai_searchbot cloudflare_autorag apifybot tavilybot linkupbot shapbot chatglm_spider terracotta channel3bot
  chatgpt_user claude_user perplexity_user mistralai_user meta_externalfetcher gemini_deep_research google_notebooklm
  googleagent_mariner google_agent amzn_user novaact duckassistbot phindbot devin manus_user kagi_fetcher
  headlesschrome phantomjs slimerjs htmlunit jsdom happy_dom happydom zombie_js splash cypress playwright puppeteer
  selenium prerender lightpanda isbot hints_headless ua_windows_11 ua_cut ua_placeholder ua_injection
  hints_other_platform hints_of_firefox hints_of_safari sec_purpose_prefetch purpose_prefetch x_moz_prefetch
  datacenter_ip referrer_spam referrer_injection request_rate
`
  .trim()
  .split(/\s+/)
