/** Everything that the embedded log has to say of itself; `text` is for people. */
export const NOTICE_KINDS = [
  'lock_taken_over',
  'tail_cut',
  'segment_damaged',
  'write_failed',
  'segments_expired',
  'segments_compacted',
  'maintenance_failed',
] as const

/** A fact about the log's files: what a start repaired, what expired, what failed. Names files, never contents. */
export interface LogNotice {
  readonly kind: (typeof NOTICE_KINDS)[number]
  /** Missing when it is not about one topic. */
  readonly topic?: string
  readonly text: string
}
