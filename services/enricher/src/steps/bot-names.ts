/**
 * Programs that say who they are in the User-Agent header: HTTP libraries, bots, AI crawlers and assistants, browsers without a
 * person. Each is a rule that a site can switch off by its name.
 */
import type { BotReason } from '@millrace/shared'

/** A program that names itself. */
export interface NamedProgram {
  /** Name of the rule: the token in lower case, words joined by `_`. */
  readonly rule: string
  /** As the program writes itself. */
  readonly token: string
  readonly reason: Extract<BotReason, 'ua_bot' | 'ua_library' | 'ai_crawler' | 'ai_assistant' | 'headless'>
  /** Where its maker says how it names itself. */
  readonly source: string
}

type Names = readonly (readonly [token: string, source: string])[]

/** HTTP libraries and command line tools; they stand at the beginning of the header. */
const LIBRARIES: Names = [
  ['curl', 'https://curl.se/docs/manpage.html#-A'],
  ['libcurl', 'https://curl.se/libcurl/c/CURLOPT_USERAGENT.html'],
  ['Wget', 'https://www.gnu.org/software/wget/manual/wget.html#HTTP-Options'],
  ['Wget2', 'https://gitlab.com/gnuwget/wget2'],
  ['HTTPie', 'https://httpie.io/docs/cli/http-headers'],
  ['xh', 'https://github.com/ducaale/xh'],
  ['python-requests', 'https://requests.readthedocs.io/en/latest/api/#requests.utils.default_user_agent'],
  ['Python-urllib', 'https://docs.python.org/3/library/urllib.request.html#urllib.request.Request'],
  ['python-urllib3', 'https://urllib3.readthedocs.io/en/stable/'],
  ['python-httpx', 'https://www.python-httpx.org/'],
  ['Python', 'https://docs.aiohttp.org/en/stable/client_reference.html'],
  ['aiohttp', 'https://docs.aiohttp.org/en/stable/client_reference.html'],
  ['Scrapy', 'https://docs.scrapy.org/en/latest/topics/settings.html#user-agent'],
  ['Go-http-client', 'https://pkg.go.dev/net/http#Request'],
  ['go-resty', 'https://resty.dev/'],
  ['colly', 'https://go-colly.org/docs/'],
  ['fasthttp', 'https://pkg.go.dev/github.com/valyala/fasthttp#Client'],
  ['okhttp', 'https://square.github.io/okhttp/'],
  ['Java', 'https://docs.oracle.com/javase/8/docs/technotes/guides/net/proxies.html'],
  [
    'Java-http-client',
    'https://docs.oracle.com/en/java/javase/17/docs/api/java.net.http/java/net/http/HttpClient.html',
  ],
  ['Apache-HttpClient', 'https://hc.apache.org/httpcomponents-client-5.4.x/'],
  ['Apache-HttpAsyncClient', 'https://hc.apache.org/httpcomponents-asyncclient-4.1.x/'],
  ['Jakarta Commons-HttpClient', 'https://hc.apache.org/httpclient-legacy/'],
  ['Ktor http-client', 'https://ktor.io/docs/client-user-agent.html'],
  ['ktor-client', 'https://ktor.io/docs/client-user-agent.html'],
  ['Jersey', 'https://eclipse-ee4j.github.io/jersey/'],
  ['ReactorNetty', 'https://projectreactor.io/docs/netty/release/reference/http-client.html'],
  ['axios', 'https://github.com/axios/axios/blob/v1.x/lib/adapters/http.js'],
  ['node-fetch', 'https://github.com/node-fetch/node-fetch#default-headers'],
  ['node', 'https://nodejs.org/api/globals.html#fetch'],
  ['undici', 'https://undici.nodejs.org/'],
  ['got', 'https://github.com/sindresorhus/got'],
  ['superagent', 'https://ladjs.github.io/superagent/'],
  ['node-superagent', 'https://ladjs.github.io/superagent/'],
  ['Deno', 'https://docs.deno.com/runtime/'],
  ['Bun', 'https://bun.sh/docs/api/fetch'],
  ['libwww-perl', 'https://metacpan.org/pod/LWP::UserAgent#agent'],
  ['LWP', 'https://metacpan.org/pod/LWP::Simple'],
  ['Perl', 'https://metacpan.org/pod/HTTP::Tiny'],
  ['WWW-Mechanize', 'https://metacpan.org/pod/WWW::Mechanize'],
  ['Mechanize', 'https://github.com/sparklemotion/mechanize'],
  ['Ruby', 'https://docs.ruby-lang.org/en/master/Net/HTTP.html'],
  ['Faraday', 'https://lostisland.github.io/faraday/'],
  ['http.rb', 'https://github.com/httprb/http'],
  ['Typhoeus', 'https://github.com/typhoeus/typhoeus'],
  ['GuzzleHttp', 'https://docs.guzzlephp.org/en/stable/request-options.html#headers'],
  ['Symfony HttpClient', 'https://symfony.com/doc/current/http_client.html'],
  ['PHP', 'https://www.php.net/manual/en/filesystem.configuration.php#ini.user-agent'],
  ['PECL::HTTP', 'https://pecl.php.net/package/pecl_http'],
  ['Dart', 'https://api.dart.dev/dart-io/HttpClient/userAgent.html'],
  ['reqwest', 'https://docs.rs/reqwest/latest/reqwest/struct.ClientBuilder.html#method.user_agent'],
  ['ureq', 'https://docs.rs/ureq/latest/ureq/'],
  ['hyper', 'https://hyper.rs/'],
  ['Rust', 'https://docs.rs/surf/latest/surf/'],
  ['RestSharp', 'https://restsharp.dev/'],
  ['unirest-java', 'https://kong.github.io/unirest-java/'],
  ['PostmanRuntime', 'https://learning.postman.com/docs/sending-requests/create-requests/headers/'],
  ['insomnia', 'https://docs.insomnia.rest/'],
  ['Thunder Client', 'https://docs.thunderclient.com/'],
  ['k6', 'https://grafana.com/docs/k6/latest/using-k6/k6-options/reference/#user-agent'],
  ['ApacheBench', 'https://httpd.apache.org/docs/current/programs/ab.html'],
  ['autocannon', 'https://github.com/mcollina/autocannon'],
  ['WinHTTP', 'https://learn.microsoft.com/en-us/windows/win32/api/winhttp/nf-winhttp-winhttpopen'],
  [
    'WindowsPowerShell',
    'https://learn.microsoft.com/en-us/powershell/module/microsoft.powershell.utility/invoke-webrequest',
  ],
]

