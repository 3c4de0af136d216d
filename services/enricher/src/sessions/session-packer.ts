import { Hash64, Uuid } from '@millrace/shared'
import type { ColdFile } from '../cold/cold-folder.ts'
import { OnePerValue } from '../steps/one-per-value.ts'
import type { Visit } from '../visit.ts'
import { Session } from './session.ts'

/** A text has its length in bytes before it. */
const LENGTH_BYTES = 4
/** So much is read at first: most texts are shorter. */
const READ_BYTES = 2_048

/** A left page as text: hit_id, path, time of its page view, depth. */
type LeftPageText = readonly [id: string, path: string, time: number, depth: number]

/** A session as JSON gives it back. */
type SessionText = Omit<Session, Ids> & {
  readonly [Id in Ids]: string
} & { readonly left: readonly LeftPageText[] }
type Ids = 'visitorId' | 'sessionId' | 'exitPageId'

/** Sessions as text, and back. Values that sessions share are shared again. */
export class SessionPacker {
  readonly #shared: { readonly [Part in keyof Visit]: OnePerValue<Visit[Part]> } = {
    arrival: new OnePerValue(),
    place: new OnePerValue(),
    agent: new OnePerValue(),
    language: new OnePerValue(),
    screen: new OnePerValue(),
  }
  #buffer = Buffer.allocUnsafe(READ_BYTES)

  /** The texts behind one another, and where each of them begins. */
  pack(sessions: readonly Session[]): { bytes: Buffer; at: number[] } {
    const texts = sessions.map(textOf)
    const bytes = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + LENGTH_BYTES + Buffer.byteLength(text), 0))
    const at: number[] = []
    let end = 0
    for (const text of texts) {
      at.push(end)
      const length = bytes.write(text, end + LENGTH_BYTES)
      bytes.writeUInt32LE(length, end)
      end += LENGTH_BYTES + length
    }
    return { bytes, at }
  }

  /** The session whose text begins there. @throws Error when it cannot be read */
  unpack(file: ColdFile, at: number): Session {
    const read = file.read(at, this.#buffer.subarray(0, READ_BYTES))
    const end = LENGTH_BYTES + this.#buffer.readUInt32LE(0)
    if (end > read) {
      if (end > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(end)
      file.read(at, this.#buffer.subarray(0, end))
    }
    return this.#sessionOf(this.#buffer.toString('utf8', LENGTH_BYTES, end))
  }

  #sessionOf(text: string): Session {
    const { visitorId, sessionId, exitPageId, left, ...rest }: SessionText = JSON.parse(text)
    const ids = { visitorId: Hash64.of(visitorId), sessionId: Hash64.of(sessionId) }
    const session = new Session({ ...rest, ...ids }, rest.start)
    Object.assign(session, rest)
    session.exitPageId.copy(Uuid.of(exitPageId))
    session.arrival = this.#shared.arrival.of(rest.arrival)
    session.place = this.#shared.place.of(rest.place)
    session.agent = this.#shared.agent.of(rest.agent)
    session.language = this.#shared.language.of(rest.language)
    session.screen = this.#shared.screen.of(rest.screen)
    for (const [id, path, time, depth] of left) session.remember(Uuid.of(id), path, time, depth)
    return session
  }
}

/** Its fields, and what lies behind its accessors. */
function textOf(session: Session): string {
  const { start, end, entryAt, exitAt, exitSignalAt } = session
  const left = Array.from(session.leftPages(), (page) => [page, page.path, session.viewedAt(page), page.depth])
  return JSON.stringify({ ...session, next: null, firstIn: null, start, end, entryAt, exitAt, exitSignalAt, left })
}
