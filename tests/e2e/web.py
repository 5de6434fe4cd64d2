"""A browser as the daemon sees it: a cookie, a page token, an Origin; and the event stream."""

import http.client
import json
import re
import socket
import time

from harness import E2E, SECONDS, SLOW, wait_for

COOKIE = "eyes_scm_session"
TOKEN_HEADER = "X-Eyes-Scm-Token"


def web_port(world):
    """Where the daemon that runs now listens."""
    return int(wait_for(lambda: re.search(r"listening address=(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)", world.daemon.text()),
                        lambda: f"the port in the log\n{world.log()}")[1])


class Reply:
    def __init__(self, what, answer, body):
        self.what, self.status, self.headers, self.body = what, answer.status, answer.headers, body

    def __str__(self):
        return f"{self.what}: {self.status}\n{self.headers}{self.body[:3000].decode(errors='replace')}"

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise AssertionError(f"no JSON: {self}") from None

    @property
    def error(self):
        return self.json["error"]

    @property
    def code(self):
        return self.error["code"]


class Browser:
    def __init__(self, world, address="127.0.0.1"):
        self.world, self.address, self.port = world, address, web_port(world)
        self.host = f"localhost:{self.port}"
        self.origin = f"http://{self.host}"
        self.cookie = self.token = ""

    def headers(self, method, more):
        own = {"Host": self.host, "Cookie": self.cookie and f"other=1; {COOKIE}={self.cookie}", TOKEN_HEADER: self.token,
               "Origin": "" if method in ("GET", "HEAD") else self.origin, "Sec-Fetch-Site": "same-origin", **(more or {})}
        return {name: value for name, value in own.items() if value}

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30 * SLOW, source_address=(self.address, 0))

    def ask(self, method, path, body=None, headers=None, expect=None):
        """One request on a connection of its own. headers: more ones, or others; "" leaves one out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30 * SLOW,
                                                source_address=(self.address, 0))
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers(method, headers).items():
                connection.putheader(name, value)
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            if data is not None:
                connection.putheader("Content-Type", "application/json")
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            reply = Reply(f"{method} {path}", answer, answer.read())
        finally:
            connection.close()
        if expect is not None and reply.status != expect:
            raise AssertionError(f"expected {expect}\n{reply}\n{self.world.tail()}")
        return reply

    def api(self, method, path, body=None, expect=200, **more):
        return self.ask(method, "/api/v1/" + path, body, expect=expect, **more)

    def get(self, path, expect=200, **more):
        return self.api("GET", path, expect=expect, **more).json

    def post(self, path, body=None, expect=200, **more):
        return self.api("POST", path, {} if body is None else body, expect=expect, **more)

    def try_key(self, key, setup_code=None, expect=None, **more):
        body = {"key": key} if setup_code is None else {"key": key, "setup_code": setup_code}
        return self.api("POST", "session", body, expect=expect, **more)

    def sign_in(self, key=None, **more):
        reply = self.try_key(key or self.world.key, expect=200, **more)
        self.cookie = re.match(rf"{COOKIE}=([0-9a-f]+);", reply.headers["Set-Cookie"])[1]
        self.token = reply.json["token"]
        self.world.secrets |= {self.cookie, self.token}
        return reply

    def tab(self, key=None):
        """Another tab of this browser, signed in: it sends the cookie that is there, and has a page token of its own."""
        other = Browser(self.world, self.address)
        other.cookie = self.cookie
        other.sign_in(key)
        return other

    def is_signed_in(self):
        return self.api("GET", "session", expect=None).status == 200

    def moved(self):
        """The same browser, after a restart that changed the port."""
        self.port = web_port(self.world)
        self.host = f"localhost:{self.port}"
        self.origin = f"http://{self.host}"
        return self

    def wait_job(self, number, seconds=None):
        return wait_for(lambda: (job := self.get(f"jobs/{number}"))["state"] == "done" and job, "the job is done", seconds)


class Event:
    def __init__(self, lines):
        fields = dict(line.split(": ", 1) for line in lines)
        self.id, self.name, self.data = fields.get("id"), fields.get("event"), json.loads(fields["data"])

    def __repr__(self):
        return f"{self.id} {self.name} {self.data}"


class Events:
    """The event stream, read with our own hands, so that "nothing came" can be told from "it has ended"."""

    def __init__(self, browser, last=None, path="/api/v1/events", expect=200):
        self.socket = browser.connect()
        headers = browser.headers("GET", {"Last-Event-ID": last} if last else None)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        self.raw, self.text, self.ended, self.heartbeats = b"", b"", False, 0
        deadline = time.monotonic() + SECONDS
        while b"\r\n\r\n" not in self.raw and not self.ended:
            self.receive(deadline)
        self.head, _, self.raw = self.raw.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])
        if expect is not None and self.status != expect:
            raise AssertionError(f"{self.head.decode()}\n{self.raw.decode(errors='replace')}")
        if self.status == 200:
            self.decode()

    def close(self):
        self.socket.close()

    def receive(self, deadline):
        self.socket.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            part = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(f"nothing came in time; so far {self.text!r}") from None
        except ConnectionError:
            part = b""
        self.ended = self.ended or not part
        self.raw += part

    def decode(self):
        """Chunks to text; the last one ends it."""
        while b"\r\n" in self.raw:
            size, rest = self.raw.split(b"\r\n", 1)
            length = int(size, 16)
            if len(rest) < length + 2:
                return
            self.text += rest[:length]
            self.raw = rest[length + 2:]
            if length == 0:
                self.ended = True
                return

    def drain(self):
        """The text that is there now; it is used up."""
        self.socket.settimeout(0.2)
        try:
            while part := self.socket.recv(65536):
                self.raw += part
        except TimeoutError:
            pass
        self.decode()
        text, self.text = self.text, b""
        return text

    def next(self, *names, seconds=None):
        """The next event of these names; others, and heartbeats, are passed over."""
        deadline = time.monotonic() + (seconds or SECONDS)
        while True:
            while b"\n\n" in self.text:
                block, self.text = self.text.split(b"\n\n", 1)
                lines = block.decode().split("\n")
                if lines[0].startswith(":"):
                    self.heartbeats += 1
                    if "heartbeat" in names:
                        return lines[0]
                    continue
                event = Event(lines)
                if not names or event.name in names:
                    return event
            if self.ended:
                raise AssertionError(f"the stream has ended; {names} was expected")
            self.receive(deadline)
            self.decode()

    def wait_end(self, seconds=None):
        deadline = time.monotonic() + (seconds or SECONDS)
        while not self.ended:
            self.receive(deadline)
            self.decode()


class WebTest(E2E):
    def signed_in(self, repositories=("PRJ/web",), enable=False, add=True, **more):
        """A world with both simulators and a browser that is signed in: the first one, so it made the account."""
        bitbucket = more.pop("bitbucket", {})
        world = self.world(**more)
        world.start_eyes()
        world.start_bitbucket(repositories=repositories, **bitbucket)
        world.start_daemon()
        browser = Browser(world)
        browser.sign_in()
        if add:
            browser.post("servers", {"url": world.bitbucket.address}, 201)
        if enable:
            browser.post("repositories/enable", {"repositories": list(repositories), "token": world.token})
        return world, browser

    def events(self, browser, **more):
        events = Events(browser, **more)
        self.addCleanup(events.close)
        return events
