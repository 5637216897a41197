import { createHmac, timingSafeEqual } from 'node:crypto'

const tolerance = 5 * 60 // seconds, either side
const maxSignatures = 16

// verifier returns a function that says whether a request carries a signature by
// this key, of this body, made about now (unix seconds): Standard Webhooks, v1.
export function verifier(signingKey) {
  const [, encoded = ''] = /^whsec_(.*)$/.exec(signingKey) ?? []
  const key = Buffer.from(encoded, 'base64')
  if (key.length < 24 || key.length > 64 || key.toString('base64') !== encoded) {
    throw new Error('a signing key is whsec_ and 24 to 64 bytes in base64')
  }
  return (headers, body, now) => {
    const { 'webhook-id': id = '', 'webhook-timestamp': timestamp = '', 'webhook-signature': signatures = '' } = headers
    // With a dot in the id, the beginning of a body could be moved into it.
    if (id === '' || id.includes('.') || !/^[1-9]\d{0,11}$/.test(timestamp)) return false
    if (Math.abs(now - Number(timestamp)) > tolerance) return false
    const want = Buffer.from(createHmac('sha256', key).update(`${id}.${timestamp}.`, 'latin1').update(body).digest('base64'))
    // "v1,… v1,…"; where proxies have folded header lines, with more commas.
    const tokens = signatures.split(/[ \t,]+/)
    return tokens.slice(1)
      .filter((_, i) => tokens[i] === 'v1')
      .slice(0, maxSignatures)
      .map((signature) => Buffer.from(signature))
      .some((got) => got.length === want.length && timingSafeEqual(got, want))
  }
}
