import type { Store } from '@millrace/store'

/** Hits that one query looks at: bounds its memory. */
const PIECE_HITS = 4_000_000

/** In how many pieces the hits that a condition chooses are looked at, one query each. */
export async function piecesOf(store: Pick<Store, 'query'>, where: string): Promise<number> {
  const [size] = await store.query<{ n: string }>(`SELECT count() AS n FROM millrace.hits WHERE ${where}`)
  return Math.max(1, Math.ceil(Number(size!.n) / PIECE_HITS))
}
