/** Where a visitor is: codes of ISO 3166. '' = not known. */
export interface Place {
  readonly country: string
  readonly region: string
  readonly regionName: string
  readonly city: string
}

/** Not known. */
export const NOWHERE: Place = { country: '', region: '', regionName: '', city: '' }
