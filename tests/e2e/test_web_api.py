"""What the page asks: the frame of the API, its bad inputs, the live checks, listings, long actions."""

import json
import re
import threading
import time
import unittest

from harness import SLOW, free_port, sha, wait_for
from web import Browser, WebTest

MANY = 10000


class Frame(WebTest):
    def test_errors_have_one_shape(self):
        world, browser = self.signed_in()
        for method, path, body, status, code in (
                ("GET", "/api/v1/nowhere", None, 404, "not_found"), ("GET", "/nowhere", None, 404, "not_found"),
                ("GET", "/api/v1/status/", None, 404, "not_found"), ("GET", "/metrics", None, 404, "not_found"),
                ("GET", "/api/v1/jobs/", None, 404, "not_found"), ("GET", "/api/v1/servers/1/x", None, 404, "not_found"),
                ("POST", "/api/v1/servers", b"{", 400, "json"), ("POST", "/api/v1/servers", b"[]", 400, "json"),
                ("POST", "/api/v1/servers", b'"x"', 400, "json"), ("POST", "/api/v1/servers", b"\xff\xfe", 400, "json"),
                ("POST", "/api/v1/servers", b'{"url":1,"url":2}', 400, "json"), ("POST", "/api/v1/servers", None, 400, "json"),
                ("POST", "/api/v1/servers", b'{"url":"x\\u0000y"}', 400, "json"), ("POST", "/api/v1/servers", b"{}{}", 400, "json"),
                ("POST", "/api/v1/servers", b"[" * 100000, 400, "json"), ("GET", "/api/v1/status", b"{", 400, "json"),
                ("POST", "/api/v1/servers", b" " * (512 * 1024 + 1), 413, "body_too_large"),
                ("PUT", "/api/v1/status", {}, 405, "method"), ("DELETE", "/api/v1/servers", None, 405, "method")):
            with self.subTest(method=method, path=path, body=str(body)[:40]):
                reply = browser.ask(method, path, body)
                self.assertEqual((reply.status, reply.code), (status, code), reply)
                self.assertTrue(reply.error["message"])
                self.assertEqual(reply.headers["Content-Type"], "application/json")
                self.assertEqual(reply.headers["X-Content-Type-Options"], "nosniff")
                self.assertEqual(reply.headers["Cache-Control"], "no-store")
        self.assertEqual(browser.ask("POST", "/api/v1/servers/check", b'{"url":"' + b"a" * 500000 + b'"}').status, 400)

    def allowed(self, browser, method, path):
        reply = browser.ask(method, path, {} if method != "GET" else None)
        self.assertEqual(reply.status, 405, reply)
        return {word.strip() for word in reply.headers["Allow"].split(",")}

    def test_405_names_what_is_allowed(self):
        world, browser = self.signed_in()
        self.assertEqual(self.allowed(browser, "POST", "/api/v1/status"), {"GET", "HEAD"})
        self.assertEqual(self.allowed(browser, "PUT", "/api/v1/session"), {"GET", "HEAD", "POST", "DELETE"})
        self.assertEqual(self.allowed(browser, "GET", "/api/v1/servers/7"), {"PUT", "DELETE"})
        self.assertEqual(self.allowed(browser, "GET", "/api/v1/queue/drop"), {"POST"})
        self.assertEqual(self.allowed(browser, "DELETE", "/healthz"), {"GET", "HEAD"})
        self.assertEqual(self.allowed(browser, "POST", "/"), {"GET", "HEAD"})
        self.assertEqual(browser.ask("PATCH", "/api/v1/status").status, 405)
        self.assertEqual(browser.ask("BREW", "/api/v1/status").status, 501)

    def test_head(self):
        world, browser = self.signed_in()
        for path in ("/", "/healthz", "/api/v1/account", "/api/v1/nowhere"):
            full, head = browser.ask("GET", path), browser.ask("HEAD", path)
            self.assertEqual((head.status, head.body), (full.status, b""), path)
            for name in ("Content-Type", "Content-Length", "Cache-Control", "ETag"):
                if name != "Content-Length" or full.headers[name] == head.headers[name]:
                    self.assertEqual(head.headers[name], full.headers[name], path)
        self.assertEqual(browser.ask("HEAD", "/api/v1/account", headers={"Cookie": ""}).status, 401)
        self.assertEqual(browser.ask("HEAD", "/api/v1/servers/check").status, 405)

    def test_headers_of_every_answer(self):
        world, browser = self.signed_in()
        for path in ("/", "/api/v1/status", "/healthz", "/api/v1/nowhere", "/api/v1/session"):
            headers = browser.ask("GET", path).headers
            policy = headers["Content-Security-Policy"]
            for words in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "connect-src 'self'"):
                self.assertIn(words, policy)
            self.assertNotRegex(policy, "unsafe|\\*|http")
            self.assertEqual((headers["X-Content-Type-Options"], headers["Referrer-Policy"], headers["Cross-Origin-Opener-Policy"]),
                             ("nosniff", "no-referrer", "same-origin"))
            self.assertIsNone(headers["Access-Control-Allow-Origin"])

    def test_bad_inputs(self):
        world, browser = self.signed_in(enable=True)
        wanted = {"repositories": ["PRJ/web"], "token": "t"}
        cases = {
            "POST servers": ({"url": ""}, {"url": 7}, {"url": "two words"}, {"url": "ftp://x"}, {"url": "https://u:p@x"}, {"url": "https://"},
                             {"url": "https://" + "x" * 3000}, {"url": "https://x", "ca": 1}, {"url": "https://x", "ca": "no PEM"}),
            "POST servers/check": ({}, {"url": ""}, {"url": None}, {"url": "javascript:alert(1)"}, {"url": "https://x", "ca": "x"},
                                   {"url": "https://x", "ca": "x" * 70000}),
            "PUT servers/1": ({}, {"ca": 1}, {"ca": "no PEM"}, {"ca": "x" * 70000}),
            "POST tokens/check": ({}, {"token": "t"}, {"repositories": []}, {"repositories": ["PRJ/web"]}, {**wanted, "token": ""}, {**wanted, "token": "a b"},
                                  {**wanted, "token": "t" * 5000}, {**wanted, "token": 1}, {**wanted, "repositories": "PRJ/web"}, {**wanted, "repositories": [1]},
                                  {**wanted, "repositories": ["x" * 300]}, {**wanted, "repositories": ["P/r"] * 5001}, {**wanted, "server": True}),
            "POST listings": ({"token": ""}, {"token": 1}, {"token": "a\u00e9"}, {"server": []}),
            "POST repositories/list": ({"token": ""}, {"search": 1}, {"search": "x" * 400}),
            "POST repositories/enable": ({}, wanted | {"token": " "}, wanted | {"async": 1}, wanted | {"repositories": []}, wanted | {"repositories": {}}),
            "POST repositories/token": ({}, wanted | {"token": None}, wanted | {"async": "yes"}),
            "POST repositories/disable": ({}, {"repositories": []}, {"repositories": [None]}, {"repositories": ["PRJ/web"], "async": 0}),
            "POST test-status": ({}, {"repository": "PRJ/web"}, {"commit": sha(1)}, {"repository": "PRJ/web", "commit": "x"}, {"repository": "web", "commit": sha(1)},
                                 {"repository": "PRJ/web", "commit": sha(1)[:39]}, {"repository": 1, "commit": sha(1)}, {"repository": "PRJ/web", "commit": "g" * 40}),
            "POST queue/retry": ({}, {"id": 0}, {"id": -1}, {"id": "1"}, {"id": 1, "all": True}, {"all": False}, {"all": 1}, {"id": 1.5}),
            "POST queue/drop": ({}, {"id": 0}, {"id": None}, {"all": True}),
            "PUT account": ({"key": "two\nlines"}, {"key": "sp ace"}, {}, {"key": ""}, {"key": 1}, {"key": "k" * 5000}),
            "POST account/check": ({"key": "sp ace"}, {}, {"key": ""}, {"key": 1}, {"key": "k" * 5000}),
            "PUT configuration": ({}, {"eyes_url": "https://x"}, {"eyes_url": 1, "organization": "o"}, {"eyes_url": "https://x", "organization": ""}),
        }
        for route, bodies in cases.items():
            method, path = route.split()
            for body in bodies:
                with self.subTest(route=route, body=str(body)[:60]):
                    reply = browser.api(method, path, body, expect=None)
                    self.assertEqual(reply.status, 400, reply)
                    self.assertTrue(reply.code and reply.error["message"])
        for path in ("repositories?limit=0", "repositories?limit=x", "repositories?limit=-1", "repositories?limit=1&after=x", "queue?limit=10001", "queue?state=x",
                     "updates?limit=0", "updates?limit=", "updates?after=-1", "audit?limit=1001", "audit?limit=99999999999999999999999",
                     "repositories?search=" + "x" * 400, "repositories?state=xyz", "repositories?search=%zz"):
            with self.subTest(path=path[:40]):
                self.assertEqual(browser.api("GET", path, expect=400).error.get("field", "-"), re.findall(r"[?&](\w+)=", path)[-1])
        for method, path in (("GET", "jobs/1"), ("GET", "jobs/x"), ("GET", "jobs/99999999999999999999999"), ("GET", "listings/0"), ("GET", "listings/7"),
                             ("DELETE", "servers/9"), ("DELETE", "servers/x"), ("POST", "servers/9/check"), ("POST", "servers/x/check"), ("POST", "servers/-1/check"),
                             ("PUT", "servers/9"), ("GET", "repositories?server=9"), ("DELETE", "servers/4294967297"), ("POST", "servers/4294967297/check")):
            with self.subTest(method=method, path=path):
                self.assertEqual(browser.api(method, path, {"ca": "x"} if method == "PUT" else None, expect=404).code, "not_found")
        for path, body in (("repositories/enable", wanted | {"server": "https://elsewhere.example"}), ("listings", {"server": "77"}),
                           ("test-status", {"repository": "PRJ/none", "commit": sha(1)}), ("queue/retry", {"id": 77}), ("queue/drop", {"id": 77})):
            with self.subTest(path=path):
                browser.post(path, body, 404)
        browser.post("servers", {"url": world.bitbucket.address + "/"}, 409)
        self.assertEqual(browser.api("DELETE", "servers/1", expect=409).code, "server_in_use")
        self.assertFalse(world.bitbucket.posts())