/** Where their makers say little: the public list of AI agents that robots.txt files are made from. */
const AI_LIST = 'https://github.com/ai-robots-txt/ai.robots.txt'

/** Collect texts to train or feed models, or index for answers, on their own account. */
const AI_CRAWLERS: Names = [
  ['GPTBot', 'https://platform.openai.com/docs/bots'],
  ['OAI-SearchBot', 'https://platform.openai.com/docs/bots'],
  ['OAI-AdsBot', 'https://platform.openai.com/docs/bots'],
  ['ClaudeBot', 'https://support.claude.com/en/articles/8896518'],
  ['Claude-SearchBot', 'https://support.claude.com/en/articles/8896518'],
  ['anthropic-ai', AI_LIST],
  ['Claude-Web', AI_LIST],
  ['PerplexityBot', 'https://docs.perplexity.ai/guides/bots'],
  ['Google-CloudVertexBot', 'https://developers.google.com/search/docs/crawling-indexing/google-common-crawlers'],
  ['GoogleOther', 'https://developers.google.com/search/docs/crawling-indexing/google-common-crawlers'],
  ['meta-externalagent', 'https://developers.facebook.com/docs/sharing/webmasters/web-crawlers/'],
  ['meta-webindexer', 'https://developers.facebook.com/docs/sharing/webmasters/web-crawlers/'],
  ['FacebookBot', 'https://developers.facebook.com/docs/sharing/bot/'],
  ['Bytespider', 'https://bytespider.bytedance.com/'],
  ['TikTokSpider', 'https://bytespider.bytedance.com/'],
  ['Amazonbot', 'https://developer.amazon.com/amazonbot'],
  ['Amzn-SearchBot', 'https://developer.amazon.com/amazonbot'],
  ['CCBot', 'https://commoncrawl.org/ccbot'],
  ['cohere-ai', AI_LIST],
  ['cohere-training-data-crawler', AI_LIST],
  ['Diffbot', 'https://docs.diffbot.com/docs/does-diffbot-use-a-user-agent'],
  ['AI2Bot', 'https://allenai.org/crawler'],
  ['omgili', 'https://webz.io/bot.html'],
  ['webzio-extended', 'https://webz.io/bot.html'],
  ['YouBot', AI_LIST],
  ['Timpibot', AI_LIST],
  ['ImagesiftBot', 'https://imagesift.com/about'],
  ['PanguBot', AI_LIST],
  ['Kangaroo Bot', 'https://kangaroollm.com.au/kangaroo-bot/'],
  ['iaskspider', AI_LIST],
  ['SBIntuitionsBot', 'https://www.sbintuitions.co.jp/bot/'],
  ['Cotoyogi', 'https://ds.rois.ac.jp/en_center8/en_crawler/'],
  ['ICC-Crawler', 'https://ucri.nict.go.jp/en/icccrawler.html'],
  ['img2dataset', 'https://github.com/rom1504/img2dataset'],
  ['FirecrawlAgent', 'https://docs.firecrawl.dev/'],
  ['Crawl4AI', 'https://docs.crawl4ai.com/'],
  ['LinerBot', AI_LIST],
  ['bedrockbot', 'https://docs.aws.amazon.com/bedrock/latest/userguide/webcrawl-data-source-connector.html'],
  ['Brightbot', 'https://brightdata.com/brightbot'],
  ['Thinkbot', AI_LIST],
  ['QualifiedBot', AI_LIST],
  ['DeepSeekBot', AI_LIST],
  ['AzureAI-SearchBot', AI_LIST],
  ['Cloudflare-AutoRAG', 'https://developers.cloudflare.com/autorag'],
  ['ApifyBot', AI_LIST],
  ['TavilyBot', AI_LIST],
  ['LinkupBot', 'https://linkup.so/bot'],
  ['ShapBot', 'https://docs.parallel.ai/resources/crawler'],
  ['ChatGLM-Spider', AI_LIST],
  ['TerraCotta', 'https://github.com/CeramicTeam/CeramicTerracotta'],
  ['Channel3Bot', 'https://trychannel3.com/channel3bot'],
]

