// A receiver of webhooks with Express. It speaks plain HTTP on loopback: put a
// proxy in front of it that ends TLS.
import { createServer } from 'node:http'
import express from 'express'
import { receiver } from './receiver.js'

const {
  RECEIVER_SECRET, RECEIVER_SIGNING_KEY, RECEIVER_NOTIFY,
  RECEIVER_ADDR = '127.0.0.1:8082', RECEIVER_READ_TIMEOUT = '10',
} = process.env

const log = (msg, fields) => console.log(JSON.stringify({ time: new Date(), msg, ...fields }))

// handle does what a service does with an event. If it throws, the sender tries
// again. A type that it does not know is no error: sending it again would change
// nothing.
async function handle(event) {
  const fields = { event_id: event.event_id, event_type: event.event_type }
  switch (event.event_type) {
    case 'object.created':
    case 'object.updated':
    case 'object.deleted':
      if (RECEIVER_NOTIFY) await notify(fields)
      log('handled', { ...fields, subject: event.subject?.id })
      break
    default:
      log('ignored', fields)
  }
}

// notify tells a service about an event: a search index, a queue.
async function notify(fields) {
  const response = await fetch(RECEIVER_NOTIFY, {
    method: 'POST',
    redirect: 'error', // followed, it would be a GET that tells nothing
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(fields),
    signal: AbortSignal.timeout(10_000),
  })
  await response.arrayBuffer() // so that the connection can be used again
  if (!response.ok) throw new Error(`the service answered ${response.status}`)
}

const app = express()
app.disable('x-powered-by')
app.use('/webhooks', receiver({
  secret: RECEIVER_SECRET,
  signingKey: RECEIVER_SIGNING_KEY,
  handle,
  failed: (event, error) => log('failed', { event_id: event.event_id, error: String(error) }),
}))

// A request has to be here within this time, body and all.
const requestTimeout = Number(RECEIVER_READ_TIMEOUT) * 1000
const server = createServer({ requestTimeout, connectionsCheckingInterval: requestTimeout / 10 }, app)
const [host, port] = RECEIVER_ADDR.split(':')
server.listen(Number(port), host, () => log('listening', { addr: `${host}:${server.address().port}` }))
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => server.close())
