"""The relay: what source-control servers post to the daemon is genuine, on disk before it is answered, and reaches Eyes; nothing
else gets in. Sent here as a server sends it, by http.client and by bare sockets."""

import hashlib
import hmac
import http.client
import json
import re
import socket
import threading
import unittest

from harness import E2E, SLOW, wait_for
from web import Browser, web_port

GITHUB_SECRET = "github-test-secret"
PUSH = {"eventKey": "repo:refs_changed", "date": "2017-09-19T09:58:11+1000",
        "repository": {"slug": "web", "project": {"key": "PRJ"}}, "changes": []}


def body_of(size=0, **more):
    """JSON of at least that many bytes."""
    text = json.dumps({**PUSH, **more})
    return (text[:-1] + ', "padding": "' + "x" * max(0, size - len(text) - 15) + '"}').encode() if size else text.encode()


def sign(secret, body):
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Sender:
    """Posts the events of one repository, over a connection that is kept."""

    def __init__(self, port, path, secret):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30 * SLOW)
        self.path, self.secret = path, secret

    def post(self, id="", body=None, signature=None, key="repo:refs_changed", path=None, **more):
        """Signed unless told otherwise: status, headers, JSON."""
        body = body_of() if body is None else body
        signature = sign(self.secret, body) if signature is None else signature
        headers = {"Content-Type": "application/json; charset=utf-8", "X-Event-Key": key, "X-Request-Id": id,
                   "X-Hub-Signature": signature}
        headers.update({name.replace("_", "-"): value for name, value in more.items()})
        self.connection.request("POST", path or self.path, body, {name: value for name, value in headers.items() if value})
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, answer.headers, json.loads(text) if text else None


class Relay(E2E):
    def relay(self, **settings):
        """A world with EYES_EVENTS=relay, and a sender for its repository."""
        world = self.ready_world(EYES_EVENTS="relay", **settings)
        self.secret = self.secret_of(world)
        return world, self.sender(world)

    def sender(self, world, port=None, path="/api/bitbucket-events-proxy/1", secret=None):
        sender = Sender(port or web_port(world), path, secret or self.secret)
        self.addCleanup(sender.connection.close)
        return sender

    def secret_of(self, world, id=1):
        """The webhook's own secret: whoever enters it by hand is told a new one."""
        status, body = world.api("POST", f"/api/v1/repositories/{id}/webhook/by-hand", {})
        self.assertEqual(status, 200, body)
        secret = json.loads(body)["secret"]
        world.secrets.add(secret)
        return secret

    def counted(self, world, result):
        found = re.search(r'^eyes_scm_events_received_total\{result="%s"\} (\d+)' % result,
                          world.api("GET", "/metrics")[1].decode(), re.M)
        return int(found[1]) if found else 0

    def refused(self, answer, status, code):
        self.assertEqual((answer[0], answer[2]["error"]["code"]), (status, code))
        self.assertGreater(len(answer[2]["error"]["message"]), 10)


