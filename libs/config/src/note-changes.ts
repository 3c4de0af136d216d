import { DEFAULT_SITE_SETTINGS, type SiteSettings } from '@millrace/shared'

/** What a change of settings leaves as it is, and what to do about it, in sentences for people. */
export function noteChanges(
  site: string,
  before: Partial<SiteSettings>,
  after: Partial<SiteSettings>,
): readonly string[] {
  const value = (settings: Partial<SiteSettings>, name: keyof SiteSettings) =>
    settings[name] ?? DEFAULT_SITE_SETTINGS[name]
  const changed = (name: keyof SiteSettings): boolean =>
    JSON.stringify(value(before, name)) !== JSON.stringify(value(after, name))
  const zone = (settings: Partial<SiteSettings>): string => settings.timezone || "the installation's time zone"
  const notes: string[] = []
  if (changed('timezone')) {
    notes.push(
      `Hits from now on belong to days of ${zone(after)}. What is stored already keeps its days of ${zone(before)}: reports by day mix both around the change until \`millrace rebuild --site ${site}\` has moved the closed days.`,
    )
  }
  if (changed('session_timeout_minutes')) {
    notes.push(
      'Sessions of hits from now on end by the new timeout; sessions that are stored already stay as they are.',
    )
  }
  if (changed('retention_days')) {
    notes.push(
      `Reports show what is not older than that from now on; it is deleted from disk by \`millrace rebuild --site ${site}\`.`,
    )
  }
  const privacy = ['respect_dnt', 'respect_gpc', 'mask_values', 'user_ids', 'ignore_asset_paths'] as const
  if (privacy.some(changed)) notes.push('Hits from now on are treated so; what is stored already stays as it is.')
  return notes
}
