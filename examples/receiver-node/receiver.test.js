// What a sender cannot see from outside. The rest is tested from outside, with
// the same suite as receivers in other languages.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import express from 'express'
import { Dedupe } from './dedupe.js'
import { receiver } from './receiver.js'

const secret = 'a secret for the tests'

const signingKey = 'whsec_' + Buffer.alloc(24, 'k').toString('base64')

async function listen(t, options) {
  const server = express().use('/webhooks', receiver({ secret, ...options })).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  return (id, { headers, body } = {}) => fetch(`http://127.0.0.1:${server.address().port}/webhooks`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Mixpeek-Secret': secret, ...headers },
    body: body ?? JSON.stringify({ event_id: id, event_type: 'object.created' }),
  })
}

function sign(id, timestamp, body) {
  const mac = createHmac('sha256', Buffer.alloc(24, 'k')).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${mac}` }
}

test('an event that failed can come again', async (t) => {
  const errors = []
  let calls = 0
  const send = await listen(t, {
    handle: async () => { if (++calls === 1) throw new Error('the index is restarting') },
    failed: (event, error) => errors.push(`${event.event_id}: ${error.message}`),
  })
  const first = await send('evt_1')
  assert.equal(first.status, 503)
  assert.equal(first.headers.get('Retry-After'), '1')
  assert.deepEqual(errors, ['evt_1: the index is restarting'])
  assert.equal((await send('evt_1')).status, 200)
  assert.equal((await send('evt_1')).status, 200)
  assert.equal(calls, 2)
})

test('a copy of an event in flight is not acknowledged', async (t) => {
  let copy
  const send = await listen(t, { handle: async () => { copy = await send('evt_1') } })
  assert.equal((await send('evt_1')).status, 200)
  assert.equal(copy.status, 409)
  assert.equal(copy.headers.get('Retry-After'), '1')
})

test('a full memory refuses rather than forgets', async (t) => {
  const send = await listen(t, { dedupe: new Dedupe({ max: 1 }), handle: async () => {} })
  assert.equal((await send('evt_1')).status, 200)
  assert.equal((await send('evt_2')).status, 503)
  assert.equal((await send('evt_1')).status, 200)
})

test('events are forgotten in time', () => {
  const dedupe = new Dedupe({ keep: 100, max: 1 })
  assert.equal(dedupe.claim('evt_1', 0), 'claimed')
  assert.equal(dedupe.claim('evt_1', 1000), 'in flight')
  dedupe.done('evt_1', 1000)
  assert.equal(dedupe.claim('evt_1', 1099), 'done')
  assert.equal(dedupe.claim('evt_2', 1100), 'claimed')
})

test('what is no event in JSON is turned away', async (t) => {
  const send = await listen(t, { handle: async () => assert.fail('it was handled') })
  for (const [want, request] of [
    [415, { headers: { 'Content-Type': 'text/plain' } }],
    [415, { headers: { 'Content-Encoding': 'gzip' }, body: gzipSync('{"event_id":"evt_1","event_type":"a"}') }],
    [400, { body: '{"event_id":"evt_1"}' }],
    [400, { body: '{"event_id":"evt_1","event_type":""}' }],
    [400, { body: '{"event_id":"not an id","event_type":"a"}' }],
    [400, { body: 'null' }],
    [400, { body: Buffer.from('{"event_id":"evt_1","event_type":"\xff"}', 'latin1') }],
  ]) assert.equal((await send('evt_1', request)).status, want, JSON.stringify(request))
})

test('signatures', async (t) => {
  const send = await listen(t, { signingKey, handle: async () => {} })
  const body = '{"event_id":"evt_1","event_type":"a"}'
  const now = Math.floor(Date.now() / 1000)
  const good = sign('evt_1', String(now), body)
  const other = `v1,${Buffer.alloc(32).toString('base64')} `
  const signed = (value) => ({ ...good, 'webhook-signature': value })
  for (const [want, headers] of [
    [200, good],
    [200, signed(other.repeat(15) + good['webhook-signature'])],
    [200, signed(other.trim() + ', ' + good['webhook-signature'])], // folded by a proxy
    [401, signed(other.repeat(16) + good['webhook-signature'])],
    [401, sign('evt_1', `+${now}`, body)],
    [401, sign('evt_1', `0${now}`, body)],
    [400, sign('evt_2', String(now), body)],
  ]) assert.equal((await send('evt_1', { headers, body })).status, want, JSON.stringify(headers))
})

test('no credentials are no configuration', () => {
  for (const options of [{}, { secret: '' }, { signingKey: 'whsec_c2hvcnQ=' }, { signingKey: 'A'.repeat(40) }]) {
    assert.throws(() => receiver({ ...options, handle: async () => {} }))
  }
})

test('the parameters of JSON mean nothing', async (t) => {
  const send = await listen(t, { handle: async () => {} })
  const types = { '; charset=utf8': 200, '; charset=us-ascii': 200, '; utf-8': 200, 'x': 415, ', text/plain': 415 }
  for (const [suffix, status] of Object.entries(types)) {
    const answer = await send('evt_type', { headers: { 'Content-Type': `application/json${suffix}` } })
    assert.equal(answer.status, status, suffix)
  }
})