class Road(Relay):
    def test_to_eyes(self):
        """From Bitbucket itself, through the webhook that enabling made, and by hand: bytes, key and id as they came."""
        world, sender = self.relay()
        body = b'{"eventKey": "pr:opened" , "repository": {"slug":"web","project":{"key":"PRJ"}}, "x": "\\u00e9\xc3\xa9"}\n'
        self.assertEqual(sender.post("id-1", body, key="pr:opened")[0], 202)
        event = world.eyes.wait_events(1, event="pr:opened")[0]
        self.assertEqual(event["request_id"], "id-1")
        self.assertEqual(event["sha256"], hashlib.sha256(body).hexdigest())
        self.assertEqual(self.counted(world, "accepted"), 1)

    def test_known(self):
        """The same event again is answered like the first, and reaches Eyes once."""
        world, sender = self.relay()
        for _ in range(3):
            self.assertEqual(sender.post("id-1")[0], 202)
        self.assertEqual(sender.post("id-1", body_of(actor=1))[0], 202)
        self.assertEqual(sender.post("id-2")[0], 202)
        wait_for(lambda: world.status() and self.counted(world, "accepted") == 3, lambda: world.tail())
        self.assertEqual(self.counted(world, "known"), 2)
        world.eyes.wait_events(3, event="repo:refs_changed")
        world.restart_daemon()
        sender = self.sender(world)
        self.assertEqual(sender.post("id-1")[0], 202)
        self.assertEqual(sender.post("id-3")[0], 202)
        ids = [event["request_id"] for event in world.eyes.wait_events(4, event="repo:refs_changed")]
        self.assertEqual(ids, ["id-1", "id-1", "id-2", "id-3"])

    def test_secret_asked_for_twice(self):
        """Nobody entered the new ones yet: Bitbucket still signs with the one that it has."""
        world, sender = self.relay()
        self.assertEqual(sender.post("1")[0], 202)
        self.secret_of(world)
        self.secret_of(world)
        self.assertEqual(sender.post("2")[0], 202)
        self.assertEqual(sender.post("1")[0], 202)
        self.assertEqual(self.counted(world, "known"), 1)

    def test_github(self):
        world, sender = self.relay(GITHUB_WEBHOOK_SECRET=GITHUB_SECRET)
        github = self.sender(world, None, "/api/github-events-proxy", GITHUB_SECRET)
        body = b'{"zen": "x", "repository": {"full_name": "octo/web"}}'
        names = {"X_GitHub_Event": "push", "X_GitHub_Delivery": "72d3162e-cc78", "X_GitHub_Hook_ID": "292430182",
                 "X_GitHub_Enterprise_Host": "github.example.com", "X_Hub_Signature_256": sign(GITHUB_SECRET, body)}
        self.assertEqual(github.post(body=body, signature="", key="", **names)[0], 202)
        event = world.eyes.wait_events(1, event="push")[0]
        self.assertEqual(event["request_id"], "72d3162e-cc78")
        names["X_GitHub_Event"] = "ping"
        self.assertEqual(github.post(body=body, signature="", key="", **names)[0], 200)
        names["X_Hub_Signature_256"] = sign("other", body)
        self.refused(github.post(body=body, signature="", key="", **names), 401, "signature_wrong")
        names["X_Hub_Signature_256"] = ""
        self.refused(github.post(body=body, signature="", key="", **names), 401, "signature_missing")

    def test_killed_under_load(self):
        """What was answered with 202 is on disk: it reaches Eyes although the daemon was killed right then."""
        world, _ = self.relay()
        world.eyes.fault("status", status=503, match={"path": "/api/externals/bitbucket/events"})
        accepted, stop, port = [], threading.Event(), web_port(world)

        def load(number):
            sender, count = self.sender(world, port), 0
            while not stop.is_set():
                count += 1
                try:
                    if sender.post(f"{number}-{count}")[0] == 202:
                        accepted.append(f"{number}-{count}")
                except (OSError, http.client.HTTPException):
                    return

        threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: len(accepted) > 300, lambda: f"{len(accepted)} accepted\n{world.tail()}")
            world.kill_daemon()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        world.eyes.heal()
        world.start_daemon()
        wait_for(lambda: set(accepted) <= {event["request_id"] for event in world.eyes.events(limit=100000)},
                 lambda: f"all of {len(accepted)} reach Eyes, {len(world.eyes.events(limit=100000))} did\n{world.tail()}", 60)


