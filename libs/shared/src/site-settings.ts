import { type Static, Type } from '@sinclair/typebox'

const flag = (fallback: boolean, description: string) => Type.Boolean({ default: fallback, description })
const texts = (maxItems: number, maxLength: number, description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength }), { default: [], maxItems, description })

/** What a site may be told, in the words of `millrace site set` and of /v1/sites. What is left out is the default. */
export const SiteSettings = Type.Object(
  {
    name: Type.String({ default: '', maxLength: 128, description: 'Name for people' }),
    hostnames: texts(100, 253, 'Hosts whose pages may send hits: `example.com`, `*.example.com`; none = any'),
    timezone: Type.String({
      default: '',
      maxLength: 64,
      description: "Its days begin and end in it; '' = the installation's",
    }),
    session_timeout_minutes: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 720,
      description: "Minutes without a hit that end a session; 0 = the installation's",
    }),
    retention_days: Type.Integer({
      default: -1,
      minimum: -1,
      maximum: 36_500,
      description: "Days that hits are kept; 0 = for ever, -1 = the installation's",
    }),
    respect_dnt: flag(true, 'Nothing is kept of a visitor who sends DNT: 1'),
    respect_gpc: flag(true, 'Nothing is kept of a visitor who sends Sec-GPC: 1'),
    mask_values: flag(
      true,
      'Values of properties and tags that look like an e-mail address or a card number are masked',
    ),
    user_ids: flag(false, "The sender's own opaque `user` ids tell visitors apart, over days"),
    ingest_key_required: flag(false, 'Hits need a key with the scope ingest'),
    include_bots: flag(false, 'Reports include bots unless a query says otherwise'),
    ignore_asset_paths: flag(false, 'Page views of files (images, scripts, fonts, archives) are left out'),
    keep_hashes: flag(false, 'The fragment of a url belongs to its path: for single-page apps that route by it'),
    query_parameters: texts(50, 64, 'Parameters of a url that are kept with its path'),
    campaign_aliases: flag(false, 'mtm_* and pk_* stand for utm_*'),
    disabled_bot_rules: texts(200, 64, 'Bot rules that are switched off, by their names in docs/reference/bots.md'),
  },
  { additionalProperties: false, $id: 'SiteSettings' },
)
export type SiteSettings = Static<typeof SiteSettings>

/** Settings of a site that says nothing. */
export const DEFAULT_SITE_SETTINGS: SiteSettings = Object.freeze(
  Object.fromEntries(Object.entries(SiteSettings.properties).map(([name, { default: value }]) => [name, value])),
) as SiteSettings
