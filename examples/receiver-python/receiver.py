import hashlib
import hmac
import json
import re
import time

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException

from dedupe import Dedupe, State
from signature import Verifier

EVENT_ID = re.compile(r"[\x21-\x7e]{1,255}")


def create_app(handle, *, secret="", signing_key="", max_body=1 << 20, dedupe=None, failed=lambda event, error: None):
    """Returns an application that gives each event at /webhooks to handle(event) once.

    What strangers send is turned away as early as possible:

        wrong secret                401, before the body is read
        not JSON, or compressed     415
        more than max_body bytes    413
        wrong signature             401
        no event                    400
        handled before              200, and nothing else
        being handled               409: the sender has to come again, because
                                    this attempt may still fail
        handle raised               503, and the event can come again

    secret is what X-Mixpeek-Secret has to hold, signing_key the key of Standard
    Webhooks signatures (whsec_…). With both, both are required. failed(event,
    error) hears of what handle raised.
    """
    if not secret and not signing_key:
        raise ValueError("a secret or a signing key is required")
    verifier = Verifier(signing_key) if signing_key else None
    dedupe = dedupe or Dedupe()
    app = Flask(__name__)

    @app.post("/webhooks", provide_automatic_options=False)
    def receive():
        if secret:
            check_secret(secret)
        body = read_body(max_body)
        if verifier and not verifier.verify(request.headers, body, time.time()):
            abort(401)
        event = decode(body)
        return once(event)

    def once(event):
        match dedupe.claim(event["event_id"]):
            case State.DONE:
                return Response()
            case State.IN_FLIGHT:
                return later(409)
            case State.FULL:
                return later(503)
        try:
            handle(event)
        except Exception as error:
            dedupe.release(event["event_id"])
            failed(event, error)
            return later(503)
        dedupe.done(event["event_id"])
        return Response()

    @app.errorhandler(HTTPException)
    def plain(error):
        response = error.get_response()
        response.data, response.content_type = error.name, "text/plain"
        return response

    return app


def later(status):
    return Response(status=status, headers={"Retry-After": "1"})


def check_secret(secret):
    # A header that comes twice is joined to a value that is not the secret.
    got = request.headers.get("X-Mixpeek-Secret", "").encode("latin-1")  # the bytes as they came
    if not hmac.compare_digest(hashlib.sha256(got).digest(), hashlib.sha256(secret.encode()).digest()):
        abort(401)


def read_body(limit):
    if request.mimetype != "application/json" or request.headers.get("Content-Encoding"):
        abort(415)
    body = b""
    try:
        # One byte more than allowed tells what is too large, also where no
        # length is announced.
        while chunk := request.stream.read(limit + 1 - len(body)):
            body += chunk
    except OSError:
        abort(400)  # it broke off
    if len(body) > limit:
        abort(413)
    return body


def decode(body):
    try:
        event = json.loads(body.decode())
    except (ValueError, RecursionError):
        abort(400)
    if not isinstance(event, dict):
        abort(400)
    event_type, event_id = event.get("event_type"), event.get("event_id")
    if not isinstance(event_type, str) or not event_type:
        abort(400)
    if not isinstance(event_id, str) or not EVENT_ID.fullmatch(event_id):
        abort(400)
    # What is signed as the id is what the sender means, so both have to agree.
    if request.headers.get("webhook-id", event_id) != event_id:
        abort(400)
    return event
