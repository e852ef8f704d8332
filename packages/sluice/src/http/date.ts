// Dates in fields (RFC 9110, sections 5.6.7 and 6.6.1).

let second = 0
let text = ''

/** Now, as a field value: `Sun, 06 Nov 1994 08:49:37 GMT`. Made once a second. */
export function httpDate(): string {
  const now = Math.floor(Date.now() / 1000)
  if (now !== second) {
    second = now
    text = new Date(now * 1000).toUTCString()
  }
  return text
}

const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec'
/** The form that is sent today, and the two that recipients still have to take: that of RFC 850, and C's asctime. */
const IMF = /^[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/
const RFC_850 = /^[A-Z][a-z]{5,8}, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/
const ASCTIME = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/

/** Milliseconds since 1970 of a date in a field; undefined for what is none. The day of the week is not looked at. */
export function parseHttpDate(text: string): number | undefined {
  let match = IMF.exec(text)
  if (match !== null) return timeOf(match[3], match[2], match[1], match.slice(4))
  match = ASCTIME.exec(text)
  if (match !== null) return timeOf(match[6], match[1], match[2], match.slice(3))
  match = RFC_850.exec(text)
  if (match === null) return undefined
  // Two digits are of this century, unless that is more than 50 years ahead.
  const thisYear = new Date().getUTCFullYear()
  const year = Math.floor(thisYear / 100) * 100 + Number(match[3])
  return timeOf(String(year > thisYear + 50 ? year - 100 : year), match[2], match[1], match.slice(4))
}

function timeOf(
  year: string | undefined,
  month: string = '',
  day: string | undefined,
  clock: readonly string[],
): number | undefined {
  const [hours, minutes, seconds] = clock.map(Number)
  const at = MONTHS.indexOf(month)
  const time = new Date(0)
  time.setUTCFullYear(Number(year), at / 3, Number(day))
  time.setUTCHours(hours ?? 0, minutes, seconds)
  // What was carried over, as of 31 February, was no date. A leap second is one, and is carried over.
  const isDate = at % 3 === 0 && time.getUTCMonth() === at / 3 && (hours ?? 24) < 24 && (minutes ?? 60) < 60
  return isDate && (seconds ?? 61) <= 60 ? time.getTime() : undefined
}