/** Fetch a page because somebody asked an assistant something. */
const AI_ASSISTANTS: Names = [
  ['ChatGPT-User', 'https://platform.openai.com/docs/bots'],
  ['Claude-User', 'https://support.claude.com/en/articles/8896518'],
  ['Perplexity-User', 'https://docs.perplexity.ai/guides/bots'],
  ['MistralAI-User', 'https://docs.mistral.ai/robots/'],
  ['meta-externalfetcher', 'https://developers.facebook.com/docs/sharing/webmasters/web-crawlers/'],
  [
    'Gemini-Deep-Research',
    'https://developers.google.com/search/docs/crawling-indexing/google-user-triggered-fetchers',
  ],
  ['Google-NotebookLM', 'https://developers.google.com/search/docs/crawling-indexing/google-user-triggered-fetchers'],
  ['GoogleAgent-Mariner', 'https://developers.google.com/search/docs/crawling-indexing/google-user-triggered-fetchers'],
  ['Google-Agent', 'https://developers.google.com/search/docs/crawling-indexing/google-user-triggered-fetchers'],
  ['Amzn-User', 'https://developer.amazon.com/amazonbot'],
  ['NovaAct', AI_LIST],
  ['DuckAssistBot', 'https://duckduckgo.com/duckduckgo-help-pages/results/duckassistbot'],
  ['phindbot', AI_LIST],
  ['Devin/', AI_LIST],
  ['Manus-User', AI_LIST],
  ['Kagi-Fetcher', AI_LIST],
]

