"""The event stream: what the page is told, and what becomes of a stream that nobody reads."""

import pathlib
import re
import socket
import time
import unittest

from harness import SANITIZED, SECONDS, SLOW, wait_for
from web import Browser, Events, WebTest

STREAMS = 64


def memory(world):
    """Resident bytes of the daemon."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{world.daemon.pid}/status").read_text())[1]) * 1024


class Told(WebTest):
    def test_hello_and_headers(self):
        world, browser = self.signed_in(add=False)
        stream = self.events(browser)
        head = stream.head.decode().lower()
        for words in ("content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"):
            self.assertIn(words, head)
        hello = stream.next()
        start = browser.get("start")
        self.assertEqual((hello.name, hello.data), ("hello", {"version": start["version"], "build": start["build"], "resumed": False}))
        self.assertTrue(hello.id)

    def test_what_changes_is_told(self):
        world, browser = self.signed_in(add=False)
        stream = self.events(browser)
        stream.next("hello")
        server = browser.post("servers", {"url": world.bitbucket.address}, 201).json["id"]
        self.assertEqual(stream.next("server").data, {"topic": "server", "number": server})
        browser.post("repositories/enable", {"repositories": ["PRJ/web"], "token": world.token})
        repository = stream.next("repository").data["number"]
        self.assertEqual(repository, browser.get("repositories")["repositories"][0]["id"])
        world.wait_outcome(world.send(), "delivered")
        number = stream.next("update").data["number"]
        self.assertEqual(number, browser.get("updates")["updates"][0]["number"])
        job = browser.post("repositories/disable", {"repositories": ["PRJ/web"], "async": True}, 202).json["job"]
        self.assertEqual(stream.next("job").data["number"], job)
        listing = browser.post("listings", {"token": world.token}, 202).json["listing"]
        self.assertEqual(stream.next("listing").data["number"], listing)
        mate = world.secret("mate")
        world.eyes.allow(mate)
        browser.api("PUT", "account", {"key": mate})
        stream.next("account")
        world.eyes.fault("status", status=500)
        stream.next("eyes", seconds=SECONDS * 2)
        ids = self.numbers(stream)
        self.assertEqual(ids, sorted(set(ids)))

    def numbers(self, stream):
        return [int(number) for number in re.findall(rb"id: [0-9a-f]+-(\d+)", stream.drain())]

    def test_both_browsers_are_told(self):
        world, browser = self.signed_in()
        other = Browser(world)
        other.sign_in()
        streams = [self.events(browser), self.events(browser), self.events(other)]
        browser.post("repositories/enable", {"repositories": ["PRJ/web"], "token": world.token})
        self.assertEqual({stream.next("repository").data["number"] for stream in streams}, {1})

    def test_thousands_of_updates_are_few_events(self):
        world, browser = self.signed_in(enable=True, EYES_LOG_LEVEL="info")
        stream = self.events(browser)
        stream.next("hello")
        started = time.monotonic()
        world.wait_outcomes(world.send_all([world.command(commit=number) for number in range(1, 1001)]), seconds=60)
        took = time.monotonic() - started
        time.sleep(0.3)
        count = len(self.numbers(stream))
        self.assertGreater(count, 0)
        self.assertLess(count, 20 + 4 * 3 * (took + 1))

    def test_heartbeat(self):
        world, browser = self.signed_in(add=False)
        stream = self.events(browser)
        self.assertEqual(stream.next("heartbeat", seconds=20 * SLOW), ": heartbeat")


class Resume(WebTest):
    def make_event(self, browser):
        browser.post("servers/1/check")
        browser.post("repositories/token", {"repositories": ["PRJ/web"], "token": browser.world.token})

    def test_goes_on_where_it_was(self):
        world, browser = self.signed_in(enable=True)
        first = self.events(browser)
        first.next("hello")
        self.make_event(browser)
        last = first.next("repository")
        first.close()
        for _ in range(3):
            self.make_event(browser)
        watching = self.events(browser)
        watching.next("hello")
        again = self.events(browser, last=last.id)
        hello = again.next()
        self.assertTrue(hello.data["resumed"])
        self.assertEqual(hello.id, last.id)
        missed = [again.next("repository") for _ in range(3)]
        self.assertEqual([event.data for event in missed], [last.data] * 3)
        self.make_event(browser)
        self.assertEqual(again.next("repository").id, watching.next("repository").id)
        nothing = self.events(browser, last=missed[-1].id)
        self.assertTrue(nothing.next("hello").data["resumed"])
        after = self.events(browser, path=f"/api/v1/events?after={missed[-1].id}")
        self.assertTrue(after.next("hello").data["resumed"])

    def test_after_a_restart_everything_is_read_again(self):
        world, browser = self.signed_in(enable=True)
        stream = self.events(browser)
        last = stream.next("hello").id
        world.restart_daemon()
        stream.wait_end()
        self.assertFalse(self.events(browser.moved(), last=last).next("hello").data["resumed"])

    def test_what_cannot_be_resumed(self):
        world, browser = self.signed_in(enable=True)
        hello = self.events(browser).next("hello")
        boot, number = hello.id.split("-")
        for last in ("x", "1", "-", "0-0", f"{boot}-", f"{boot}-99999", f"{boot}-x", "9" * 200, f"{boot}-18446744073709551615", f"z{hello.id}"):
            with self.subTest(last=last[:30]):
                self.assertFalse(self.events(browser, last=last).next("hello").data["resumed"])

    def test_too_long_ago(self):
        world, browser = self.signed_in(enable=True)
        last = self.events(browser).next("hello").id
        names = ["PRJ/web"] * 100
        for _ in range(6):
            browser.wait_job(browser.post("repositories/enable", {"repositories": names, "token": world.token, "async": True}, 202).json["job"])
        count = int(self.events(browser).next("hello").id.split("-")[1]) - int(last.split("-")[1])
        if count < 512:
            for _ in range(512 - count):
                browser.api("PUT", "account", {"key": world.key})
        self.assertFalse(self.events(browser, last=last).next("hello").data["resumed"])


class Bounds(WebTest):
    def test_needs_a_session_and_http_1_1(self):
        world, browser = self.signed_in(add=False)
        self.assertEqual(Events(Browser(world), expect=None).status, 401)
        self.assertEqual(browser.ask("HEAD", "/api/v1/events").status, 406)
        with browser.connect() as connection:
            lines = "".join(f"{name}: {value}\r\n" for name, value in browser.headers("GET", None).items())
            connection.sendall(f"GET /api/v1/events HTTP/1.0\r\n{lines}\r\n".encode())
            self.assertIn(b" 406 ", connection.recv(4096))

    def test_many_are_bounded(self):
        world, browser = self.signed_in()
        streams = [self.events(browser) for _ in range(STREAMS)]
        reply = browser.api("GET", "events", expect=503)
        self.assertEqual(reply.code, "too_many")
        browser.post("repositories/enable", {"repositories": ["PRJ/web"], "token": world.token})
        for stream in streams:
            stream.next("repository")
        streams[0].close()
        wait_for(lambda: self.opens(browser), "the place is free again")
        self.assertTrue(browser.is_signed_in())

    def opens(self, browser):
        stream = self.events(browser, expect=None)
        return stream.status == 200

    def test_many_come_and_go(self):
        world, browser = self.signed_in(EYES_LOG_LEVEL="info")
        stream = self.events(browser)
        for number in range(300):
            one = Events(browser, expect=None)
            if number % 3 == 0:  # cut hard
                one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            one.close()
        browser.post("repositories/enable", {"repositories": ["PRJ/web"], "token": world.token})
        stream.next("repository")
        wait_for(lambda: self.opens(browser), "none of them is left over")

    def test_one_that_does_not_read_holds_up_nobody(self):
        names = [f"PRJ/r{number}" for number in range(300)]
        world, browser = self.signed_in(repositories=names, enable=True, EYES_LOG_LEVEL="info")
        reading = self.events(browser)
        reading.next("hello")
        # Its window is as small as can be, so that what it does not read stays with the daemon.
        deaf = socket.socket()
        self.addCleanup(deaf.close)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", browser.port))
        lines = "".join(f"{name}: {value}\r\n" for name, value in browser.headers("GET", None).items())
        deaf.sendall(f"GET /api/v1/events HTTP/1.1\r\n{lines}\r\n".encode())
        before = memory(world)
        for _ in range(5):  # each of the 300 has its event; test_gate_bounds.c sees to where the cut is
            browser.wait_job(browser.post("repositories/token", {"repositories": names, "token": world.token, "async": True}, 202).json["job"])
            self.assertIn(b"event: job", reading.drain(), "the others are told")
        if not SANITIZED:  # what is freed stays with the sanitizer for a while
            self.assertLess(memory(world) - before, 8 * 1024 * 1024)
        self.assertTrue(browser.is_signed_in())

    def test_stopping_ends_them(self):
        world, browser = self.signed_in(add=False)
        streams = [self.events(browser) for _ in range(10)]
        started = time.monotonic()
        world.stop_daemon()
        self.assertLess(time.monotonic() - started, 5 * SLOW)
        for stream in streams:
            stream.wait_end()


if __name__ == "__main__":
    unittest.main()