class Refusals(Relay):
    def test_signatures(self):
        world, sender = self.relay()
        self.refused(sender.post("1", signature=""), 401, "signature_missing")
        self.refused(sender.post("1", signature=sign("other", body_of())), 401, "signature_wrong")
        self.refused(sender.post("1", signature=sign(self.secret, b"other")), 401, "signature_wrong")
        self.refused(sender.post("1", signature="sha1=" + "0" * 40), 401, "signature_wrong")
        self.assertEqual(sender.post("", b'{"test": true}', "", "diagnostics:ping")[0], 200)
        self.assertEqual(sender.post("1")[0], 202)
        for result, count in {"unsigned": 1, "forged": 3, "ping": 1, "accepted": 1}.items():
            self.assertEqual(self.counted(world, result), count, result)
        world.eyes.wait_events(1, event="repo:refs_changed")
        self.assertIn("signature_wrong", world.log())

    def test_unknown(self):
        world, sender = self.relay()
        for id in ("2", "0", "01", "-1", "1x", "4294967297", "99999999999", ""):
            self.refused(sender.post("1", path=f"/api/bitbucket-events-proxy/{id}"), 404, "not_found")
        self.refused(sender.post("1", path="/api/bitbucket-events-proxy/1/"), 404, "not_found")
        self.refused(sender.post("1", path="/api/github-events-proxy"), 404, "github_off")
        self.assertEqual(sender.post("1", path="/api/bitbucket-events-proxy/1?instance=x&y")[0], 202)
        world.cli("repo", "disable", "PRJ/web")
        self.refused(sender.post("2"), 404, "not_found")

    def test_direct_mode(self):
        """Events go to Eyes directly: nothing is taken here, not even with the right secret of before."""
        world, sender = self.relay()
        world.restart_daemon(env={"EYES_EVENTS": "direct"})
        sender = self.sender(world)
        wait_for(lambda: sender.post("1")[0] == 404, lambda: world.tail())

    def test_malformed(self):
        world, sender = self.relay()
        self.refused(sender.post("1", key=""), 400, "malformed")
        self.refused(sender.post("1", key="a b"), 400, "malformed")
        self.refused(sender.post("i d"), 400, "malformed")
        self.refused(sender.post("i" * 3000), 400, "malformed")
        self.refused(sender.post("1", key="", signature="sha256=00"), 401, "signature_wrong")
        # Whatever the body is: it is Eyes' to judge, and never a fault of ours.
        self.assertEqual(self.counted(world, "malformed"), 4)
        twice = (b"POST /api/bitbucket-events-proxy/1 HTTP/1.1\r\nHost: x\r\nX-Event-Key: a\r\nX-Event-Key: b\r\n"
                 b"X-Hub-Signature: " + sign(self.secret, b"{}").encode() + b"\r\nContent-Length: 2\r\n\r\n{}")
        self.assertTrue(self.raw(web_port(world), twice).startswith(b"HTTP/1.1 400 "))

    def raw(self, port, data):
        with socket.create_connection(("127.0.0.1", port), timeout=30 * SLOW) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def test_methods(self):
        world, sender = self.relay()
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            sender.connection.request(method, sender.path)
            answer = sender.connection.getresponse()
            answer.read()
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST"), method)

    def test_too_large(self):
        """EYES_EVENT_MAX, before the body is sent; the page's own limit stays."""
        world, sender = self.relay(EYES_EVENT_MAX="64K")
        self.assertEqual(sender.post("1", body_of(64 * 1024))[0], 202)
        port = web_port(world)
        head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
        answer = self.raw(port, head % (b"/api/bitbucket-events-proxy/1", 64 * 1024 + 1))
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        self.assertIn(b"body_too_large", answer)
        self.assertEqual(self.counted(world, "too_large"), 1)
        answer = self.raw(port, head % (b"/api/v1/session", 512 * 1024 + 1))
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        self.assertEqual(self.counted(world, "too_large"), 1)
        world.eyes.wait_events(1, event="repo:refs_changed")

    def test_no_room(self):
        """As many wait as may: 503 and when to come again, and as soon as there is room they are taken."""
        world, sender = self.relay(EYES_QUEUE_LIMIT=1000)
        world.eyes.fault("status", status=503, match={"path": "/api/externals/bitbucket/events"})
        answers = [sender.post(f"{number}") for number in range(1001)]
        self.assertEqual({answer[0] for answer in answers[:1000]}, {202})
        self.refused(answers[-1], 503, "store_full")
        self.assertTrue(1 <= int(answers[-1][1]["Retry-After"]) <= 60)
        self.assertEqual(sender.post("5")[0], 202)  # it is there already
        self.assertEqual(self.counted(world, "full"), 1)
        world.eyes.heal()
        wait_for(lambda: sender.post("1000")[0] == 202, lambda: world.tail(), 60)

    def test_logs_are_limited(self):
        world, sender = self.relay()
        for number in range(200):
            sender.post("1", key="k\x7fk" if number % 2 else "\u00e9\u00e9", signature="sha256=00")
        self.assertLess(world.log().count("an event is not taken"), 5)


