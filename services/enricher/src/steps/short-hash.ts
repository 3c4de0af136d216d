import { hash } from 'node:crypto'
import { Hash64 } from '@millrace/shared'

/** The first 64 bits of the sha256 of `data`. */
export function shortHash(data: string | Uint8Array): Hash64 {
  return Hash64.of(hash('sha256', data, 'hex').slice(0, 16))
}
