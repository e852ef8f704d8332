// Media types by the ends of file names: those that websites are made of.

const UTF8 = '; charset=utf-8'

const types = new Map<string, string>([
  ['avif', 'image/avif'],
  ['bin', 'application/octet-stream'],
  ['bmp', 'image/bmp'],
  ['css', `text/css${UTF8}`],
  ['csv', `text/csv${UTF8}`],
  ['eot', 'application/vnd.ms-fontobject'],
  ['gif', 'image/gif'],
  ['gz', 'application/gzip'],
  ['htm', `text/html${UTF8}`],
  ['html', `text/html${UTF8}`],
  ['ico', 'image/x-icon'],
  ['ics', `text/calendar${UTF8}`],
  ['jpeg', 'image/jpeg'],
  ['jpg', 'image/jpeg'],
  ['js', `text/javascript${UTF8}`],
  ['json', 'application/json'],
  ['map', 'application/json'],
  ['md', `text/markdown${UTF8}`],
  ['mjs', `text/javascript${UTF8}`],
  ['mp3', 'audio/mpeg'],
  ['mp4', 'video/mp4'],
  ['oga', 'audio/ogg'],
  ['ogg', 'audio/ogg'],
  ['otf', 'font/otf'],
  ['pdf', 'application/pdf'],
  ['png', 'image/png'],
  ['svg', 'image/svg+xml'],
  ['tar', 'application/x-tar'],
  ['ttf', 'font/ttf'],
  ['txt', `text/plain${UTF8}`],
  ['wasm', 'application/wasm'],
  ['wav', 'audio/wav'],
  ['webm', 'video/webm'],
  ['webmanifest', 'application/manifest+json'],
  ['webp', 'image/webp'],
  ['woff', 'font/woff'],
  ['woff2', 'font/woff2'],
  ['xml', 'application/xml'],
  ['zip', 'application/zip'],
])

/** The type of a file by its name; `application/octet-stream` if the name does not tell. */
export function contentTypeOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const dot = name.lastIndexOf('.')
  // A name that only begins with a dot has no end of its own.
  const end = dot > 0 ? name.slice(dot + 1).toLowerCase() : ''
  return types.get(end) ?? 'application/octet-stream'
}