class Strangers(Relay):
    """What anybody may send: neither room nor time is spent on it that a genuine event would miss."""

    def events_port(self, world):
        return int(wait_for(lambda: re.search(r'msg="listening for events" address=127\.0\.0\.1:(\d+)', world.log()),
                            lambda: world.log())[1])

    def open(self, port, length, signature="", path="/api/bitbucket-events-proxy/1", more=""):
        client = socket.create_connection(("127.0.0.1", port), timeout=30 * SLOW)
        self.addCleanup(client.close)
        signature = f"X-Hub-Signature: {signature}\r\n" if signature else ""
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Event-Key: repo:refs_changed\r\n{signature}{more}"
                       f"{f'Content-Length: {length}' if length else 'Transfer-Encoding: chunked'}\r\n\r\n".encode())
        return client

    def answer(self, client):
        """What comes until the server ends the connection: status and code."""
        text = b"".join(iter(lambda: client.recv(65536), b""))
        head, _, body = text.partition(b"\r\n\r\n")
        self.assertIn(b"Connection: close", head, text)
        return int(head.split()[1]), json.loads(body)["error"]["code"]

    def test_bodies_held(self):
        """More than there is room for, at both doors, with signatures that could be some."""
        world, sender = self.relay(EYES_EVENTS_LISTEN="127.0.0.1:0")
        ports, size = (web_port(world), self.events_port(world)), 1024 * 1024
        held = []
        for number in range(40):
            held.append(self.open(ports[number % 2], size, "sha256=" + "0" * 64))
            held[-1].sendall(b"x" * (size - 1))
        self.assertEqual(self.answer(held[0]), (503, "busy"))  # the longest in hand gave way
        self.assertEqual(self.answer(held[1]), (503, "busy"))
        self.assertEqual(sender.post("1")[0], 202)
        self.assertEqual(sender.post("2", body_of(size))[0], 202)
        other = self.sender(world, ports[1])
        self.assertEqual(other.post("3")[0], 202)
        self.assertEqual(other.post("4", body_of(size))[0], 202)
        page = Sender(ports[0], "/api/v1/session", "")
        self.addCleanup(page.connection.close)
        answer = page.post(body=b'{"code": "' + b"x" * 500000 + b'"}', Host=f"localhost:{ports[0]}")
        self.assertIn(answer[0], (400, 401, 403))
        self.assertNotEqual(answer[2]["error"]["code"], "busy")
        held[-1].sendall(b"x")  # in time, and whole
        held[-1].shutdown(socket.SHUT_WR)
        self.assertIn(b" 401 ", held[-1].recv(65536))
        self.assertGreaterEqual(self.counted(world, "full"), 8)
        ids = {event["request_id"] for event in world.eyes.wait_events(4, event="repo:refs_changed")}
        self.assertEqual(ids, {"1", "2", "3", "4"})

    def test_large_ones_before_their_body(self):
        """Over 64 KiB, nothing is read of what cannot be genuine."""
        world, sender = self.relay(EYES_EVENTS_LISTEN="127.0.0.1:0")
        large, good = 64 * 1024 + 1, "sha256=" + "0" * 64
        for port in (web_port(world), self.events_port(world)):
            for path in ("/api/bitbucket-events-proxy/99999", "/api/bitbucket-events-proxy/0"):
                self.assertEqual(self.answer(self.open(port, large, good, path)), (404, "not_found"))
            self.assertEqual(self.answer(self.open(port, large, "", "/api/github-events-proxy",
                                                   f"X-Hub-Signature-256: {good}\r\n")), (404, "github_off"))
            self.assertEqual(self.answer(self.open(port, large)), (401, "signature_missing"))
            for signature in ("sha256=00", "sha1=" + "0" * 40, "sha256=" + "g" * 64, good + "0"):
                self.assertEqual(self.answer(self.open(port, large, signature)), (401, "signature_wrong"), signature)
            asking = self.open(port, large, more="Expect: 100-continue\r\n")
            self.assertEqual(self.answer(asking), (401, "signature_missing"))
            chunked = self.open(port, 0)
            chunked.sendall(b"%x\r\n" % large + b"x" * large)
            self.assertEqual(self.answer(chunked), (413, "body_too_large"))
            # The answer arrives whatever is sent meanwhile.
            client = self.open(port, large)
            client.sendall(b"x" * large)
            self.assertEqual(self.answer(client), (401, "signature_missing"))
        self.assertEqual(self.counted(world, "unknown"), 6)
        self.assertEqual(self.counted(world, "unsigned"), 6)
        self.assertEqual(self.counted(world, "forged"), 8)
        self.assertEqual(sender.post("1", body_of(large))[0], 202)
        self.assertEqual(sender.post("", b"x" * (64 * 1024), "", "diagnostics:ping")[0], 200)
        self.assertEqual(sender.post("", body_of(large), None, "diagnostics:ping")[0], 200)
        world.cli("repo", "disable", "PRJ/web")
        self.assertEqual(self.answer(self.open(web_port(world), large, good)), (404, "not_found"))


