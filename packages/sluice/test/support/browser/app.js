// What the page of the tests in a browser finds out; it sends that to the origin when it has all of it.

const id = new URLSearchParams(location.search).get('id')

/** Has the origin send the next piece of a stream, after this one has come. */
const next = (stream, end = '') => fetch(`/next?id=${stream}${end}`)

function protocols() {
  const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  return Object.fromEntries(
    entries.map(({ name, nextHopProtocol }) => [new URL(name).pathname, nextHopProtocol]),
  )
}

/** Each event comes before the next is sent. */
function events() {
  return new Promise((resolve, reject) => {
    const got = []
    const source = new EventSource(`/events?id=${id}-events`)
    source.onerror = () => reject(new Error(`the events broke off after ${got}`))
    source.onmessage = ({ data, lastEventId }) => {
      got.push(`${lastEventId} ${data}`)
      if (got.length < 4) return next(`${id}-events`)
      source.close()
      resolve(got)
    }
  })
}

/** Each piece comes before the next is sent. */
async function streaming() {
  const response = await fetch(`/events?id=${id}-pieces&type=text/plain`)
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  const got = []
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return got
    got.push(decoder.decode(value))
    await next(`${id}-pieces`, got.length === 4 ? '&end' : '')
  }
}

/** A fetch that is given up: the origin hears of it. */
async function aborted() {
  const controller = new AbortController()
  const response = await fetch(`/begin?id=${id}-aborted`, { signal: controller.signal })
  const reader = response.body.getReader()
  await reader.read()
  controller.abort()
  return reader.read().then(
    () => 'it went on',
    ({ name }) => name,
  )
}

async function upload(body, options = {}) {
  const response = await fetch('/hash', { method: 'POST', body, ...options })
  const { bytes, sha256 } = await response.json()
  return { bytes, sha256 }
}

/** A body that is made while it is sent: browsers do that over HTTP/2 alone. */
function streamedUpload() {
  let count = 0
  const stream = new ReadableStream({
    pull(controller) {
      if (count++ < 50) controller.enqueue(new TextEncoder().encode('a piece of it '))
      else controller.close()
    },
  })
  return upload(stream, { duplex: 'half' }).catch(error => error.name)
}

/** What comes on a WebSocket for each message, and how it was closed. */
function webSocket(path, messages) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + path)
    socket.binaryType = 'arraybuffer'
    const got = []
    const send = () => {
      const message = messages[got.length]
      if (message === undefined) socket.close(4001, 'enough')
      else socket.send(message)
    }
    socket.onopen = send
    socket.onerror = () => reject(new Error(`the WebSocket ${path} failed`))
    socket.onmessage = ({ data }) => {
      got.push(typeof data === 'string' ? data : data.byteLength)
      send()
    }
    socket.onclose = ({ code, reason, wasClean }) =>
      resolve({ got, code, reason, wasClean, extensions: socket.extensions })
  })
}

async function findings() {
  const image = document.querySelector('#image')
  await image.decode()
  return {
    styled: getComputedStyle(document.querySelector('#styled')).color,
    image: [image.naturalWidth, image.naturalHeight],
    fetched: await (await fetch('/status?code=404&body=fetched')).text(),
    many: (
      await Promise.all(
        Array.from({ length: 30 }, async (_, index) => {
          const response = await fetch(`/bytes?n=${100_000 + index}`)
          return (await response.arrayBuffer()).byteLength
        }),
      )
    ).reduce((sum, count) => sum + count, 0),
    events: await events(),
    streaming: await streaming(),
    aborted: await aborted(),
    upload: await upload(new Blob([new Uint8Array(2_000_000).fill(7)])),
    streamedUpload: await streamedUpload(),
    echo: await webSocket('/ws/echo?deflate', ['text', new Uint8Array(100_000), '']),
    closed: await webSocket('/ws/close?code=4002&reason=go', ['now', 'never']),
    via: (await webSocket('/ws/via', ['who are you'])).got,
    protocols: protocols(),
  }
}

findings()
  .catch(error => ({ failed: String(error) }))
  .then(found => fetch(`/report?id=${id}`, { method: 'POST', body: JSON.stringify(found) }))
