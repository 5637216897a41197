import base64
import binascii
import hashlib
import hmac
import re

TOLERANCE = 5 * 60  # seconds, either side
MAX_SIGNATURES = 16
TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}")


class Verifier:
    """Checks signatures of the Standard Webhooks, v1, with one key."""

    def __init__(self, signing_key):
        prefix, _, encoded = signing_key.partition("_")
        try:
            self.key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            self.key = b""
        if prefix != "whsec" or not 24 <= len(self.key) <= 64:
            raise ValueError("a signing key is whsec_ and 24 to 64 bytes in base64")

    def verify(self, headers, body, now):
        """Says whether a request carries a signature by the key, of this body,
        made about now (unix seconds)."""
        event_id = headers.get("webhook-id", "")
        timestamp = headers.get("webhook-timestamp", "")
        # With a dot in the id, the beginning of a body could be moved into it.
        if not event_id or "." in event_id or not TIMESTAMP.fullmatch(timestamp):
            return False
        if abs(now - int(timestamp)) > TOLERANCE:
            return False
        signed = f"{event_id}.{timestamp}.".encode("latin-1") + body
        want = base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256))
        # "v1,… v1,…"; where proxies have folded header lines, with more commas.
        tokens = re.split(r"[ \t,]+", headers.get("webhook-signature", ""))
        signatures = [mac for version, mac in zip(tokens, tokens[1:]) if version == "v1"]
        return any(hmac.compare_digest(mac.encode("latin-1"), want) for mac in signatures[:MAX_SIGNATURES])
