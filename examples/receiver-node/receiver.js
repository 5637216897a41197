import { createHash, timingSafeEqual } from 'node:crypto'
import express from 'express'
import { Dedupe } from './dedupe.js'
import { verifier } from './signature.js'

// receiver returns a router that takes webhooks and gives each event to
// handle(event) once. What strangers send is turned away as early as possible:
//
//   wrong secret                      401, before the body is read
//   not JSON, or compressed           415
//   more than maxBody bytes           413
//   wrong signature                   401
//   no event                          400
//   handled before                    200, and nothing else
//   being handled                     409: the sender has to come again, because
//                                     this attempt may still fail
//   handle threw                      503, and the event can come again
//
// secret is what X-Mixpeek-Secret has to hold, signingKey the key of Standard
// Webhooks signatures (whsec_…). With both, both are required. failed(event,
// error) hears of what handle threw.
export function receiver({ secret, signingKey, maxBody = 1 << 20, dedupe = new Dedupe(), handle, failed = () => {} }) {
  if (!secret && !signingKey) throw new Error('a secret or a signing key is required')
  const router = express.Router()
  if (secret) router.post('/', checkSecret(secret))
  router.post('/', checkType, express.raw({ type: () => true, limit: maxBody, inflate: false }))
  if (signingKey) router.post('/', checkSignature(verifier(signingKey)))
  router.post('/', decode, once(dedupe, handle, failed))
  router.all('/', (req, res) => res.set('Allow', 'POST').sendStatus(405))
  router.use((error, req, res, next) => { // too large, compressed, broken off
    if (res.headersSent) return next(error)
    res.sendStatus(error.status ?? 500)
  })
  return router
}

const digest = (value, encoding) => createHash('sha256').update(value, encoding).digest()

function checkSecret(secret) {
  const want = digest(secret, 'utf8')
  return (req, res, next) => {
    // Hashes have one length, as timingSafeEqual needs it. A header that comes
    // twice is joined to a value that is not the secret.
    const got = digest(req.headers['x-mixpeek-secret'] ?? '', 'latin1') // the bytes as they came
    if (!timingSafeEqual(got, want)) return res.sendStatus(401)
    next()
  }
}

function checkType(req, res, next) {
  // JSON has no parameters that mean anything, charset included (RFC 8259, section 11).
  const [type] = (req.headers['content-type'] ?? '').split(';')
  if (type.trim().toLowerCase() !== 'application/json') return res.sendStatus(415)
  next()
}

function checkSignature(verify) {
  return (req, res, next) => {
    if (!verify(req.headers, req.body, Date.now() / 1000)) return res.sendStatus(401)
    next()
  }
}

function decode(req, res, next) {
  try {
    res.locals.event = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(req.body))
  } catch {
    return res.sendStatus(400)
  }
  const { event_id: id, event_type: type } = res.locals.event ?? {}
  if (typeof type !== 'string' || type === '') return res.sendStatus(400)
  if (typeof id !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(id)) return res.sendStatus(400)
  // What is signed as the id is what the sender means, so both have to agree.
  const signed = req.headers['webhook-id']
  if (signed !== undefined && signed !== id) return res.sendStatus(400)
  next()
}

function once(dedupe, handle, failed) {
  return async (req, res) => {
    const { event } = res.locals
    const later = (status) => res.set('Retry-After', '1').sendStatus(status)
    switch (dedupe.claim(event.event_id)) {
      case 'done': return res.sendStatus(200)
      case 'in flight': return later(409)
      case 'full': return later(503)
    }
    try {
      await handle(event)
    } catch (error) {
      dedupe.release(event.event_id)
      failed(event, error)
      return later(503)
    }
    dedupe.done(event.event_id)
    res.sendStatus(200)
  }
}
