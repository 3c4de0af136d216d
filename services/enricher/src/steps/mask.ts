/** What stands where a value was. */
const MASKED_EMAIL = '[email]'
export const MASKED_CARD = '[card]'

const EMAIL = /[\p{L}\p{N}._%+-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,63}/gu
/** Digits in one piece, or in groups as cards print them. */
const CARD = /(?<!\d)(?<!\d\.)(?:\d[ -]?){11,18}\d(?!\d)(?!\.\d)/g

/** Issuers of cards by their first digits, and how many digits theirs have (ISO/IEC 7812, the issuers' public ranges). */
const ISSUERS: readonly (readonly [start: RegExp, lengths: readonly number[]])[] = [
  [/^4/, [13, 16, 19]],
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  [/^3[47]/, [15]],
  [/^3(?:0[0-5]|[689])/, [14]],
  [/^(?:6011|64[4-9]|65)/, [16, 19]],
  [/^35(?:2[89]|[3-8])/, [16]],
  [/^62/, [16, 17, 18, 19]],
  [/^(?:5018|5020|5038|5893|6304|6759|676[1-3])/, [12, 13, 14, 15, 16, 17, 18, 19]],
]

/** The check digit of ISO/IEC 7812 (Luhn). */
function isLuhn(digits: string): boolean {
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48
    const value = i % 2 === 1 ? digit * 2 : digit
    sum += value > 9 ? value - 9 : value
  }
  return sum % 10 === 0
}

/** Whether digits are those of a card: an issuer's start and length, and the right check digit. */
export function isCardNumber(digits: string): boolean {
  return ISSUERS.some(([start, lengths]) => lengths.includes(digits.length) && start.test(digits)) && isLuhn(digits)
}

const maskCard = (text: string): string => (isCardNumber(text.replaceAll(/[ -]/g, '')) ? MASKED_CARD : text)

/** Twelve digits or more are worth a look: cheaper than the expression on every text. */
function hasManyDigits(text: string): boolean {
  if (text.length < 12) return false
  let digits = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 48 && code <= 57 && ++digits === 12) return true
  }
  return false
}

/** A text whose e-mail addresses and card numbers are masked; the rest of it stays. */
export function maskText(text: string): string {
  const plain = text.includes('@') ? text.replace(EMAIL, MASKED_EMAIL) : text
  return hasManyDigits(plain) ? plain.replace(CARD, maskCard) : plain
}