class Machine(WebTest):
    def test_machine(self):
        world, browser = self.signed_in(add=False)
        machine = browser.get("machine")
        self.assertEqual((machine["eyes"]["ok"], machine["eyes"]["url"], machine["way"]["value"], machine["clock"]["ok"]),
                         (True, world.eyes.url, "direct", True))
        self.assertEqual(machine["organization"]["value"], "org-1")
        self.assertLess(abs(machine["clock"]["offset_ms"]), 3000)
        world.eyes.stop()
        machine = browser.get("machine")
        self.assertFalse(machine["eyes"]["ok"])
        self.assertTrue(machine["eyes"]["error"]["hint"] and machine["eyes"]["error"]["trace"])

    def test_settings_with_sources(self):
        password = self.id()
        world = self.world(EYES_POLL_INTERVAL=None)
        world.start_eyes()
        secret = world.secret("proxy-password")
        config = world.file("eyes-scm.conf", "EYES_POLL_INTERVAL=7s\n")
        world.start_daemon("--config", config, env={"GITHUB_WEBHOOK_SECRET": secret, "NO_PROXY": "localhost",
                                                    "HTTPS_PROXY": f"http://user:{secret}@proxy.example:3128"})
        browser = Browser(world)
        browser.sign_in()
        reply = browser.api("GET", "settings")
        settings = {one["name"]: one for one in reply.json["settings"]}
        self.assertEqual(settings["EYES_POLL_INTERVAL"]["value"], "7s")
        self.assertIn("eyes-scm.conf", settings["EYES_POLL_INTERVAL"]["source"])
        self.assertIn("environment", settings["EYES_ORG_ID"]["source"])
        self.assertTrue(settings["GITHUB_WEBHOOK_SECRET"]["value"])
        diagnosis = browser.api("GET", "diagnosis")
        for text in (reply.body.decode(), diagnosis.body.decode()):
            for word in (secret, world.key, browser.cookie, browser.token, password):
                self.assertNotIn(word, text)

    def test_diagnosis(self):
        world, browser = self.signed_in(enable=True)
        world.wait_outcome(world.send(), "delivered")
        reply = browser.api("GET", "diagnosis")
        self.assertRegex(reply.headers["Content-Disposition"], "^attachment; filename=")
        self.assertLessEqual({"made", "status", "settings"}, set(reply.json))
        self.assertTrue(reply.json["status"]["updates"])
        for word in (world.key, world.token, browser.cookie, browser.token):
            self.assertNotIn(word, reply.body.decode())

    def test_everything_of_the_commands(self):
        """The same API as on the control socket, and the same answers."""
        world, browser = self.signed_in(enable=True)
        world.wait_outcome(world.send(), "delivered")
        world.wait_idle()
        for path in ("account", "servers", "repositories", "queue", "updates", "audit"):
            self.assertEqual(browser.get(path), world.get(path), path)
        self.assertEqual(browser.get("status")["account"], world.status()["account"])
        entries = browser.get("audit")["entries"]
        own = "eyes@example.com, browser"
        self.assertEqual({entry["who"] for entry in entries if entry["action"] != "account.set"}, {own})
        self.assertEqual({entry["who"] for entry in entries if entry["action"] == "account.set"}, {"browser"})
        self.assertEqual({entry["from"] for entry in entries}, {"127.0.0.1"})