/** Search engines, previews of links, feeds, monitors, marketing: bots of every other kind. */
const BOTS: Names = [
  ['Googlebot', 'https://developers.google.com/search/docs/crawling-indexing/google-common-crawlers'],
  ['Storebot-Google', 'https://developers.google.com/search/docs/crawling-indexing/google-common-crawlers'],
  ['Google-InspectionTool', 'https://developers.google.com/search/docs/crawling-indexing/google-common-crawlers'],
  ['AdsBot-Google', 'https://developers.google.com/search/docs/crawling-indexing/google-special-case-crawlers'],
  ['Mediapartners-Google', 'https://developers.google.com/search/docs/crawling-indexing/google-special-case-crawlers'],
  ['APIs-Google', 'https://developers.google.com/search/docs/crawling-indexing/google-special-case-crawlers'],
  ['Google-Safety', 'https://developers.google.com/search/docs/crawling-indexing/google-special-case-crawlers'],
  ['FeedFetcher-Google', 'https://developers.google.com/search/docs/crawling-indexing/google-user-triggered-fetchers'],
  ['Google-Read-Aloud', 'https://developers.google.com/search/docs/crawling-indexing/google-user-triggered-fetchers'],
  [
    'Google-Site-Verification',
    'https://developers.google.com/search/docs/crawling-indexing/google-user-triggered-fetchers',
  ],
  ['GoogleImageProxy', 'https://support.google.com/mail/answer/145919'],
  ['Chrome-Lighthouse', 'https://developer.chrome.com/docs/lighthouse/overview'],
  ['bingbot', 'https://www.bing.com/webmasters/help/which-crawlers-does-bing-use-8c184ec0'],
  ['adidxbot', 'https://www.bing.com/webmasters/help/which-crawlers-does-bing-use-8c184ec0'],
  ['MicrosoftPreview', 'https://www.bing.com/webmasters/help/which-crawlers-does-bing-use-8c184ec0'],
  ['BingPreview', 'https://www.bing.com/webmasters/help/which-crawlers-does-bing-use-8c184ec0'],
  ['SkypeUriPreview', 'https://learn.microsoft.com/en-us/microsoftteams/'],
  ['YandexBot', 'https://yandex.com/support/webmaster/robot-workings/check-yandex-robots.html'],
  ['YandexImages', 'https://yandex.com/support/webmaster/robot-workings/check-yandex-robots.html'],
  ['YandexMobileBot', 'https://yandex.com/support/webmaster/robot-workings/check-yandex-robots.html'],
  ['YandexRenderResourcesBot', 'https://yandex.com/support/webmaster/robot-workings/check-yandex-robots.html'],
  ['YandexAdditionalBot', 'https://yandex.com/support/webmaster/robot-workings/check-yandex-robots.html'],
  ['Baiduspider', 'https://help.baidu.com/question?prod_id=99&class=476&id=2996'],
  ['DuckDuckBot', 'https://duckduckgo.com/duckduckgo-help-pages/results/duckduckbot'],
  ['Applebot', 'https://support.apple.com/en-us/119829'],
  ['Yahoo! Slurp', 'https://help.yahoo.com/kb/SLN22600.html'],
  ['SeznamBot', 'https://o-seznam.cz/napoveda/vyhledavani/en/seznambot-crawler/'],
  ['PetalBot', 'https://webmaster.petalsearch.com/site/petalbot'],
  ['Sogou web spider', 'https://help.sogou.com/spider.html'],
  ['Qwantbot', 'https://help.qwant.com/bot/'],
  ['MojeekBot', 'https://www.mojeek.com/bot.html'],
  ['Yeti/', 'https://naver.me/spd'],
  ['coccocbot-web', 'https://help.coccoc.com/en/search-engine'],
  ['Bravebot', 'https://search.brave.com/help/brave-search-crawler'],
  ['Kagibot', 'https://kagi.com/bot'],
  ['facebookexternalhit', 'https://developers.facebook.com/docs/sharing/webmasters/web-crawlers/'],
  ['facebookcatalog', 'https://developers.facebook.com/docs/sharing/webmasters/web-crawlers/'],
  ['Twitterbot', 'https://developer.x.com/en/docs/x-for-websites/cards/guides/getting-started'],
  ['LinkedInBot', 'https://www.linkedin.com/help/linkedin/answer/a521928'],
  ['Pinterestbot', 'https://help.pinterest.com/en/business/article/pinterest-crawler'],
  ['Slackbot', 'https://api.slack.com/robots'],
  ['Slackbot-LinkExpanding', 'https://api.slack.com/robots'],
  ['Slack-ImgProxy', 'https://api.slack.com/robots'],
  ['Discordbot', 'https://discord.com/developers/docs/reference'],
  ['TelegramBot', 'https://core.telegram.org/api/links'],
  ['redditbot', 'https://support.reddithelp.com/'],
  ['Mastodon/', 'https://docs.joinmastodon.org/spec/activitypub/'],
  ['Bluesky Cardyb', 'https://docs.bsky.app/'],
  ['Iframely', 'https://iframely.com/docs/about'],
  ['Embedly', 'https://docs.embed.ly/'],
  ['AhrefsBot', 'https://ahrefs.com/robot'],
  ['AhrefsSiteAudit', 'https://ahrefs.com/robot/site-audit'],
  ['SemrushBot', 'https://www.semrush.com/bot/'],
  ['SiteAuditBot', 'https://www.semrush.com/bot/'],
  ['MJ12bot', 'https://mj12bot.com/'],
  ['DotBot', 'https://moz.com/help/moz-procedures/crawlers/dotbot'],
  ['rogerbot', 'https://moz.com/help/moz-procedures/crawlers/rogerbot'],
  ['DataForSeoBot', 'https://dataforseo.com/dataforseo-bot'],
  ['BLEXBot', 'https://help.seranking.com/en/blex-crawler'],
  ['SERankingBacklinksBot', 'https://seranking.com/backlinks-crawler'],
  ['Screaming Frog SEO Spider', 'https://www.screamingfrog.co.uk/seo-spider/user-guide/configuration/#user-agent'],
  ['Barkrowler', 'https://babbar.tech/crawler'],
  ['serpstatbot', 'https://serpstatbot.com/'],
  ['archive.org_bot', 'https://archive.org/details/archive.org_bot'],
  ['ia_archiver', 'https://archive.org/'],
  ['heritrix', 'https://github.com/internetarchive/heritrix3'],
  ['UptimeRobot', 'https://uptimerobot.com/help/locations/'],
  ['Pingdom.com_bot', 'https://www.pingdom.com/'],
  ['PingdomPageSpeed', 'https://www.pingdom.com/'],
  ['StatusCake', 'https://www.statuscake.com/kb/'],
  ['Better Uptime Bot', 'https://betterstack.com/docs/uptime/'],
  ['Site24x7', 'https://www.site24x7.com/multi-location-web-site-monitoring.html'],
  ['DatadogSynthetics', 'https://docs.datadoghq.com/synthetics/guide/identify_synthetics_bots/'],
  ['NewRelicPinger', 'https://docs.newrelic.com/docs/synthetics/'],
  ['checkly', 'https://www.checklyhq.com/docs/'],
  ['GTmetrix', 'https://gtmetrix.com/faq.html'],
  ['PTST', 'https://docs.webpagetest.org/'],
  ['W3C_Validator', 'https://validator.w3.org/services'],
  ['W3C-checklink', 'https://validator.w3.org/services'],
  ['CensysInspect', 'https://docs.censys.com/docs/opt-out-of-data-collection'],
  ['Expanse', 'https://docs-cortex.paloaltonetworks.com/'],
  ['InternetMeasurement', 'https://internet-measurement.com/'],
  ['zgrab', 'https://github.com/zmap/zgrab2'],
  ['Nikto', 'https://github.com/sullo/nikto'],
  ['sqlmap', 'https://sqlmap.org/'],
  ['Nmap Scripting Engine', 'https://nmap.org/book/nse.html'],
  ['masscan', 'https://github.com/robertdavidgraham/masscan'],
  ['Nuclei/', 'https://docs.projectdiscovery.io/tools/nuclei/'],
]

