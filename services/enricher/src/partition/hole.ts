/** Raw records are missing. Nothing goes on by itself, or the missing hits would be lost without a word. */
export class Hole extends Error {
  override readonly name = 'Hole'

  readonly wanted: number
  readonly found: number

  /** `wanted`: the raw offset to go on with; `found`: the first that is there. */
  constructor(partition: number, wanted: number, found: number) {
    super(
      `hits.raw-${partition}: the next record to enrich is ${wanted}, but the log goes on at ${found}: ` +
        `${found - wanted} records are missing. To go on without them: millrace resume --accept-gap`,
    )
    this.wanted = wanted
    this.found = found
  }
}
