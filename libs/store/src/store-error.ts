import { ClickHouseError } from '@clickhouse/client'
import { StoreRefused, StoreUnavailable } from './store.ts'

/** Errors of the client and of the embedded engine as those of the port. Texts that may quote data are left out. */
export function toStoreError(error: unknown): StoreUnavailable | StoreRefused {
  if (error instanceof StoreUnavailable || error instanceof StoreRefused) return error
  const { code, type, message } = error as { code?: unknown; type?: unknown; message?: unknown }
  if (error instanceof ClickHouseError || (typeof type === 'string' && /^[0-9]+$/.test(String(code)))) {
    return new StoreRefused(Number(code), String(type ?? 'UNKNOWN'), String(message))
  }
  const reason = typeof code === 'string' ? code : error instanceof Error ? error.name : 'unknown error'
  return new StoreUnavailable(`ClickHouse did not answer: ${reason}`)
}
