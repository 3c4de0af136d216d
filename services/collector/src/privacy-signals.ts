import type { SiteSettings } from '@millrace/shared'

/** Why a hit was left out although nothing is wrong with it. API, and the label of a metric. */
export const IGNORE_REASONS = ['do_not_track', 'global_privacy_control', 'asset_path'] as const
export type IgnoreReason = (typeof IGNORE_REASONS)[number]

/** What a visitor's browser asks for. */
export interface PrivacySignals {
  /** DNT: 1 */
  readonly doNotTrack: boolean
  /** Sec-GPC: 1, the only value there is (Global Privacy Control, W3C). */
  readonly globalPrivacyControl: boolean
}

type SignalHeaders = Readonly<Record<string, string | string[] | undefined>>
export const NO_SIGNALS: PrivacySignals = { doNotTrack: false, globalPrivacyControl: false }

/** The signals of headers by their names in lower case. */
export function readSignals(headers: SignalHeaders): PrivacySignals {
  const dnt = headers.dnt
  const gpc = headers['sec-gpc']
  if (dnt === undefined && gpc === undefined) return NO_SIGNALS
  return { doNotTrack: dnt === '1', globalPrivacyControl: gpc === '1' }
}

/** Whether a site leaves a visitor with these signals out; null = it does not. */
export function honourSignals(signals: PrivacySignals, site: SiteSettings): IgnoreReason | null {
  if (signals.globalPrivacyControl && site.respect_gpc) return 'global_privacy_control'
  if (signals.doNotTrack && site.respect_dnt) return 'do_not_track'
  return null
}