/** Browsers that a program drives, as far as they say so. */
const HEADLESS: Names = [
  ['HeadlessChrome', 'https://developer.chrome.com/docs/chromium/headless'],
  ['PhantomJS', 'https://phantomjs.org/'],
  ['SlimerJS', 'https://slimerjs.org/'],
  ['HtmlUnit', 'https://htmlunit.sourceforge.io/'],
  ['jsdom', 'https://github.com/jsdom/jsdom#advanced-configuration'],
  ['happy-dom', 'https://github.com/capricorn86/happy-dom'],
  ['HappyDOM', 'https://github.com/capricorn86/happy-dom'],
  ['Zombie.js', 'https://github.com/assaf/zombie'],
  ['Splash/', 'https://splash.readthedocs.io/'],
  ['Cypress/', 'https://docs.cypress.io/app/references/configuration'],
  ['Playwright/', 'https://playwright.dev/docs/api/class-apirequest'],
  ['Puppeteer/', 'https://pptr.dev/'],
  ['Selenium/', 'https://www.selenium.dev/documentation/'],
  ['Prerender/', 'https://docs.prerender.io/docs/33-overview-of-prerender-crawlers'],
  ['Lightpanda', 'https://lightpanda.io/docs/'],
]

/** Rule name of a token: lower case, everything but letters and digits is `_`. */
const ruleOf = (token: string): string =>
  token
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replace(/_$/, '')

