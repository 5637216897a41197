"""A receiver of webhooks with Flask.

It speaks plain HTTP on loopback: put a proxy in front of it that ends TLS. The
server here is Werkzeug's, to have few parts; another WSGI server serves the same
application (receiver.create_app). Use one process with threads, or a Dedupe that
processes share.
"""

import contextlib
import json
import logging
import os
import signal
import socket
import threading
import urllib.request

from werkzeug.serving import WSGIRequestHandler, make_server

from receiver import create_app

NOTIFY = os.environ.get("RECEIVER_NOTIFY")
READ_TIMEOUT = float(os.environ.get("RECEIVER_READ_TIMEOUT", "10"))  # seconds


def log(msg, **fields):
    line = json.dumps({"msg": msg, **fields}) + "\n"
    print(line, end="", flush=True)  # in one piece: print writes what ends the line on its own


def handle(event):
    """Does what a service does with an event.

    If it raises, the sender tries again. A type that it does not know is no
    error: sending it again would change nothing.
    """
    fields = {"event_id": event["event_id"], "event_type": event["event_type"]}
    match event["event_type"]:
        case "object.created" | "object.updated" | "object.deleted":
            if NOTIFY:
                notify(fields)
            log("handled", **fields)
        case _:
            log("ignored", **fields)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows none: that would be a GET, which tells nothing."""

    def redirect_request(self, *_):
        return None


opener = urllib.request.build_opener(NoRedirects)


def notify(fields):
    """Tells a service about an event: a search index, a queue."""
    body, headers = json.dumps(fields).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(NOTIFY, body, headers)
    with opener.open(request, timeout=10):
        pass  # an answer that is no 2xx has been raised


class RequestHandler(WSGIRequestHandler):
    """Gives each request a limited time to arrive, body and all."""

    def setup(self):
        super().setup()
        self.deadline = threading.Timer(READ_TIMEOUT, self.stop_reading)
        self.deadline.daemon = True
        self.deadline.start()

    def stop_reading(self):
        # Who has sent all is not concerned: the answer can still be written.
        with contextlib.suppress(OSError):  # the connection is closed already
            self.connection.shutdown(socket.SHUT_RD)

    def finish(self):
        self.deadline.cancel()
        super().finish()


def main():
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    app = create_app(
        handle,
        secret=os.environ.get("RECEIVER_SECRET", ""),
        signing_key=os.environ.get("RECEIVER_SIGNING_KEY", ""),
        failed=lambda event, error: log("failed", event_id=event["event_id"], error=repr(error)),
    )
    host, _, port = os.environ.get("RECEIVER_ADDR", "127.0.0.1:8083").rpartition(":")
    server = make_server(host, int(port), app, threaded=True, request_handler=RequestHandler)

    def stop(*_):
        threading.Thread(target=server.shutdown).start()  # it waits for serve_forever

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log("listening", addr=f"{host}:{server.port}")
    server.serve_forever()


if __name__ == "__main__":
    main()
