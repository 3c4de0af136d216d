import { hash } from 'node:crypto'

/** The first 64 bits of the sha256 of `data`, as 16 hex digits. Two short copies: a longer cut would keep all 64 digits alive. */
export function shortHash(data: string | Uint8Array): string {
  const digits = hash('sha256', data, 'hex')
  return digits.slice(0, 8) + digits.slice(8, 16)
}