const named = (names: Names, reason: NamedProgram['reason']): NamedProgram[] =>
  names.map(([token, source]) => ({ rule: ruleOf(token), token: token.replace('/', ''), reason, source }))

/** Every program that is known by name; the order is that of the documentation. */
export const NAMED_PROGRAMS: readonly NamedProgram[] = [
  ...named(LIBRARIES, 'ua_library'),
  ...named(BOTS, 'ua_bot'),
  ...named(AI_CRAWLERS, 'ai_crawler'),
  ...named(AI_ASSISTANTS, 'ai_assistant'),
  ...named(HEADLESS, 'headless'),
]

const BY_TOKEN = new Map(NAMED_PROGRAMS.map((program) => [program.token.toLowerCase(), program]))
/** A token that ends with `/` is a word that a device may have in its name too: it counts with the slash alone. */
const escaped = (token: string): string => token.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
/** Longer tokens first, so that `python-requests` is not `Python`. */
const alternatives = (names: Names): string =>
  names
    .map(([token]) => escaped(token))
    .sort((a, b) => b.length - a.length)
    .join('|')

const LIBRARY = new RegExp(`^(?:${alternatives(LIBRARIES)})(?=[/ ;(:-]|$)`, 'i')
const ANYWHERE = new RegExp(
  `(?<![a-z0-9])(?:${alternatives([...AI_CRAWLERS, ...AI_ASSISTANTS, ...BOTS, ...HEADLESS])})(?![a-z])`,
  'i',
)
/** It names itself in the middle: `Mozilla/5.0 (Windows NT; …) WindowsPowerShell/5.1`, `PowerShell/7.4.1`. */
const POWERSHELL = /PowerShell\/\d/

/** The program that a User-Agent header names; null = none that is known by name. */
export function programOf(header: string): NamedProgram | null {
  const token = ANYWHERE.exec(header)?.[0] ?? LIBRARY.exec(header)?.[0]
  if (token !== undefined) return BY_TOKEN.get(token.toLowerCase().replace('/', '')) ?? null
  return POWERSHELL.test(header) ? BY_TOKEN.get('windowspowershell')! : null
}
