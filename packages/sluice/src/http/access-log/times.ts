// Times in access logs. What changes once a second is made once a second.

/** `000` to `999` */
const THOUSANDTHS: readonly string[] = Array.from({ length: 1000 }, (_, number) =>
  String(number).padStart(3, '0'),
)

/** `.000` to `.999` */
const DECIMALS: readonly string[] = THOUSANDTHS.map(digits => `.${digits}`)

/** Milliseconds with three decimals. By hand, because printing a number with decimals takes five times as long. */
export function decimal(milliseconds: number): string {
  const micros = Math.max(0, Math.round(milliseconds * 1000))
  const whole = Math.floor(micros / 1000)
  return `${whole}${DECIMALS[micros - whole * 1000]}`
}

let isoSecond = Number.NaN
let isoText = ''

/** `2026-11-24T14:54:18.123Z` */
export function isoTime(time: number): string {
  const second = Math.floor(time / 1000)
  if (second !== isoSecond) {
    isoSecond = second
    isoText = new Date(second * 1000).toISOString().slice(0, 20)
  }
  return `${isoText}${THOUSANDTHS[time - second * 1000]}Z`
}

let localSecond = Number.NaN
let logText = ''
let clockText = ''

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `24/Nov/2026:14:54:18 +0000`, in the zone of the process, as Apache and nginx have it. */
export function commonLogTime(time: number): string {
  makeLocal(time)
  return logText
}

/** `14:54:18`, in the zone of the process. */
export function clockTime(time: number): string {
  makeLocal(time)
  return clockText
}

function makeLocal(time: number): void {
  const second = Math.floor(time / 1000)
  if (second === localSecond) return
  localSecond = second
  const date = new Date(second * 1000)
  clockText = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  const minutes = -date.getTimezoneOffset()
  const zone = `${minutes < 0 ? '-' : '+'}${two(Math.abs(minutes) / 60)}${two(Math.abs(minutes) % 60)}`
  logText = `${two(date.getDate())}/${MONTHS[date.getMonth()]}/${date.getFullYear()}:${clockText} ${zone}`
}

function two(number: number): string {
  return String(Math.floor(number)).padStart(2, '0')
}
