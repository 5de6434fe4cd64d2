"""The gate before the page, end to end: nothing malformed reaches a handler, and nobody can make the daemon grow, spin or hang.

The lines of MALFORMED are what evhttp is known to let through. Each is followed by a second request for
TRAP on the same connection: when a part of the first is taken for a request, the count of handled ones says so.
"""

import pathlib
import re
import resource
import socket
import threading
import time
import unittest

from harness import SLOW, wait_for
from web import Browser, WebTest

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
TRAP = b"GET /healthz?trap HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(*lines, body=b""):
    return b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def get(*lines, target=b"/healthz", version=b"HTTP/1.1", host=b"Host: localhost"):
    return b"GET " + target + b" " + version + b"\r\n" + b"".join(line + b"\r\n" for line in (host, *lines) if line) + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
MALFORMED = {
    "two differing Content-Length": (post(b"Content-Length: 4", b"Content-Length: 5", body=b"{}  "), 400),
    "a list of differing lengths": (post(b"Content-Length: 4, 5", body=b"{}  "), 400),
    "blank before the colon": (post(b"Content-Length : 4", body=b"{}  "), 400),
    "Transfer-Encoding: xchunked": (post(b"Transfer-Encoding: xchunked", body=TRAP), 400, 501),
    "chunked is not last": (post(b"Transfer-Encoding: chunked, gzip", body=TRAP), 400, 501),
    "chunked twice": (post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    "length and chunked": (post(b"Content-Length: 4", CHUNKED, body=b"0\r\n\r\n"), 400),
    "Content-Length +4": (post(b"Content-Length: +4", body=b"{}  "), 400),
    "Content-Length -1": (post(b"Content-Length: -1"), 400),
    "Content-Length 0x4": (post(b"Content-Length: 0x4", body=b"{}  "), 400),
    "Content-Length empty": (post(b"Content-Length: ", body=b"{}  "), 400),
    "Content-Length huge": (post(b"Content-Length: 18446744073709551617", body=b"{"), 400, 413),
    "HEAD with a body": (b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + str(len(TRAP)).encode() + b"\r\n\r\n" + TRAP, 400),
    "NUL in a header value": (get(b"X-A: a\0b"), 400),
    "CR in a header value": (get(b"X-A: a\rb"), 400),
    "NUL in a header name": (get(b"X\0A: a"), 400),
    "DEL in a header value": (get(b"X-A: a\x7fb"), 400),
    "chunk size 0x5": (post(CHUNKED, body=b"0x5\r\n{\"\":1}\r\n0\r\n\r\n"), 400),
    "chunk size +5": (post(CHUNKED, body=b"+2\r\n{}\r\n0\r\n\r\n"), 400),
    "chunk size with a blank before": (post(CHUNKED, body=b" 2\r\n{}\r\n0\r\n\r\n"), 400),
    "chunk size empty": (post(CHUNKED, body=b"\r\n{}\r\n0\r\n\r\n"), 400),
    "chunk size too large": (post(CHUNKED, body=b"fffffffffffffffff\r\n"), 400, 413),
    "no CRLF after chunk data": (post(CHUNKED, body=b"2\r\n{}0\r\n\r\n"), 400),
    "bare LF between lines": (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400),
    "bare LF after a header": (b"GET /healthz HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400),
    "obs-fold": (get(b"X-A: a", b" b"), 400),
    "a fold first": (b"GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n", 400),
    "no Host": (get(host=b""), 400),
    "two Hosts": (get(b"Host: other"), 400),
    "two Hosts that are the same": (get(b"Host: localhost"), 400),
    "Host with a path": (get(host=b"Host: localhost/x"), 400),
    "Host with a blank": (get(host=b"Host: a b"), 400),
    "HTTP/1.-1": (get(version=b"HTTP/1.-1"), 400, 505),
    "HTTP/2.0": (get(version=b"HTTP/2.0"), 505),
    "HTTP/1.10": (get(version=b"HTTP/1.10"), 400, 505),
    "http/1.1": (get(version=b"http/1.1"), 400),
    "no version": (b"GET /healthz\r\n\r\n", 400),
    "%00 in the path": (get(target=b"/healthz%00x"), 400),
    "NUL in the path": (get(target=b"/healthz\0x"), 400),
    "%0 in the path": (get(target=b"/healthz%0"), 400),
    "two slashes": (get(target=b"//evil.com/healthz"), 400),
    "backslash and blank": (get(target=b"/health z"), 400),
    "no slash": (get(target=b"healthz"), 400),
    "raw bytes in the path": (get(target=b"/h\xe9althz"), 400),
    "asterisk": (get(target=b"*"), 400),
    "fragment": (get(target=b"/healthz#x"), 400),
    "PATCH": (b"PATCH /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "OPTIONS": (b"OPTIONS /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "TRACE": (b"TRACE /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "CONNECT": (b"CONNECT evil.com:443 HTTP/1.1\r\nHost: evil.com:443\r\n\r\n", 400, 405),
    "unknown method": (b"FROB /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "method in small letters": (b"get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "method with odd bytes": (b"G(T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "colon missing": (get(b"X-A"), 400),
    "empty name": (get(b": a"), 400),
    "name with a blank": (get(b"X A: a"), 400),
    "a blank before the method": (b" GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "Expect something else": (get(b"Expect: 200-maybe"), 417),
    "two Origins": (get(b"Origin: http://localhost", b"Origin: http://evil"), 400),
    "two Cookies of the session": (get(b"Cookie: eyes_scm_session=a", b"Cookie: eyes_scm_session=b"), 200, 400),
    "target too long": (get(target=b"/" + b"a" * 9000), 414),
    "header too long": (get(b"X-A: " + b"a" * 20000), 431),
    "too many headers": (get(*[b"X-%d: y" % number for number in range(200)]), 431),
    "body too large": (post(b"Content-Length: 600000"), 413),
    "chunks too large together": (post(CHUNKED, body=(b"10000\r\n" + b" " * 65536 + b"\r\n") * 9), 413),
    "a TLS greeting": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200, 400),
    "garbage": (b"\0\xff\0\xff" * 100, 400),
}


def limit_files(count):
    """At least so many file descriptors, here and in what is started; False when that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return True
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count) if hard != resource.RLIM_INFINITY else hard))
        return True
    except (ValueError, OSError):
        return False


class Gate(WebTest):
    def start(self, **settings):
        world = self.world(**{"EYES_LOG_LEVEL": "info", **settings})
        world.start_eyes()
        world.start_daemon()
        return world, Browser(world)

    def metric(self, world, pattern):
        found = re.findall(rf"(?m)^{pattern} (\d+)$", world.api("GET", "/metrics")[1].decode())
        return sum(int(number) for number in found)

    def exchange(self, port, data, seconds=20):
        """Everything that is answered, up to the end of the connection."""
        with socket.create_connection(("127.0.0.1", port), timeout=seconds * SLOW) as connection:
            answer = b""
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            try:
                while part := connection.recv(65536):
                    answer += part
            except ConnectionError:
                pass
            return answer

    def statuses(self, answer):
        return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]

    def rss(self, world):
        return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{world.daemon.pid}/status").read_text())[1]) * 1024

    def cpu(self, world):
        fields = pathlib.Path(f"/proc/{world.daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def wait_quiet(self, world):
        """Nothing spins: soon the daemon uses no processor time."""
        def is_quiet():
            started = self.cpu(world)
            time.sleep(0.4)
            return self.cpu(world) - started < 0.04
        wait_for(is_quiet, "the daemon rests", 5 * SLOW)

    def slow_api(self, world, browser):
        """A connection whose reply is pending, and stays so."""
        world.eyes.fault("hang", match={"path": "api-key"})
        body = b'{"key":"slow"}'
        connection = browser.connect()
        self.addCleanup(connection.close)
        connection.sendall(b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        wait_for(lambda: [request for request in world.eyes.requests() if "api-key" in request["target"]], "Eyes is asked")
        return connection


class Malformed(Gate):
    def test_nothing_malformed_reaches_a_handler(self):
        world, browser = self.start()
        handled = r'eyes_scm_http_requests_total'
        for name, (data, *expected) in MALFORMED.items():
            with self.subTest(name):
                before = self.metric(world, handled)
                answer = self.exchange(browser.port, data + TRAP)
                statuses = self.statuses(answer)
                self.assertTrue(statuses and statuses[0] in expected, answer[:300])
                more = self.metric(world, handled) - before - 1  # the metrics were a request, too
                if statuses[0] == 200:
                    continue
                self.assertEqual(len(statuses), 1, answer[:600])
                self.assertEqual(more, 0, "nothing has passed")
                self.assertIn(b"Connection: close", answer)
                if not data.startswith(b"HEAD"):
                    self.assertIn(b'{"error":{"code":', answer)
                if statuses[0] == 405:
                    self.assertIn(b"Allow: GET", answer)
        self.assertEqual(browser.ask("GET", "/healthz").status, 200)

    def test_byte_by_byte_is_the_same(self):
        world, browser = self.start()
        for name in ("two differing Content-Length", "Transfer-Encoding: xchunked", "chunk size +5", "bare LF between lines", "two slashes", "HEAD with a body"):
            with self.subTest(name):
                data, *expected = MALFORMED[name]
                with browser.connect() as connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    try:
                        for byte in data:
                            connection.send(bytes([byte]))
                    except OSError:
                        pass
                    answer = connection.recv(4096)
                self.assertIn(self.statuses(answer)[0], expected)

    def test_what_is_well_formed_goes_through(self):
        world, browser = self.start()
        for name, data, status in (
                ("plain", GET, 200), ("HTTP/1.0", b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n", 200), ("absolute form", get(target=b"http://localhost/healthz"), 200),
                ("two equal lengths", post(b"Content-Length: 2", b"Content-Length: 2", body=b"{}"), 400), ("chunks", post(CHUNKED, body=b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n"), 400),
                ("empty lines first", b"\r\n" + GET, 200), ("query", get(target=b"/healthz?a=%41&b"), 200)):
            with self.subTest(name):
                answer = self.exchange(browser.port, data)
                self.assertIn(status, self.statuses(answer), answer[:300])
                if status == 400 and b"malformed" in answer:
                    self.assertEqual(name, "two equal lengths", answer)

    def test_pipelining(self):
        world, browser = self.start()
        answer = self.exchange(browser.port, GET * 100 + b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n" + GET + post(b"Content-Length: 2", body=b"{}") + GET)
        self.assertEqual(self.statuses(answer), [200] * 100 + [404, 200, 400, 200])
        answer = self.exchange(browser.port, GET + get(b"Connection: close") + GET)
        self.assertEqual(self.statuses(answer), [200, 200], "nothing is answered behind close")

    def test_expect(self):
        world, browser = self.start()
        with browser.connect() as connection:
            connection.sendall(post(b"Expect: 100-continue", b"Content-Length: 2"))
            self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 100 "))
            connection.sendall(b"{}")
            self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 400 "))


class Slow(Gate):
    def test_slow_senders(self):
        """One byte a second is not enough to live for ever: 408, and the others do not notice."""
        world, browser = self.start()
        head = browser.connect()
        body = browser.connect()
        self.addCleanup(head.close)
        self.addCleanup(body.close)
        body.sendall(post(b"Content-Length: 1000", body=b"{"))
        started = time.monotonic()
        ended = {}

        def drip(name, connection, byte):
            connection.settimeout(0.25)
            answer = b""
            while name not in ended and time.monotonic() - started < 60 * SLOW:
                try:
                    connection.send(byte)
                    answer += connection.recv(4096)
                except TimeoutError:
                    continue
                except OSError:
                    pass
                if answer:
                    ended[name] = (time.monotonic() - started, answer)
        threads = [threading.Thread(target=drip, args=args) for args in (("head", head, b"G"), ("body", body, b" "))]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.assertEqual(browser.ask("GET", "/healthz").status, 200)
            time.sleep(0.2)
        for name, low, high in (("head", 9, 15), ("body", 29, 36)):
            seconds, answer = ended[name]
            self.assertIn(408, self.statuses(answer), answer)
            self.assertIn(b"too_slow", answer)
            self.assertTrue(low <= seconds <= high * SLOW, (name, seconds))


class Bounds(Gate):
    def test_two_thousand_idle_connections(self):
        if not limit_files(6000):
            self.skipTest("not so many file descriptors are allowed here")
        world, browser = self.start(EYES_HTTP_CONNECTIONS="2100")
        before = self.rss(world)
        connections = []
        self.addCleanup(lambda: [connection.close() for connection in connections])
        for _ in range(2000):
            connections.append(socket.create_connection(("127.0.0.1", browser.port), timeout=20 * SLOW))
        for connection in connections[::10]:
            connection.sendall(GET)
        for connection in connections[::10]:
            self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 200 "))
        wait_for(lambda: self.metric(world, "eyes_scm_http_connections_open") >= 2000, "all are open")
        started = time.monotonic()
        for _ in range(20):
            self.assertEqual(browser.ask("GET", "/healthz").status, 200)
        self.assertLess(time.monotonic() - started, 1 * SLOW)
        self.assertLess((self.rss(world) - before) / 2000, 16 * 1024 * SLOW, "bytes of an idle connection")
        self.assertEqual(world.api("GET", "/healthz")[0], 200)
        self.wait_quiet(world)

    def test_more_than_there_are_places_for(self):
        """The one that has been idle for longest gives way; commands have places of their own."""
        world, browser = self.start(EYES_HTTP_CONNECTIONS="16")
        connections = [browser.connect() for _ in range(40)]
        self.addCleanup(lambda: [connection.close() for connection in connections])
        self.assertEqual(connections[0].recv(10), b"")
        connections[-1].sendall(GET)
        self.assertTrue(connections[-1].recv(4096).startswith(b"HTTP/1.1 200 "))
        self.assertEqual(world.api("GET", "/healthz")[0], 200)
        self.assertEqual(browser.ask("GET", "/healthz").status, 200)

    def test_no_place_is_idle(self):
        world, browser = self.start(EYES_HTTP_CONNECTIONS="16")
        busy = [browser.connect() for _ in range(16)]
        self.addCleanup(lambda: [connection.close() for connection in busy])
        for connection in busy:
            connection.sendall(b"GET /hea")
        wait_for(lambda: self.metric(world, "eyes_scm_http_connections_open") >= 16, "all places are taken")
        time.sleep(0.1)
        with socket.create_connection(("127.0.0.1", browser.port), timeout=20 * SLOW) as late:
            late.sendall(GET)
            late.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                late.recv(10)
            self.assertEqual(world.api("GET", "/healthz")[0], 200)
            busy[3].sendall(b"lthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            late.settimeout(20 * SLOW)
            self.assertTrue(late.recv(4096).startswith(b"HTTP/1.1 200 "))

    def test_300_mb_at_a_pending_reply(self):
        world, browser = self.start(EYES_POLL_WAIT="60s")
        connection = self.slow_api(world, browser)
        before = self.rss(world)
        connection.settimeout(1)
        piece, sent = GET * 20000, 0
        try:
            while sent < 300 * 1024 * 1024:
                sent += connection.send(piece)
        except TimeoutError:
            pass
        self.assertLess(self.rss(world) - before, 4 * 1024 * 1024 * SLOW)
        self.assertLess(sent, 32 * 1024 * 1024, "the rest waits in the sender's kernel")
        self.wait_quiet(world)
        self.assertEqual(browser.ask("GET", "/healthz").status, 200)
        connection.close()
        wait_for(lambda: self.metric(world, "eyes_scm_http_connections_open") <= 2, "it is gone")

    def test_large_pages_to_a_client_that_does_not_read(self):
        world, browser = self.start()
        before = self.rss(world)
        connections = []
        self.addCleanup(lambda: [connection.close() for connection in connections])
        data = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5000
        for _ in range(20):
            connection = browser.connect()
            connections.append(connection)
            connection.settimeout(0.2)
            try:
                connection.sendall(data)
            except TimeoutError:
                pass
        self.assertEqual(browser.ask("GET", "/healthz").status, 200)
        self.assertLess(self.rss(world) - before, 20 * 1024 * 1024 * SLOW)
        self.wait_quiet(world)

    def test_file_descriptors_run_out(self):
        world, browser = self.start(EYES_HTTP_CONNECTIONS="2000")
        now = len(list(pathlib.Path(f"/proc/{world.daemon.pid}/fd").iterdir()))
        old = resource.prlimit(world.daemon.pid, resource.RLIMIT_NOFILE, (now + 20, now + 20))
        connections = [browser.connect() for _ in range(60)]
        self.addCleanup(lambda: [connection.close() for connection in connections])
        world.wait_log("a connection cannot be accepted")
        cpu, lines = self.cpu(world), len(world.log().splitlines())
        time.sleep(1.5)
        self.assertLess(self.cpu(world) - cpu, 0.5 * SLOW, "it does not spin")
        self.assertLess(len(world.log().splitlines()) - lines, 10)
        for connection in connections:
            connection.close()
        wait_for(lambda: self.exchange(browser.port, GET).startswith(b"HTTP/1.1 200 "), "it accepts again")
        self.assertTrue(old)

    def test_aborts(self):
        """Clients that go at any moment leave nothing behind."""
        world, browser = self.start()
        whole = post(b"Content-Length: 12", body=b'{"key":"xx"}')
        for length in list(range(0, len(whole) + 1, 3)) * 4:
            with browser.connect() as connection:
                connection.sendall(whole[:length])
                if length % 2:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wait_for(lambda: self.metric(world, "eyes_scm_http_connections_open") <= 1, "all are gone")
        self.assertEqual(browser.ask("GET", "/healthz").status, 200)


class Stopping(Gate):
    def test_what_is_pending_is_answered(self):
        world, browser = self.start()
        connection = self.slow_api(world, browser)
        idle, half = browser.connect(), browser.connect()
        self.addCleanup(idle.close)
        self.addCleanup(half.close)
        half.sendall(b"GET /heal")
        wait_for(lambda: self.metric(world, "eyes_scm_http_connections_open") >= 4, "all are there")
        started = time.monotonic()
        world.stop_daemon()
        self.assertLess(time.monotonic() - started, 5 * SLOW)
        connection.settimeout(5)
        answer = connection.recv(65536)
        self.assertEqual(self.statuses(answer), [503], answer)
        self.assertIn(b'"stopping"', answer)
        for other in (idle, half):
            other.settimeout(5)
            try:
                other.recv(100)
            except ConnectionError:
                pass
        with self.assertRaises(OSError):
            browser.connect()


if __name__ == "__main__":
    unittest.main()
