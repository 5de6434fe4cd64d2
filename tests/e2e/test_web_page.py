"""The page itself: its files, on both roads; what it begins with, compression, ETags, and the folder while developing."""

import gzip
import re
import unittest

from web import Browser, WebTest


class Page(WebTest):
    def world_with_page(self, *args):
        world = self.world()
        world.start_eyes()
        world.start_daemon(*args)
        return world, Browser(world)

    def test_the_page_and_its_files(self):
        world, browser = self.world_with_page()
        page = browser.ask("GET", "/")
        self.assertEqual((page.status, page.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertEqual(page.headers["Cache-Control"], "no-cache")
        self.assertEqual(page.headers["Vary"], "Accept-Encoding")
        self.assertEqual(browser.ask("GET", "/index.html").body, page.body)
        files = re.findall(r'(?:src|href)="([^"#:]+)"', page.body.decode())
        self.assertTrue([name for name in files if name.endswith(".js")], files)
        for name in files:
            path = name if name.startswith("/") else "/" + name
            with self.subTest(path=path):
                reply = browser.ask("GET", path)
                self.assertEqual(reply.status, 200)
                self.assertTrue(path.startswith("/a/"), "an address that changes with the contents")
                self.assertIn("immutable", reply.headers["Cache-Control"])
                self.assertRegex(reply.headers["Content-Type"], "^(text/(javascript|css); charset=utf-8|image/svg)")
        self.assertNotRegex(page.body.decode(), r"(?i)<script(?![^>]*\bsrc=)|\son\w+=|<style|style=")

    def test_gzip_and_etag(self):
        world, browser = self.world_with_page()
        build = browser.get("start")["build"]
        for path in ("/", f"/a/{build}/js/main.js"):
            plain = browser.ask("GET", path)
            packed = browser.ask("GET", path, headers={"Accept-Encoding": "br, gzip"})
            self.assertIsNone(plain.headers["Content-Encoding"])
            self.assertEqual(packed.headers["Content-Encoding"], "gzip")
            self.assertEqual(gzip.decompress(packed.body), plain.body)
            self.assertNotEqual(plain.headers["ETag"], packed.headers["ETag"])
            again = browser.ask("GET", path, headers={"Accept-Encoding": "gzip", "If-None-Match": f'"x", {packed.headers["ETag"]}'})
            self.assertEqual((again.status, again.body, again.headers["ETag"]), (304, b"", packed.headers["ETag"]))
            self.assertEqual(again.headers["Cache-Control"], packed.headers["Cache-Control"])
            self.assertEqual(browser.ask("GET", path, headers={"If-None-Match": packed.headers["ETag"]}).status, 200, "of the other form")
            self.assertEqual(browser.ask("GET", path, headers={"If-None-Match": '"old"'}).status, 200)

    def test_a_name_that_is_not_allowed_is_said_in_a_page(self):
        """To somebody who opened one; what asks the API gets JSON."""
        world, browser = self.world_with_page()
        accept = "text/html,application/xhtml+xml,*/*;q=0.8"
        for path in ("/", "/?x", "/index.html"):
            page = browser.ask("GET", path, headers={"Host": "evil.example", "Accept": accept}, expect=421)
            self.assertEqual((page.headers["Content-Type"], page.headers["Cache-Control"]), ("text/html; charset=utf-8", "no-store"))
            self.assertIn("default-src 'none'", page.headers["Content-Security-Policy"])
            text = page.body.decode()
            self.assertTrue(text.startswith("<!doctype html>"), text)
            for words in ("under a name that is not allowed: evil.example", "Open it as localhost, or add the name to EYES_ALLOWED_HOSTS."):
                self.assertIn(words, text)
            self.assertNotRegex(text, "<script|<style|style=")
            self.assertNotIn("<b>", browser.ask("GET", path, headers={"Host": "a<b>c", "Accept": accept}).body.decode())
        for path, headers in (("/", {}), ("/api/v1/start", {"Accept": accept}), ("/", {"Accept": "*/*"})):
            reply = browser.ask("GET", path, headers={"Host": "evil.example", **headers}, expect=421)
            self.assertEqual(reply.code, "host_denied")
        self.assertEqual(browser.ask("GET", "/", headers={"Host": f"localhost.:{browser.port}", "Accept": accept}).status, 200)

    def test_the_page_begins_with_the_right_screen(self):
        """So that it is seen at once; a browser that kept another one gets the new one."""
        world = self.world()
        world.start_eyes()
        seen = {}

        def look(title, *args, **more):
            world.start_daemon(*args, **more)
            browser = Browser(world)
            page = browser.ask("GET", "/", headers={"If-None-Match": ", ".join(seen.values())})
            self.assertEqual(page.status, 200)
            self.assertEqual(re.findall("<h1>(.*?)</h1>", page.body.decode().split("<template")[0])[1:], [title], "after the one without JavaScript")
            self.assertEqual(browser.ask("GET", "/?x").body, page.body)
            self.assertEqual(browser.ask("GET", "/?x", headers={"If-None-Match": page.headers["ETag"]}).status, 304)
            self.assertNotIn(b"<slot name", page.body)
            seen[title] = page.headers["ETag"]
        for env in ({"EYES_SERVER_URL": None, "EYES_ORG_ID": None}, {"EYES_ORG_ID": None}):
            seen.clear()
            look("Where is your Eyes?", env=env)
            world.stop_daemon()
        look("Choose the source control system")
        world.set_account()
        page = Browser(world).ask("GET", "/", headers={"If-None-Match": seen["Choose the source control system"]})
        self.assertIn(b"<h1>Sign in</h1>", page.body, "known from then on")
        world.stop_daemon()
        look("Sign in")

    def test_what_accept_encoding_says(self):
        world, browser = self.world_with_page()
        script = f"/a/{browser.get('start')['build']}/js/main.js"
        for said, packed in (("gzip", True), ("GZIP", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("gzip ;Q=0.5", True), ("*", True),
                             ("*;q=0", False), ("gzip;q=0, *", False), ("*;q=0,gzip;q=1", True), ("br, deflate", False), ("identity", False),
                             ("xgzip", False), ("gzipx", False), ("br;q=0, gzip;q=0.001", True), ("", False), (",,;q=0", False)):
            for path in (script, script + "?x"):  # both roads
                with self.subTest(said=said, path=path):
                    self.assertEqual(browser.ask("GET", path, headers={"Accept-Encoding": said}).headers["Content-Encoding"], "gzip" if packed else None)

    def test_both_roads_give_the_same(self):
        """A path with a query goes through evhttp: the answer is that of the gate's own road, but for where it stands."""
        world, browser = self.world_with_page()
        script = f"/a/{browser.get('start')['build']}/js/main.js"
        tag = {path: browser.ask("GET", path, headers={"Accept-Encoding": "gzip"}).headers["ETag"] for path in ("/", "/index.html", script)}
        for method in ("GET", "HEAD"):
            for path in ("/", "/index.html", script):
                for more in ({}, {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "gzip", "If-None-Match": tag[path]},
                             {"If-None-Match": tag[path]}, {"Host": "evil.example"}, {"Host": "LOCALHOST:99"}, {"Host": "localhost@x"}):
                    with self.subTest(method=method, path=path, more=more):
                        seen = []
                        for target in (path, path + "?x"):
                            reply = browser.ask(method, target, headers=more)
                            headers = sorted((name, value) for name, value in reply.headers.items() if name != "Date")
                            self.assertTrue(reply.status == 400 or reply.headers["Date"], reply)
                            seen.append((reply.status, headers, reply.body))
                        self.assertEqual(*seen)
                        self.assertEqual(seen[0][0], 421 if more.get("Host") == "evil.example" else 400 if "@" in more.get("Host", "")
                                         else 304 if "If-None-Match" in more and "Accept-Encoding" in more else 200)
                        self.assertEqual(seen[0][2] == b"", method == "HEAD" or seen[0][0] == 304)

    def test_files_and_the_api_on_one_connection(self):
        world, browser = self.world_with_page()
        script = f"/a/{browser.get('start')['build']}/js/main.js"
        bodies = {path: browser.ask("GET", path).body for path in ("/", script, "/api/v1/start")}
        asked = [("GET", "/"), ("GET", "/api/v1/start"), ("HEAD", script), ("GET", script), ("POST", "/"), ("GET", "/"), ("GET", "/nowhere"),
                 ("GET", "/api/v1/start"), ("GET", "/")]
        with browser.connect() as connection:
            connection.sendall("".join(f"{method} {path} HTTP/1.1\r\nHost: {browser.host}\r\n"
                                       f"{'Connection: close' if number == len(asked) - 1 else 'X: y'}\r\n\r\n"
                                       for number, (method, path) in enumerate(asked)).encode())
            rest = b""
            while part := connection.recv(65536):
                rest += part
        for method, path in asked:
            with self.subTest(method=method, path=path):
                head, _, rest = rest.partition(b"\r\n\r\n")
                length = int(re.search(rb"(?im)^content-length: (\d+)", head)[1])
                body, rest = (b"", rest) if method == "HEAD" else (rest[:length], rest[length:])
                status = 405 if method == "POST" else 404 if path == "/nowhere" else 200
                self.assertTrue(head.startswith(b"HTTP/1.1 %d " % status), head)
                if status == 200 and path in ("/", script):
                    self.assertEqual(length, len(bodies[path]))
                    self.assertEqual(body, b"" if method == "HEAD" else bodies[path])
        self.assertEqual(rest, b"")

    def test_a_client_that_stops_reading_gets_all_of_it_later(self):
        world, browser = self.world_with_page()
        script = f"/a/{browser.get('start')['build']}/js/main.js"
        body, count = browser.ask("GET", script).body, 300
        with browser.connect() as connection:
            request = f"GET {script} HTTP/1.1\r\nHost: {browser.host}\r\n"
            connection.sendall(f"{request}\r\n".encode() * (count - 1) + f"{request}Connection: close\r\n\r\n".encode())
            for _ in range(20):
                self.assertEqual(browser.ask("GET", script).body, body, "others are served")
            received = []
            while part := connection.recv(1 << 20):
                received.append(part)
        self.assertEqual(b"".join(received).count(body), count)

    def test_nothing_else_is_served(self):
        world, browser = self.world_with_page()
        build = browser.get("start")["build"]
        for path in ("/app.css.gz", f"/a/{build}/../../etc/passwd", f"/a/{build}/%2e%2e/x.js", f"/a/{build}/", "/a/", "/a", f"/a/{build}/js", "/favicon.ico",
                     f"/a/{build}/js/none.js", "/js/main.js", "/etc/passwd", f"/a/{build}/js/main.js/", "/./index.html", "/INDEX.HTML"):
            with self.subTest(path=path):
                self.assertEqual(browser.ask("GET", path).status, 404)
        self.assertEqual(browser.ask("GET", "/a/an-old-build/js/main.js").status, 200, "a page that was open during an update")

    def test_static_dir(self):
        folder = None
        world = self.world()
        folder = world.given / "static"
        (folder / "js").mkdir(parents=True)
        (folder / "index.html").write_text("<title>mine</title>")
        (folder / "js" / "x.js").write_text("one")
        (folder / "notes.txt").write_text("secret")
        (folder / "link.js").symlink_to("/etc/passwd")
        world.start_eyes()
        world.start_daemon("--static-dir", folder)
        browser = Browser(world)
        self.assertEqual(browser.ask("GET", "/").body, b"<title>mine</title>")
        self.assertEqual(browser.ask("GET", "/js/x.js").body, b"one")
        (folder / "js" / "x.js").write_text("two")
        reply = browser.ask("GET", "/js/x.js", headers={"Accept-Encoding": "gzip"})
        self.assertEqual((reply.body, reply.headers["Cache-Control"]), (b"two", "no-store"))
        self.assertIn("default-src", reply.headers["Content-Security-Policy"])
        for path in ("/notes.txt", "/link.js", "/../given/static/index.html", "/js", "/js/../index.html", "/none.js"):
            with self.subTest(path=path):
                self.assertEqual(browser.ask("GET", path).status, 404)
        self.assertEqual(browser.ask("GET", "/js/x.js", headers={"Host": "evil.example"}).status, 421)
        browser.sign_in()


if __name__ == "__main__":
    unittest.main()
