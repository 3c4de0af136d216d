/** Hits read from bytes are those of JSON.parse, or are left to it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KnownTexts } from './known-texts.ts'
import { readHits } from './read-hits.ts'
import { SENT_FIELDS, SentHit } from './sent-hit.ts'

function read(text: string, before = '', after = ''): SentHit[] | null {
  const bytes = Buffer.from(before + text + after)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return readHits(bytes, view, Buffer.byteLength(before), bytes.length - Buffer.byteLength(after))
}

/** null = no JSON, or no list of objects. */
function parse(text: string): SentHit[] | null {
  try {
    const list = JSON.parse(text) as unknown[]
    return list.map((hit) => SentHit.of(hit as Record<string, unknown>))
  } catch {
    return null
  }
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.constantFrom('"', '\\', '","hit_id":"', '{}', ']', '\u0000', '\u007f', '\u0080', 'a'.repeat(128), 'a'.repeat(129)),
)
const value = fc.oneof(
  { weight: 3, arbitrary: text },
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 1.5, 2.625, 123456789012345, 1234567890123456, 0.1, 1e21, 5e-324),
  fc.boolean(),
  fc.constant(null),
  fc.jsonValue(),
)
const hit = fc.dictionary(fc.constantFrom(...SENT_FIELDS, 'hit_id', 'page_id', 'unknown', ''), value).chain((fields) =>
  fc.record({ fields: fc.constant(fields), id: fc.option(fc.uuid()) }).map(({ fields: all, id }) => ({
    ...all,
    ...(id !== null && { hit_id: id }),
  })),
)

describe('readHits', () => {
  it('reads what JSON.parse reads, or leaves it', () => {
    let taken = 0
    fc.assert(
      fc.property(fc.array(hit, { minLength: 1, maxLength: 3 }), (hits) => {
        const json = JSON.stringify(hits)
        const found = read(json, '{"v":1,"hits":', '}')
        if (found !== null) taken++
        if (found !== null) expect(found).toEqual(parse(json))
      }),
      { numRuns: 500 },
    )
    expect(taken).toBeGreaterThan(50)
  })

  it('takes nothing that is no JSON', () => {
    const json = JSON.stringify([
      { hit_id: '01932c07-0000-7000-8000-00000000000a', title: 'Ä', pixel_ratio: 1.5, props: { a: [1, 'b'] } },
    ])
    const change = fc.record({
      at: fc.nat(json.length - 1),
      to: fc.constantFrom('', '"', ',', '0', '.', '}', ']', '\n', ':', '-', 'e', ' '),
    })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 2 }), (changes) => {
        let text = json
        for (const { at, to } of changes) text = text.slice(0, at) + to + text.slice(at + 1)
        const found = read(text)
        if (found !== null) expect(found).toEqual(parse(text))
      }),
      { numRuns: 1_000 },
    )
  })

  it.each([
    ['[{"title":"a"}]', true],
    ['[{"title":"ä","x":{"y":"}"}},{"type":"event"}]', true],
    ['[{"TITLE":"a","value":0.5,"interactive":false,"props":null}]', true],
    ['[]', false],
    ['[{}]', false],
    ['[1]', false],
    ['[{"title":"a"},]', false],
    ['[{"title":"\\u0061"}]', false],
    ['[{"title": "a"}]', false],
    ['[{"value":-1}]', false],
    ['[{"value":01}]', false],
    ['[{"value":1.}]', false],
    ['[{"value":1e3}]', false],
    ['[{"title":"a}]', false],
    ['[{"title":"a"}', false],
    ['[{"title":"a"}]]', false],
  ])('takes %s: %s', (json, isTaken) => {
    expect(read(json) !== null).toBe(isTaken)
    if (isTaken) expect(read(json)).toEqual(parse(json))
  })
})

describe('KnownTexts', () => {
  it('gives the text of the bytes, however many there were before', () => {
    const texts = new KnownTexts()
    const ascii = fc
      .array(fc.integer({ min: 32, max: 126 }), { maxLength: 140 })
      .map((codes) => String.fromCharCode(...codes))
    fc.assert(
      fc.property(fc.array(ascii, { maxLength: 30 }), (all) => {
        for (const one of [...all, ...all]) {
          const bytes = Buffer.from(`>${one}<`)
          const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
          expect(texts.textOf(bytes, view, 1, bytes.length - 1)).toBe(one)
        }
      }),
    )
  })
})
