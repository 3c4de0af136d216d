import { expect, test } from 'vitest'
import { decodeEnriched, type EnrichedRecord, encodeEnriched } from './enriched-record.ts'

const record: EnrichedRecord = {
  schema: 1,
  prev: -1,
  from: -1,
  srcFrom: 0,
  srcTo: 17,
  streamTime: 1795219200123,
  rows: 2,
  hitRows: { 202610: 1, 202611: 1 },
  sessionRows: { 202611: 1 },
  build: '0.1.0',
  geo: '',
  config: -1,
  hits: Buffer.from('hits'),
  sessions: Buffer.from('sessions'),
}

test('it decodes what it encoded', () => {
  const stored = encodeEnriched(record)
  expect(decodeEnriched(stored)).toEqual(record)
  expect(stored.timestamp).toBe(record.streamTime)
})

test.each(['prev', 'src_to', 'stream_time'])('it refuses a record whose header %s is missing or no number', (name) => {
  const stored = encodeEnriched(record)
  expect(() => decodeEnriched({ ...stored, headers: { ...stored.headers, [name]: Buffer.from('x') } })).toThrow(name)
  const { [name]: _, ...rest } = stored.headers
  expect(() => decodeEnriched({ ...stored, headers: rest })).toThrow(name)
})
