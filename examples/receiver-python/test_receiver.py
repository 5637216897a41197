"""What a sender cannot see from outside. The rest is tested from outside, with
the same suite as receivers in other languages."""

import base64
import gzip
import hashlib
import hmac
import time
import unittest

from dedupe import Dedupe, State
from receiver import create_app

SECRET = "a secret for the tests"


KEY = b"k" * 24
SIGNING_KEY = "whsec_" + base64.b64encode(KEY).decode()


def client(handle, **options):
    return create_app(handle, secret=SECRET, **options).test_client()


def post(client, body, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers = {"Content-Type": "application/json", "X-Mixpeek-Secret": SECRET} | headers
    return client.post("/webhooks", data=body, headers=headers)


def sender(handle, **options):
    receiver = client(handle, **options)
    return lambda event_id: post(receiver, '{"event_id":"%s","event_type":"object.created"}' % event_id)


def sign(event_id, timestamp, body):
    signed = f"{event_id}.{timestamp}.{body}".encode()
    mac = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    return {"webhook_id": event_id, "webhook_timestamp": timestamp, "webhook_signature": "v1," + mac}


class ReceiverTest(unittest.TestCase):
    def test_an_event_that_failed_can_come_again(self):
        calls, errors = [], []

        def handle(event):
            calls.append(event["event_id"])
            if len(calls) == 1:
                raise OSError("the index is restarting")

        send = sender(handle, failed=lambda event, error: errors.append(f"{event['event_id']}: {error}"))
        first = send("evt_1")
        self.assertEqual(first.status_code, 503)
        self.assertEqual(first.headers["Retry-After"], "1")
        self.assertEqual(errors, ["evt_1: the index is restarting"])
        self.assertEqual(send("evt_1").status_code, 200)
        self.assertEqual(send("evt_1").status_code, 200)
        self.assertEqual(calls, ["evt_1", "evt_1"])

    def test_a_copy_of_an_event_in_flight_is_not_acknowledged(self):
        copies = []
        send = sender(lambda event: copies.append(send("evt_1")))
        self.assertEqual(send("evt_1").status_code, 200)
        self.assertEqual([copy.status_code for copy in copies], [409])
        self.assertEqual(copies[0].headers["Retry-After"], "1")

    def test_a_full_memory_refuses_rather_than_forgets(self):
        send = sender(lambda event: None, dedupe=Dedupe(maximum=1))
        self.assertEqual([send(e).status_code for e in ("evt_1", "evt_2", "evt_1")], [200, 503, 200])

    def test_events_are_forgotten_in_time(self):
        now = 0
        dedupe = Dedupe(keep=100, maximum=1, clock=lambda: now)
        self.assertEqual(dedupe.claim("evt_1"), State.CLAIMED)
        now = 1000
        self.assertEqual(dedupe.claim("evt_1"), State.IN_FLIGHT)
        dedupe.done("evt_1")
        now = 1099
        self.assertEqual(dedupe.claim("evt_1"), State.DONE)
        now = 1100
        self.assertEqual(dedupe.claim("evt_2"), State.CLAIMED)

    def test_what_is_no_event_in_json_is_turned_away(self):
        receiver = client(lambda event: self.fail("it was handled"))
        good = b'{"event_id":"evt_1","event_type":"a"}'
        for want, body, headers in (
            (415, good, {"Content_Type": "text/plain"}),
            (415, gzip.compress(good), {"Content_Encoding": "gzip"}),
            (400, b'{"event_id":"evt_1"}', {}),
            (400, b'{"event_id":"evt_1","event_type":""}', {}),
            (400, b'{"event_id":"not an id","event_type":"a"}', {}),
            (400, b"null", {}),
            (400, b'{"event_id":"evt_1","event_type":"\xff"}', {}),
            (400, b"[" * 100_000, {}),
        ):
            self.assertEqual(post(receiver, body, **headers).status_code, want, (body[:50], headers))
        self.assertEqual(receiver.options("/webhooks").status_code, 405)

    def test_signatures(self):
        receiver = client(lambda event: None, signing_key=SIGNING_KEY)
        body = '{"event_id":"evt_1","event_type":"a"}'
        now = int(time.time())
        good = sign("evt_1", str(now), body)
        other, mac = f"v1,{base64.b64encode(bytes(32)).decode()} ", good["webhook_signature"]
        for want, headers in (
            (200, good),
            (200, good | {"webhook_signature": other * 15 + mac}),
            (200, good | {"webhook_signature": other.strip() + ", " + mac}),  # folded by a proxy
            (401, good | {"webhook_signature": other * 16 + mac}),
            (401, sign("evt_1", f"+{now}", body)),
            (401, sign("evt_1", f"0{now}", body)),
            (400, sign("evt_2", str(now), body)),
        ):
            self.assertEqual(post(receiver, body, **headers).status_code, want, headers)

    def test_no_credentials_are_no_configuration(self):
        for options in ({}, {"signing_key": "whsec_c2hvcnQ="}, {"signing_key": "A" * 40}):
            with self.assertRaises(ValueError):
                create_app(lambda event: None, **options)


if __name__ == "__main__":
    unittest.main()
