import { HITS_RAW } from '@millrace/shared'
import { engagement, event, hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import type { Weather } from './machine.ts'
import type { ModelLog } from './model-log.ts'

const MINUTE = 60_000
/** Streams begin an hour before a month ends, so that days and months change under them. */
const FIRST_HIT = Date.UTC(2026, 10, 30, 23)

/** Raw records of one partition, written over `overMs` of the machines' time. Their own times go on by minutes. */
export function planTraffic(log: ModelLog, weather: Weather, partition: number, overMs: number): number {
  const count = 3 + weather.pick(6)
  let time = FIRST_HIT + weather.pick(30 * MINUTE)
  for (let offset = 0; offset < count; offset++) {
    time += weather.pick(weather.random() < 0.9 ? 8 * MINUTE : 45 * MINUTE)
    const value = rawRecord(weather, partition, offset, time)
    const timestamp = time
    const at = (overMs * (offset + weather.random())) / count
    weather.time.after(at, () => void log.write(HITS_RAW.name, partition, [{ value }], timestamp))
  }
  return count
}

/** A record of a few lines of few visitors, some late, some sent again. */
function rawRecord(weather: Weather, partition: number, offset: number, time: number): Buffer {
  if (weather.random() < 0.02) return Buffer.from('no line of ours\n')
  const lines = Array.from({ length: 1 + weather.pick(2) }, (_, index) => {
    const isAgain = offset > 2 && weather.random() < 0.1
    const id = hitId(partition * 100_000 + (isAgain ? (offset - 2) * 10 : offset * 10 + index))
    const delay = weather.random() < 0.3 ? weather.pick(weather.random() < 0.7 ? 14 * MINUTE : 80 * MINUTE) : 0
    const common = { url: `https://example.com/${weather.pick(3)}`, created_at: time - delay }
    const dice = weather.random()
    const hit =
      dice < 0.7
        ? pageView(weather.random() < 0.1 ? { ...common, referrer: 'https://news.example/' } : common)
        : dice < 0.85
          ? event({ ...common, interactive: weather.random() < 0.5 })
          : engagement({
              page_id: hitId(partition * 100_000 + 900 + weather.pick(3)),
              engaged_ms: weather.pick(20_000),
              created_at: time - delay,
            })
    return rawLine([{ ...hit, hit_id: id } as never], { sent_at: time, ip: `203.0.113.${weather.pick(3)}` })
  })
  return rawValue(lines)
}