class Listener(Relay):
    def test_only_events(self):
        """At the listeners for events alone nothing else exists; nobody asks for a Host or a session there."""
        world, _ = self.relay(EYES_EVENTS_LISTEN="127.0.0.1:0")
        port = int(wait_for(lambda: re.search(r'msg="listening for events" address=127\.0\.0\.1:(\d+)', world.log()),
                            lambda: world.log())[1])
        sender = self.sender(world, port)
        self.assertEqual(sender.post("1", Host="hooks.example.com", Origin="https://evil.example.com")[0], 202)
        self.refused(sender.post("2", signature=""), 401, "signature_missing")
        for path in ("/", "/index.html", "/healthz", "/readyz", "/metrics", "/api/v1/start", "/api/v1/status", "/api"):
            for method in ("GET", "HEAD", "POST"):
                sender.connection.request(method, path, headers={"Host": "localhost"})
                answer = sender.connection.getresponse()
                answer.read()
                self.assertEqual(answer.status, 404, f"{method} {path}")
        self.assertEqual(Browser(world).ask("GET", "/healthz").status, 200)
        world.eyes.wait_events(1, event="repo:refs_changed")

    def test_pipelined_and_cut(self):
        """Several in one piece are answered in order; a client that goes away leaves nothing hanging."""
        world, _ = self.relay()
        port, body = web_port(world), body_of()
        head = (f"POST /api/bitbucket-events-proxy/1 HTTP/1.1\r\nHost: x\r\nX-Event-Key: repo:refs_changed\r\n"
                f"Content-Type: application/json\r\nX-Hub-Signature: {sign(self.secret, body)}\r\n"
                f"Content-Length: {len(body)}\r\nX-Request-Id: ")
        with socket.create_connection(("127.0.0.1", port), timeout=30 * SLOW) as client:
            client.sendall(b"".join(f"{head}{number}\r\n\r\n".encode() + body for number in range(50)))
            client.shutdown(socket.SHUT_WR)
            answers = b"".join(iter(lambda: client.recv(65536), b""))
        self.assertEqual(answers.count(b"HTTP/1.1 202 Accepted\r\n"), 50)
        for number in range(50):
            with socket.create_connection(("127.0.0.1", port), timeout=30 * SLOW) as client:
                client.sendall(f"{head}cut-{number}\r\n\r\n".encode() + body[:None if number % 2 else 10])
        ids = [event["request_id"] for event in world.eyes.wait_events(50, event="repo:refs_changed")]
        self.assertEqual(ids[:50], [str(number) for number in range(50)])
        wait_for(lambda: re.search(r"^eyes_scm_http_connections_open 1$", world.api("GET", "/metrics")[1].decode(), re.M),
                 lambda: world.api("GET", "/metrics")[1].decode())


if __name__ == "__main__":
    unittest.main()