class Servers(WebTest):
    def check(self, browser, url, status, code=None, ca=None):
        body = {"url": url} if ca is None else {"url": url, "ca": ca}
        before = browser.get("servers")
        reply = browser.post("servers/check", body, status)
        self.assertEqual(browser.get("servers"), before, "looking changes nothing")
        if code:
            self.assertEqual(reply.code, code, reply)
            self.assertTrue(reply.error["message"] and reply.error["hint"], reply)
        return reply.json if status == 200 else reply.error

    def test_check(self):
        world, browser = self.signed_in(add=False, bitbucket={"context": "/bitbucket"})
        found = self.check(browser, f"  {world.bitbucket.address}/ ", 200)
        self.assertEqual((found["url"], found["version"]), (world.bitbucket.address, "9.4.0"))
        self.assertIn("Bitbucket", found["product"])
        self.assertTrue(found["trace"])
        error = self.check(browser, world.bitbucket.url, 422, "not_bitbucket")
        self.assertIn("trace", error)
        self.check(browser, world.eyes.url, 422, "not_bitbucket")
        error = self.check(browser, f"http://localhost:{free_port()}", 502, "server_refused")
        self.assertEqual([step["outcome"] for step in error["trace"] if step["hop"] == "TCP"][-1] != "ok", True)
        self.check(browser, "https://no-such-host.invalid", 502, "server_dns")
        world.bitbucket.fault("status", status=302, headers={"Location": "https://sso.example.com/login?x=secret-ticket"}, times=1)
        error = self.check(browser, world.bitbucket.address, 422, "login_page")
        self.assertNotIn("secret-ticket", json.dumps(error))
        world.bitbucket.fault("hang", times=1)
        self.check(browser, world.bitbucket.address, 502, "server_timeout")
        browser.post("servers", {"url": world.bitbucket.address}, 201)
        self.check(browser, world.bitbucket.address, 409, "server_exists")

    def test_certificates_and_replacing_the_ca(self):
        world, browser = self.signed_in(add=False, bitbucket={"tls": "tls-other"})
        own, other = world.bitbucket.ca.read_text(), world.eyes.ca.read_text()
        error = self.check(browser, world.bitbucket.address, 502, "tls_untrusted")
        self.assertIn("TLS", error["hop"])
        self.check(browser, world.bitbucket.address, 502, "tls_untrusted", ca=other)
        self.check(browser, world.bitbucket.address, 400, "ca_invalid", ca="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        self.check(browser, world.bitbucket.address, 200, ca=own)
        server = browser.post("servers", {"url": world.bitbucket.address, "ca": own}, 201).json
        self.assertTrue(server["ca"])
        path = f"servers/{server['id']}"
        for ca, code in ((other, "tls_untrusted"), ("hello", "ca_invalid")):
            self.assertEqual(browser.api("PUT", path, {"ca": ca}, expect=None).code, code)
            self.assertEqual(browser.post(f"{path}/check").json["state"], "ok", "nothing has changed")
        for wrong in ("/nowhere.pem", "relative.pem", "/etc/passwd", "/dev/zero", str(world.state_dir)):
            answer = browser.api("PUT", path, {"ca_path": wrong}, expect=400)
            self.assertEqual(answer.code, "ca_invalid", wrong)
        self.assertEqual(browser.api("PUT", path, {"ca_path": str(world.bitbucket.ca)}).json["state"], "ok")
        both = other + own
        self.assertEqual(browser.api("PUT", path, {"ca": both}).json["state"], "ok")
        self.assertIn("server.ca", [entry["action"] for entry in browser.get("audit")["entries"]])
        browser.post("repositories/enable", {"repositories": ["PRJ/web"], "token": world.token})
        world.wait_outcome(world.send(), "delivered")
        world.restart_daemon()
        self.assertEqual(browser.moved().post(f"{path}/check").json["state"], "ok")

    def test_wrong_name(self):
        world, browser = self.signed_in(add=False, bitbucket={"tls": "tls-other", "args": ("--cert-name", "bitbucket.example.com")})
        error = self.check(browser, world.bitbucket.address, 502, "tls_name", ca=world.bitbucket.ca.read_text())
        self.assertIn("bitbucket.example.com", error["message"])

    def test_expired(self):
        world, browser = self.signed_in(add=False, bitbucket={"tls": "tls-other", "args": ("--cert-expired",)})
        self.check(browser, world.bitbucket.address, 502, "tls_expired", ca=world.bitbucket.ca.read_text())

    def test_asking_one_that_is_set_up(self):
        world, browser = self.signed_in()
        self.assertEqual(browser.post("servers/1/check").json["state"], "ok")
        world.bitbucket.fault("status", status=503)
        server = browser.post("servers/1/check").json
        self.assertEqual(server["state"], "failing")
        self.assertIn("503", server["message"])
        self.assertTrue(server["trace"])
        world.bitbucket.heal()
        self.assertEqual(browser.post("servers/1/check").json["state"], "ok")
        browser.api("DELETE", "servers/1", expect=204)
        self.assertEqual(browser.get("servers"), {"servers": []})


class Roads(WebTest):
    """Reads of the API go by the gate's direct road; the same target in absolute form goes through evhttp, and so does
    all of the control socket."""

    def both(self, browser, path, method="GET", **more):
        seen = []
        for target in (path, f"http://{more.get('headers', {}).get('Host', browser.host)}{path}"):
            reply = browser.ask(method, target, **more)
            seen.append((reply.status, sorted((name, value) for name, value in reply.headers.items() if name != "Date"), reply.body))
            self.assertTrue(reply.headers["Date"], reply)
        self.assertEqual(*seen)
        return seen[0]

    def test_both_give_the_same(self):
        world, browser = self.signed_in(enable=True)
        other = Browser(world)  # not signed in
        for path, status in (("repositories", 200), ("repositories?limit=1&after=0", 200), ("repositories?limit=0", 400),
                             ("repositories?search=%77eb&state=enabled", 200), ("repositories?state=x", 400), ("repositories?search=%0", 400),
                             ("repositories/1", 200), ("repositories/1?x", 200), ("repositories/99", 404), ("repositories/%31", 404),
                             ("repositories?", 200), ("account", 200), ("servers", 200), ("settings", 200), ("audit", 200), ("updates", 200),
                             ("queue", 200), ("relay", 200), ("start", 200), ("jobs/9", 404), ("listings/9", 404),
                             ("nowhere", 404), ("", 404), ("servers/check", 405), ("setup-code", 404)):
            path = "/api/v1/" + path
            for method in ("GET", "HEAD"):
                with self.subTest(path=path, method=method):
                    seen = self.both(browser, path, method)
                    self.assertEqual(seen[0], status)
                    self.assertEqual(seen[2] == b"", method == "HEAD")
            for who, more, status in ((other, {}, None), (browser, {"X-Eyes-Scm-Token": "0" * 64}, None), (browser, {"Cookie": ""}, None),
                                      (browser, {"Host": "evil.example"}, 421), (browser, {"Origin": "http://evil.example"}, None),
                                      (browser, {"Sec-Fetch-Site": "cross-site"}, None)):
                with self.subTest(path=path, more=more):
                    seen = self.both(who, path, headers=more)[0]
                    if status is not None and path.startswith("/api/v1/repositories"):
                        self.assertEqual(seen, status)
        self.assertEqual(self.both(other, "/api/v1/repositories")[0], 401)
        self.assertEqual(self.both(browser, "/api/v1/repositories", headers={"Origin": "http://evil.example"})[0], 403)
        for path in ("/healthz", "/readyz", "/metrics"):
            self.both(other, path)
        self.assertIn(("Content-Disposition", 'attachment; filename="eyes-scm-diagnosis.json"'), browser.ask("GET", "/api/v1/diagnosis").headers.items())

    def test_rows_follow_what_changes(self):
        world, browser = self.signed_in(repositories=("PRJ/web", "PRJ/api"))
        states = []

        def look(check, why):
            def same():
                rows = [browser.ask("GET", "/api/v1/repositories?limit=50").body, world.api("GET", "/api/v1/repositories?limit=50")[1],
                        browser.ask("GET", f"http://{browser.host}/api/v1/repositories?limit=50").body]
                row = next((row for row in json.loads(rows[0])["repositories"] if row["slug"] != "api"), None)
                return rows if row and check(row) and rows[0] == rows[1] == rows[2] else None
            states.append(wait_for(same, lambda: f"{why}: {browser.get('repositories')}")[0])
        browser.post("repositories/enable", {"repositories": ["PRJ/web", "PRJ/api"], "token": world.token})
        look(lambda row: row["state"] == "enabled" and row["events"]["state"] == "ok" and row["last_update"] is None, "enabled")
        world.wait_outcome(world.send(), "delivered")
        look(lambda row: row["last_update"]["outcome"] == "delivered" and row["waiting"] == 0, "delivered")
        world.bitbucket.fault("status", status=503, match={"method": "POST"})
        world.send()
        look(lambda row: row["waiting"] == 1, "it waits")
        world.bitbucket.heal()
        world.api("POST", "/api/v1/queue/retry", {"all": True})
        look(lambda row: row["waiting"] == 0, "it waits no more")
        number = browser.get("repositories?search=web")["repositories"][0]["id"]
        checked = browser.get(f"repositories/{number}")["events"]["checked"]
        time.sleep(0.01)
        browser.post("webhooks/check", {"repositories": ["PRJ/web"]})
        look(lambda row: row["events"]["checked"] > checked, "its webhook was looked at")
        token_at = browser.get(f"repositories/{number}")["token_at"]
        browser.post("repositories/token", {"repositories": ["PRJ/web"], "token": world.token})
        look(lambda row: row["token_at"] > token_at, "another token")
        world.bitbucket.setup(rename={"PRJ/web": "PRJ/shop"}, moved="follow")
        browser.post(f"repositories/{number}/follow")
        look(lambda row: row["slug"] == "shop" and row["events"]["state"] == "ok", "another name")
        browser.post("repositories/disable", {"repositories": ["PRJ/shop"]})
        look(lambda row: row["state"] == "disabled" and row["events"]["state"] == "none", "disabled")
        self.assertEqual(len(set(states)), len(states))


class Repositories(WebTest):
    def wait_listing(self, browser, number, query=""):
        return wait_for(lambda: (view := browser.get(f"listings/{number}{query}"))["state"] != "reading" and view, "it is read", 60)

    def test_ten_thousand(self):
        world, browser = self.signed_in(repositories=("PRJ/web",), bitbucket={"args": ("--repositories", MANY)}, EYES_LOG_LEVEL="info")
        browser.post("repositories/enable", {"repositories": ["PRJ/web"], "token": world.token})
        slowest, reading = [0.0], threading.Event()

        def probe():
            while not reading.is_set():
                started = time.monotonic()
                self.assertEqual(browser.ask("GET", "/healthz").status, 200)
                slowest[0] = max(slowest[0], time.monotonic() - started)
                time.sleep(0.005)
        prober = threading.Thread(target=probe)
        prober.start()
        started = time.monotonic()
        try:
            number = browser.post("listings", {"token": world.token}, 202).json["listing"]
            self.assertLess(time.monotonic() - started, 1 * SLOW, "it answers at once")
            view = self.wait_listing(browser, number)
            self.assertEqual((view["state"], view["read"], view["truncated"]), ("done", MANY + 1, False), view.get("error"))
            self.assertEqual(view["total"], MANY + 1)
            self.assertEqual(len(view["repositories"]), 100)
            self.assertEqual(sum(project["count"] for project in view["projects"]), MANY + 1)
            names = []
            for offset in range(0, MANY + 1, 1000):
                page = browser.get(f"listings/{number}?offset={offset}&limit=1000")
                self.assertEqual("projects" in page, offset == 0)
                names += [(one["project"], one["slug"]) for one in page["repositories"]]
            self.assertEqual(len(set(names)), MANY + 1)
            self.assertEqual(names, sorted(names, key=lambda name: (name[0].lower(), name[1].lower())))
            some = names[7777]
            found = browser.get(f"listings/{number}?search={some[1][1:].upper()}")
            self.assertIn(some, [(one["project"], one["slug"]) for one in found["repositories"]])
            self.assertLess(found["total"], MANY)
            started = time.monotonic()
            for _ in range(20):
                browser.get(f"listings/{number}?search=we")
            self.assertLess((time.monotonic() - started) / 20, 0.1 * SLOW, "while one types")
            started = time.monotonic()
            enabled = browser.get(f"listings/{number}?show=enabled")
            self.assertLess(time.monotonic() - started, 0.5 * SLOW)
            self.assertEqual([(one["project"], one["slug"], one["state"], one["access"]) for one in enabled["repositories"]],
                             [("PRJ", "web", "enabled", "admin")])
            self.assertEqual(browser.get(f"listings/{number}?search=no-such-name")["total"], 0)
            self.assertEqual(browser.get(f"listings/{number}?offset=99999")["repositories"], [])
        finally:
            reading.set()
            prober.join()
        self.assertLess(slowest[0], 0.5 * SLOW, "the daemon stays responsive")
        for query in ("limit=0", "limit=1001", "offset=-1", "show=some", "search=" + "x" * 400):
            browser.api("GET", f"listings/{number}?{query}", expect=400)

    def test_listing_with_and_without_a_token(self):
        world, browser = self.signed_in()
        world.bitbucket.setup(projects=[{"key": "OPEN", "name": "Open", "public": True}],
                              repositories=[{"project": "OPEN", "slug": "docs", "public": True}])
        reader = world.secret("reader")
        world.bitbucket.token(reader, user="reader", read=["PRJ/*", "OPEN/*"], admin=["PRJ/web"])

        def seen(token=None):
            number = browser.post("listings", {"token": token} if token else {}, 202).json["listing"]
            return {f"{one['project']}/{one['slug']}": one for one in self.wait_listing(browser, number)["repositories"]}
        self.assertEqual(set(seen()), {"OPEN/docs"})
        mine = seen(reader)
        self.assertEqual(mine["PRJ/web"]["access"], "admin")
        self.assertIn(mine["OPEN/docs"]["access"], ("read", ""))
        self.assertTrue(mine["OPEN/docs"]["public"])
        self.assertEqual(mine["PRJ/web"]["state"], "none")
        browser.post("repositories/enable", {"repositories": ["PRJ/web"], "token": world.token})
        self.assertEqual(seen()["PRJ/web"]["state"], "enabled", "what a stored token sees")
        number = browser.post("listings", {"token": world.secret("bad")}, 202).json["listing"]
        view = self.wait_listing(browser, number)
        self.assertEqual((view["state"], view["error"]["code"]), ("failed", "token_refused"))
        self.assertTrue(view["error"]["hint"])
        world.bitbucket.fault("status", status=500, match={"path": "/repos?"})
        self.assertEqual(self.wait_listing(browser, browser.post("listings", {"token": reader}, 202).json["listing"])["state"], "failed")

    def test_hundred_are_enabled_and_one_fails(self):
        names = [f"PRJ/r{number}" for number in range(100)]
        world, browser = self.signed_in(repositories=names)
        world.bitbucket.fault("slow", delay_ms=20)
        wanted = names[:50] + ["PRJ/gone"] + names[50:]
        stream = self.events(browser)
        started = time.monotonic()
        job = browser.post("repositories/enable", {"repositories": wanted, "token": world.token, "async": True}, 202).json["job"]
        self.assertLess(time.monotonic() - started, 0.5 * SLOW)
        first = browser.get(f"jobs/{job}")
        self.assertEqual((first["state"], first["total"]), ("running", 101))
        self.assertEqual(stream.next("job").data["number"], job)
        middle = wait_for(lambda: (view := browser.get(f"jobs/{job}"))["done"] > 5 and view, "progress")
        self.assertEqual(len(middle["results"]), middle["done"])
        done = browser.wait_job(job, 60 * SLOW)  # their webhooks are made one after the other, since they share a token
        self.assertEqual((done["total"], done["done"], done["failed"]), (101, 101, 1))
        self.assertEqual([result["repository"] for result in done["results"]], wanted)
        bad, = [result for result in done["results"] if not result["ok"]]
        self.assertEqual(bad["repository"], "PRJ/gone")
        self.assertIn(bad["error"]["code"], ("repo_unknown", "repo_missing"))
        self.assertTrue(bad["error"]["hint"])
        self.assertEqual({result["owner"] for result in done["results"] if result["ok"]}, {"build-bot"})
        self.assertEqual(browser.get("start")["enabled"], 100)
        world.bitbucket.heal()
        world.bitbucket.repository("PRJ/gone")
        job = browser.post("repositories/enable", {"repositories": ["PRJ/gone"], "token": world.token, "async": True}, 202).json["job"]
        self.assertEqual(browser.wait_job(job)["failed"], 0)
        fresh = world.secret("fresh")
        world.bitbucket.token(fresh, user="carol")
        job = browser.post("repositories/token", {"repositories": names, "token": fresh, "async": True}, 202).json["job"]
        self.assertEqual({result["owner"] for result in browser.wait_job(job)["results"]}, {"carol"})
        job = browser.post("repositories/disable", {"repositories": names[:60], "async": True}, 202).json["job"]
        self.assertEqual(browser.wait_job(job)["failed"], 0)
        self.assertEqual(browser.get("start")["enabled"], 41)
        listed = browser.get("repositories?state=enabled&limit=30")
        self.assertEqual((len(listed["repositories"]), bool(listed["next"])), (30, True))
        rest = browser.get(f"repositories?state=enabled&limit=30&after={listed['next']}")
        self.assertEqual((len(rest["repositories"]), rest["next"]), (11, None))
        self.assertEqual(len(browser.get("repositories?search=R99")["repositories"]), 1)

    def test_job_with_a_bad_token(self):
        world, browser = self.signed_in()
        job = browser.post("repositories/enable", {"repositories": ["PRJ/web", "nonsense"], "token": world.secret("bad"), "async": True}, 202).json["job"]
        done = browser.wait_job(job)
        self.assertEqual((done["failed"], done["error"]["code"]), (2, "token_refused"))
        self.assertEqual(browser.get("start")["enabled"], 0)

    def test_token_check(self):
        world, browser = self.signed_in(repositories=("PRJ/web", "PRJ/api", "PRJ/app"))
        weak = world.secret("weak")
        world.bitbucket.token(weak, user="dora", read=["PRJ/web", "PRJ/api"], admin=["PRJ/api"])
        found = browser.post("tokens/check", {"token": f" {weak}\n", "repositories": ["PRJ/web", "PRJ/api", "PRJ/app", "no name"]}).json
        self.assertEqual(found["owner"], "dora")
        self.assertEqual([(one["ok"], one.get("read"), one.get("admin")) for one in found["repositories"]],
                         [(True, True, False), (True, True, True), (False, None, None), (False, None, None)])
        self.assertTrue(found["repositories"][2]["error"]["code"])
        self.assertEqual(found["repositories"][3]["error"]["code"], "repo_format")
        self.assertEqual(browser.get("repositories")["repositories"], [], "looking changes nothing")
        self.assertEqual(browser.post("tokens/check", {"token": world.secret("bad"), "repositories": ["PRJ/web"]}, 422).code, "token_refused")
        world.bitbucket.fault("status", status=503)
        browser.post("tokens/check", {"token": weak, "repositories": ["PRJ/web"]}, 502)

    def test_test_status(self):
        world, browser = self.signed_in(enable=True)
        stream = self.events(browser)
        number = browser.post("test-status", {"repository": "prj/web", "commit": sha(5)}, 202).json["update"]
        self.assertTrue(number)
        world.bitbucket.wait_status(sha(5), "SUCCESSFUL", "tests/applitools-check")
        stream.next("update")
        row = wait_for(lambda: [row for row in browser.get("updates")["updates"] if row["commit"] == sha(5)], "it is in the journal")[0]
        self.assertEqual((row["outcome"], row["key"], row["repository"]), ("delivered", "tests/applitools-check", "PRJ/web"))
        self.assertIn("status.test", [entry["action"] for entry in browser.get("audit")["entries"]])
        self.assertFalse(world.eyes.outcomes(), "Eyes did not ask for it")
        browser.post("repositories/disable", {"repositories": ["PRJ/web"]})
        self.assertEqual(browser.post("test-status", {"repository": "PRJ/web", "commit": sha(5)}, 404).code, "repo_disabled")

    def test_what_waits_is_retried_and_dropped(self):
        world, browser = self.signed_in(enable=True)
        world.bitbucket.token(world.token, revoked=True)
        ids = world.send_all([world.command(commit=number) for number in (1, 2)])
        blocked = wait_for(lambda: len(rows := browser.get("queue?state=blocked")["updates"]) == 2 and rows, "both wait")
        gone = [row for row in blocked if row["commit"] == sha(1)][0]
        self.assertEqual(browser.post("queue/drop", {"id": gone["id"]}).json, {"dropped": 1})
        world.wait_outcome(ids[0], "rejected")
        world.bitbucket.token(world.token)
        browser.post("repositories/token", {"repositories": ["PRJ/web"], "token": world.token})
        world.wait_outcome(ids[1], "delivered")


if __name__ == "__main__":
    unittest.main()
