import collections
import enum
import threading
import time


class State(enum.Enum):
    CLAIMED = enum.auto()
    IN_FLIGHT = enum.auto()
    DONE = enum.auto()
    FULL = enum.auto()


class Dedupe:
    """Remembers which events are being handled and which have been.

    It is in memory, so it serves one process and forgets at a restart. For more,
    keep the same three steps in your database, and give claims a lease, so that
    those of a process that died come free.
    """

    def __init__(self, keep=7 * 24 * 3600, maximum=1_000_000, clock=time.monotonic):
        """keep is for how many seconds a handled event is remembered: longer than
        its sender goes on trying. maximum bounds how many are."""
        self.keep, self.maximum, self.clock = keep, maximum, clock
        self.lock = threading.Lock()
        self.in_flight = set()
        self.handled = collections.OrderedDict()  # event id: when it may be forgotten; the first is the oldest

    def claim(self, event_id):
        """Returns CLAIMED to the one who is to handle the event and then to call
        done or release; to others DONE or IN_FLIGHT. It says FULL rather than
        forget an event too early."""
        with self.lock:
            now = self.clock()
            while self.handled and next(iter(self.handled.values())) <= now:
                self.handled.popitem(last=False)
            if event_id in self.handled:
                return State.DONE
            if event_id in self.in_flight:
                return State.IN_FLIGHT
            if len(self.handled) + len(self.in_flight) >= self.maximum:
                return State.FULL
            self.in_flight.add(event_id)
            return State.CLAIMED

    def done(self, event_id):
        with self.lock:
            self.in_flight.discard(event_id)
            self.handled[event_id] = self.clock() + self.keep

    def release(self, event_id):
        """Lets the event come again."""
        with self.lock:
            self.in_flight.discard(event_id)
