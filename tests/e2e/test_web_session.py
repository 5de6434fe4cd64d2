"""Who may use the page: signing in, sessions, and what a hostile page in the browser cannot do."""

import datetime
import http.client
import json
import pathlib
import re
import unittest

from harness import free_port, wait_for
from web import COOKIE, TOKEN_HEADER, Browser, WebTest

ROUTER = pathlib.Path(__file__).resolve().parents[2] / "src" / "web" / "router.c"


def routes():
    """(method, path, flags) of src/web/router.c: a new route is tested without being named here."""
    found = re.findall(r'\{"([A-Z]+)", "(/[^"]+)", \w+, ([^}]*)\}', ROUTER.read_text())
    assert len(found) > 30, found
    return [(method, path.replace("{id}", "1"), flags) for method, path, flags in found]


class SignIn(WebTest):
    def new_world(self, **settings):
        world = self.world(**settings)
        world.start_eyes()
        world.start_daemon()
        return world, Browser(world)

    def test_first_key_makes_the_account(self):
        world, browser = self.new_world()
        start = browser.get("start")
        self.assertEqual((start["account"], start["setup_code"], start["enabled"]), (False, False, 0))
        self.assertEqual(start["configured"]["eyes_url"]["value"], world.eyes.url)
        self.assertIn("environment", start["configured"]["organization"]["source"])
        self.assertTrue(start["version"] and start["build"] and start["host"])
        reply = browser.sign_in(f"  {world.key}\n")
        self.assertRegex(browser.token, "^[0-9a-f]{64}$")
        self.assertRegex(browser.cookie, "^[0-9a-f]{64}$")
        self.assertNotEqual(browser.token, browser.cookie)
        self.assertEqual(reply.headers["Cache-Control"], "no-store")
        self.assertEqual((reply.json["account"]["configured"], reply.json["account"]["team"]), (True, "team-1"))
        self.assertEqual(set(reply.json["account"]["permissions"]), {"read", "write", "execute", "merge"})
        expires = datetime.datetime.fromisoformat(reply.json["expires"].replace("Z", "+00:00"))
        hours = (expires - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 3600
        self.assertAlmostEqual(hours, 12, delta=0.1)
        self.assertTrue(browser.get("start")["account"])
        self.assertEqual(browser.get("session")["account"]["team"], "team-1")
        self.assertEqual(world.ask("account", "show")["team"], "team-1")
        actions = [entry["action"] for entry in browser.get("audit")["entries"]]
        self.assertLessEqual({"account.set", "session.start"}, set(actions))
        self.assertEqual(world.get("audit")["entries"], browser.get("audit")["entries"])

    def test_later_keys_are_of_the_same_team(self):
        world, browser = self.new_world()
        browser.sign_in()
        before = world.ask("account", "show")
        mate, stranger = world.secret("mate"), world.secret("stranger")
        world.eyes.allow(mate, user="mate@example.com")
        world.eyes.allow(stranger, teamId="team-2")
        other = Browser(world)
        other.sign_in(mate)
        reply = Browser(world).try_key(stranger, expect=422)
        self.assertEqual(reply.code, "key_other_team")
        self.assertIn("team-1", reply.error["hint"])
        self.assertIsNone(reply.headers["Set-Cookie"])
        self.assertEqual(world.ask("account", "show"), before, "a later key changes nothing")
        self.assertTrue(browser.is_signed_in() and other.is_signed_in())

    def test_wrong_keys_are_counted_per_address(self):
        world, browser = self.new_world()
        wrong = world.secret("wrong")
        for left in (4, 3, 2, 1):
            reply = browser.try_key(wrong, expect=401)
            self.assertEqual(reply.code, "key_unknown")
            self.assertIn(f"{left} more {'try' if left == 1 else 'tries'} before a pause", reply.error["hint"])
            self.assertIsNone(reply.headers["Retry-After"])
            self.assertTrue(reply.error["trace"])
        browser.sign_in()  # a right one begins the count again
        for left in (4, 3, 2, 1, 0):
            reply = browser.try_key(wrong, expect=401)
        self.assertIn("The next try is in one minute", reply.error["hint"])
        self.assertTrue(50 < int(reply.headers["Retry-After"]) <= 60, reply)
        for key in (wrong, world.key):
            reply = browser.try_key(key, expect=429)
            self.assertEqual(reply.code, "key_rate")
            self.assertTrue(0 < int(reply.headers["Retry-After"]) <= 60, reply)
            self.assertIn("127.0.0.1", reply.error["message"])
        self.assertTrue(browser.is_signed_in(), "sessions go on")
        Browser(world, "127.0.0.2").sign_in()
        Browser(world, "127.0.0.3").try_key(wrong, expect=401)
        self.assertNotIn("a sign-in with a wrong key key=", world.log())

    def test_many_at_once_do_not_get_more_tries(self):
        world, browser = self.new_world()
        world.eyes.fault("slow", delay_ms=1000, match={"path": "api-key"})
        sockets = []
        for number in range(20):
            body = json.dumps({"key": f"wrong-{number}"})
            connection = browser.connect()
            self.addCleanup(connection.close)
            connection.sendall(f"POST /api/v1/session HTTP/1.1\r\nHost: {browser.host}\r\nConnection: close\r\n"
                               f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
            sockets.append(connection)
        statuses = [connection.recv(4096).split()[1].decode() for connection in sockets]
        self.assertEqual(sorted(statuses), ["401"] * 5 + ["429"] * 15)

    def test_eyes_unreachable(self):
        world, browser = self.new_world()
        world.eyes.stop()
        reply = browser.try_key(world.key, expect=502)
        self.assertRegex(reply.code, "^eyes_")
        self.assertTrue(reply.error["hop"] and reply.error["hint"] and reply.error["trace"])
        self.assertFalse(browser.get("start")["account"])
        world.eyes.start()
        world.eyes.allow(world.key)
        browser.sign_in()
        world.eyes.stop()
        Browser(world).sign_in()
        for _ in range(7):
            reply = browser.try_key(world.secret("other"), expect=502)
            self.assertRegex(reply.code, "^eyes_", "an unchecked key is not a wrong one")
        world.restart_daemon()
        Browser(world).sign_in()

    def test_eyes_fails(self):
        world, browser = self.new_world()
        world.eyes.fault("status", status=500)
        self.assertRegex(browser.try_key(world.key, expect=502).code, "^eyes_")

    def test_key_without_rights_or_expired(self):
        world, browser = self.new_world()
        weak, old = world.secret("weak"), world.secret("old")
        world.eyes.allow(weak, permissions=["read"])
        world.eyes.allow(old, expiresAt="2020-01-01T00:00:00Z")
        for _ in range(6):
            reply = browser.try_key(weak, expect=422)
            self.assertEqual(reply.code, "key_permissions")
        self.assertRegex(reply.error["message"], "write.*execute.*merge")
        reply = browser.try_key(old)
        self.assertIn((reply.status, reply.code), ((422, "key_expired"), (401, "key_unknown")))
        self.assertFalse(browser.get("start")["account"])
        self.assertIsNone(reply.headers["Set-Cookie"])

    def test_bad_input(self):
        world, browser = self.new_world()
        for body in ({}, {"key": ""}, {"key": " \n"}, {"key": 7}, {"key": None}, {"key": "k" * 5000}, {"key": ["k"]},
                     {"key": "k", "setup_code": 8}, {"key": "k", "setup_code": "x" * 40}):
            with self.subTest(body=str(body)[:50]):
                self.assertTrue(browser.api("POST", "session", body, expect=400).code)
        reply = browser.try_key("k" * 4097, expect=400)
        self.assertEqual((reply.code, reply.error["message"], reply.error["field"]), ("too_long", "that is too long to be a key", "key"))
        self.assertTrue(reply.error["hint"])
        self.assertFalse([request for request in world.eyes.requests() if "api-key" in request["target"]])

    def test_not_configured(self):
        world = self.world(EYES_ORG_ID=None)
        world.start_daemon()
        browser = Browser(world)
        start = browser.get("start")
        self.assertEqual(start["configured"], {"eyes_url": None, "organization": None})
        reply = browser.try_key(world.key, expect=409)
        self.assertEqual(reply.code, "config_missing")

    def test_setup_code(self):
        world, browser = self.new_world(EYES_SETUP_CODE="always")
        self.assertTrue(browser.get("start")["setup_code"])
        code = world.cli("setup-code").out.strip()
        self.assertRegex(code, "^[A-Z2-9]{4}-[A-Z2-9]{4}$")
        self.assertIn(code, world.log())
        for given in (None, "", "AAAA-AAAA", code[:-1].replace("-", ""), code + "A"):
            reply = browser.try_key(world.key, given, expect=403)
            self.assertEqual((reply.code, reply.error["field"]), ("setup_code", "setup_code"))
        self.assertEqual(browser.try_key(world.key, code, expect=429).code, "key_rate", "wrong codes are counted, too")
        self.assertFalse(world.eyes.requests(), "a key is not checked before the code")
        other = Browser(world, "127.0.0.2")
        self.assertEqual(other.try_key(world.secret("wrong"), code, expect=401).code, "key_unknown")
        other.sign_in(setup_code=f" {code.lower().replace('-', '')} ")
        self.assertFalse(browser.get("start")["setup_code"])
        self.assertIn("no setup code", world.cli("setup-code").out)
        Browser(world, "127.0.0.3").sign_in()

    def test_setup_code_is_new_at_each_start_and_not_on_tcp(self):
        world, browser = self.new_world(EYES_SETUP_CODE="always")
        first = world.cli("setup-code").out
        self.assertEqual(browser.api("GET", "setup-code", expect=None).status, 404)
        world.restart_daemon()
        self.assertNotEqual(world.cli("setup-code").out, first)
        browser.moved().sign_in(setup_code=world.cli("setup-code").out.strip())
        world.restart_daemon()
        self.assertFalse(browser.moved().get("start")["setup_code"])
        self.assertEqual(world.log().count("needs this setup code"), 2)

    def test_setup_code_when_others_can_reach_the_page(self):
        world, browser = self.new_world(EYES_LISTEN="0.0.0.0:0")
        self.assertTrue(browser.get("start")["setup_code"])
        self.assertEqual(browser.try_key(world.key, expect=403).code, "setup_code")
        browser.sign_in(setup_code=world.cli("setup-code").out.strip())


class Cookie(WebTest):
    def attributes(self, reply):
        first, *rest = [part.strip() for part in reply.headers["Set-Cookie"].split(";")]
        return first, {name.lower(): value for name, _, value in (part.partition("=") for part in rest)}

    def test_attributes(self):
        world = self.world(EYES_ALLOWED_HOSTS="scm.example.com")
        world.start_eyes()
        world.start_daemon()
        browser = Browser(world)
        reply = browser.sign_in()
        self.assertEqual(len(reply.headers.get_all("Set-Cookie")), 1)
        first, attributes = self.attributes(reply)
        self.assertEqual(first, f"{COOKIE}={browser.cookie}")
        self.assertLessEqual({"path": "/", "httponly": "", "samesite": "Strict"}.items(), attributes.items())
        self.assertNotIn("domain", attributes)
        self.assertNotIn("secure", attributes, "plain HTTP on loopback")
        # The session slides; a cookie with an age of its own would end it in mid-work.
        self.assertNotIn("max-age", attributes)
        behind_tls = Browser(world)
        behind_tls.host, behind_tls.origin = "scm.example.com", "https://scm.example.com"
        self.assertIn("secure", self.attributes(behind_tls.sign_in())[1])
        reply = browser.api("DELETE", "session", expect=204)
        first, attributes = self.attributes(reply)
        self.assertEqual((first, attributes["max-age"]), (f"{COOKIE}=", "0"))
        self.assertEqual(reply.body, b"")


class Configuration(WebTest):
    """Step 0: the Eyes server and the organization, where nothing outside names them."""

    def new_world(self, **settings):
        world = self.world(EYES_LISTEN=f"127.0.0.1:{free_port()}", **settings)
        world.start_eyes()
        world.start_daemon(env={"EYES_SERVER_URL": None, "EYES_ORG_ID": None})
        return world, Browser(world)

    def wait_known(self, browser):
        """The daemon starts anew, in the same process and on the same port."""
        def known():
            try:
                return browser.get("start")["configured"]["organization"]
            except OSError:
                return None
        wait_for(known, "it is known")

    def test_a_check_keeps_nothing(self):
        world, browser = self.new_world()
        browser.api("PUT", "configuration", {"eyes_url": world.eyes.url, "check": True}, expect=204)
        error = browser.api("PUT", "configuration", {"eyes_url": f"http://localhost:{free_port()}", "check": True}, expect=502).error
        self.assertTrue(error["trace"])
        for body in ({"check": True}, {"eyes_url": world.eyes.url, "check": 1}, {"eyes_url": world.eyes.url, "check": False}):
            browser.api("PUT", "configuration", body, expect=400)
        self.assertEqual(browser.get("start")["configured"], {"eyes_url": None, "organization": None})
        self.assertNotIn("eyes.configure", [entry["action"] for entry in world.get("audit")["entries"]])
        browser.api("PUT", "configuration", {"eyes_url": world.eyes.url, "organization": "org-1"}, expect=204)
        self.wait_known(browser)
        self.assertEqual(browser.api("PUT", "configuration", {"eyes_url": world.eyes.url, "check": True}, expect=409).code, "configured")

    def test_needs_the_setup_code(self):
        world, browser = self.new_world(EYES_SETUP_CODE="always")
        self.assertTrue(browser.get("start")["setup_code"])
        code = world.cli("setup-code").out.strip()
        body = {"eyes_url": world.eyes.url, "organization": "org-1"}
        for check in (True, False):
            for given in ({}, {"setup_code": "AAAA-AAAA"}):
                reply = browser.api("PUT", "configuration", {**body, **given, "check": check}, expect=403)
                self.assertEqual((reply.code, reply.error["field"]), ("setup_code", "setup_code"))
        self.assertIn("1 more try before", reply.error["hint"])
        reply = browser.api("PUT", "configuration", body, expect=403)
        self.assertTrue(50 < int(reply.headers["Retry-After"]) <= 60, reply)
        reply = browser.api("PUT", "configuration", {**body, "setup_code": code}, expect=429)
        self.assertTrue(0 < int(reply.headers["Retry-After"]) <= 60, reply)
        self.assertFalse(world.eyes.requests(), "no server is asked before the code")
        other = Browser(world, "127.0.0.2")
        plain = code.replace("-", "").lower()
        other.api("PUT", "configuration", {**body, "setup_code": plain, "check": True}, expect=204)
        other.api("PUT", "configuration", {**body, "setup_code": plain}, expect=204)
        self.wait_known(other)
        self.assertTrue(other.get("start")["setup_code"], "the sign-in needs it, too")
        other.sign_in(setup_code=code)


class Tabs(WebTest):
    """Sessions of one browser: one cookie, a page token each."""

    def tabs(self):
        world, one = self.signed_in(add=False)
        return world, one, one.tab()

    def test_both_stay_signed_in(self):
        world, one, two = self.tabs()
        self.assertEqual(one.cookie, two.cookie)
        self.assertNotEqual(one.token, two.token)
        self.assertTrue(one.is_signed_in() and two.is_signed_in())
        sessions = one.get("sessions")["sessions"]
        self.assertEqual(sorted(one["current"] for one in sessions), [False, True])
        streams = [self.events(tab) for tab in (one, two)]
        for stream in streams:
            stream.next("hello")
        world.restart_daemon()
        self.assertTrue(one.moved().is_signed_in() and two.moved().is_signed_in())
        self.assertEqual({session["id"] for session in one.get("sessions")["sessions"]}, {session["id"] for session in sessions})
        world.kill_daemon()
        world.start_daemon()
        self.assertTrue(one.moved().is_signed_in() and two.moved().is_signed_in())

    def test_signing_out_ends_one(self):
        world, one, two = self.tabs()
        stream, other = self.events(one), self.events(two)
        reply = one.api("DELETE", "session", expect=204)
        self.assertIsNone(reply.headers["Set-Cookie"], "the other tab needs it")
        stream.wait_end()
        self.assertEqual(one.api("GET", "session", expect=401).code, "session_ended")
        self.assertTrue(two.is_signed_in())
        self.assertFalse(other.ended)
        self.assertEqual(len(two.get("sessions")["sessions"]), 1)
        reply = two.api("DELETE", "session", expect=204)
        self.assertIn("Max-Age=0", reply.headers["Set-Cookie"], "nobody needs it any more")
        world.restart_daemon()
        self.assertFalse(one.moved().is_signed_in() or two.moved().is_signed_in())

    def test_ending_another_tab(self):
        world, one, two = self.tabs()
        id = next(session["id"] for session in one.get("sessions")["sessions"] if not session["current"])
        one.api("DELETE", f"sessions/{id}", expect=204)
        self.assertFalse(two.is_signed_in())
        self.assertTrue(one.is_signed_in())
        again = one.tab()
        self.assertTrue(one.is_signed_in() and again.is_signed_in())
        self.assertEqual(again.cookie, one.cookie)

    def test_neither_secret_alone(self):
        world, one, two = self.tabs()
        stranger = Browser(world)
        stranger.sign_in()
        self.assertNotEqual(stranger.cookie, one.cookie)
        for cookie, token in ((one.cookie, ""), ("", two.token), (stranger.cookie, two.token), (one.cookie, stranger.token),
                              (one.cookie, one.cookie), (two.token, two.token)):
            stranger.api("GET", "session", expect=401, headers={"Cookie": cookie and f"{COOKIE}={cookie}", TOKEN_HEADER: token})

    def test_only_a_live_cookie_is_kept(self):
        world, one = self.signed_in(add=False)
        old = one.cookie
        one.api("DELETE", "session", expect=204)
        for cookie in (old, "0" * 64, "x", one.token):
            other = Browser(world)
            other.cookie = cookie
            other.sign_in()
            self.assertNotIn(other.cookie, (old, cookie))

    def test_a_wrong_key_in_one_tab(self):
        world, one, two = self.tabs()
        third = Browser(world)
        third.cookie = one.cookie
        reply = third.try_key(world.secret("wrong"), expect=401)
        self.assertIsNone(reply.headers["Set-Cookie"])
        self.assertTrue(one.is_signed_in() and two.is_signed_in())

    def test_another_team_ends_all(self):
        world, one, two = self.tabs()
        stranger = world.secret("stranger")
        world.eyes.allow(stranger, teamId="team-2")
        one.api("PUT", "account", {"key": stranger})
        wait_for(lambda: not (one.is_signed_in() or two.is_signed_in()), "both have ended")
        again = one.tab(stranger)
        self.assertNotEqual(again.cookie, one.cookie)


class Sessions(WebTest):
    def test_survive_a_restart(self):
        world, browser = self.signed_in(add=False)
        other = Browser(world)
        other.sign_in()
        before = browser.get("sessions")["sessions"]
        world.restart_daemon()
        self.assertEqual({one["id"] for one in browser.moved().get("sessions")["sessions"]}, {one["id"] for one in before})
        self.assertTrue(other.moved().is_signed_in())
        world.kill_daemon()
        world.start_daemon()
        self.assertTrue(browser.moved().is_signed_in())

    def test_sign_out(self):
        world, browser = self.signed_in(add=False)
        other = Browser(world)
        other.sign_in()
        stream = self.events(browser)
        browser.api("DELETE", "session", expect=204)
        stream.wait_end()
        self.assertEqual(browser.api("GET", "session", expect=401).code, "session_ended")
        self.assertTrue(other.is_signed_in())
        world.restart_daemon()
        self.assertFalse(browser.moved().is_signed_in())
        self.assertTrue(other.moved().is_signed_in())

    def test_ending_another(self):
        world, browser = self.signed_in(add=False)
        other = Browser(world)
        other.sign_in(headers={"User-Agent": "Phone/1.0 <b>é".encode().decode("latin-1")})
        stream = self.events(other)
        sessions = {one["current"]: one for one in browser.get("sessions")["sessions"]}
        self.assertEqual((sessions[False]["agent"], sessions[False]["address"]), ("Phone/1.0 <b>é", "127.0.0.1"))
        self.assertLessEqual({"id", "address", "started", "last_used", "current"}, set(sessions[True]))
        browser.api("DELETE", f"sessions/{sessions[False]['id']}", expect=204)
        stream.wait_end()
        self.assertEqual(other.api("GET", "session", expect=401).code, "session_ended")
        self.assertEqual(browser.api("DELETE", f"sessions/{sessions[False]['id']}", expect=404).code, "not_found")
        for id in ("0" * 16, "x", "%00", "1/2", "a" * 70):
            self.assertIn(browser.api("DELETE", f"sessions/{id}", expect=None).status, (400, 404))
        self.assertEqual(len(browser.get("sessions")["sessions"]), 1)
        self.assertEqual(world.api("DELETE", f"/api/v1/sessions/{sessions[True]['id']}")[0], 204)
        self.assertFalse(browser.is_signed_in())

    def test_only_hashes_on_disk(self):
        world, browser = self.signed_in(add=False)
        id = browser.get("sessions")["sessions"][0]["id"].encode()

        def store():
            return b"".join(path.read_bytes() for path in world.state_dir.rglob("*") if path.is_file())
        data = wait_for(lambda: id in (data := store()) and data, "the session is on disk")
        for secret in (browser.cookie, browser.token):
            self.assertNotIn(secret.encode(), data)
            self.assertNotIn(bytes.fromhex(secret), data)
        for answer in (browser.get("sessions"), browser.get("diagnosis"), browser.get("audit"), world.status()):
            self.assertNotIn(browser.cookie, json.dumps(answer))
            self.assertNotIn(browser.token, json.dumps(answer))

    def test_cookie_and_token_belong_together(self):
        world, browser = self.signed_in(add=False)
        other = Browser(world)
        other.sign_in()
        for cookie, token in ((browser.cookie, other.token), (browser.token, browser.cookie), (browser.cookie, browser.cookie),
                              (browser.cookie[:-1], browser.token), (browser.cookie + "0", browser.token),
                              (browser.cookie, browser.token + "0"), ("0" * 64, browser.token), ("x" * 64, "y" * 64),
                              (browser.cookie.upper(), browser.token + " x")):
            reply = browser.api("GET", "session", expect=401, headers={"Cookie": f"{COOKIE}={cookie}", TOKEN_HEADER: token})
            self.assertIn(reply.code, ("session_ended", "session_missing"))
            self.assertTrue(reply.error["hint"])
        browser.api("GET", "session", headers={"Cookie": f"a=b;{COOKIE}={browser.cookie};  c=d"})
        browser.api("GET", "session", expect=401, headers={"Cookie": f"x{COOKIE}={browser.cookie}"})

    def test_another_team_ends_them_all(self):
        world, browser = self.signed_in(add=False)
        stranger = world.secret("stranger")
        world.eyes.allow(stranger, teamId="team-2")
        world.cli("account", "set", "--key-file", "-", stdin=world.key)
        self.assertTrue(browser.is_signed_in(), "another key of the same team changes nothing")
        stream = self.events(browser)
        world.cli("account", "set", "--key-file", "-", stdin=stranger)
        wait_for(lambda: not browser.is_signed_in(), "the session of the old team has ended")
        stream.wait_end()
        self.assertEqual(Browser(world).try_key(world.key, expect=422).code, "key_other_team")
        Browser(world).sign_in(stranger)


class KeyCheck(WebTest):
    """POST account/check: whose key it is, before it is used."""

    def test_changes_nothing(self):
        world, browser = self.signed_in(add=False)
        mate, stranger = world.secret("mate"), world.secret("stranger")
        world.eyes.allow(mate, user="mate@example.com", expiresAt="2099-01-01T00:00:00Z", purpose="bridge")
        world.eyes.allow(stranger, teamId="team-2", user="other@example.com")
        before, audit = world.ask("account", "show"), browser.get("audit")
        found = browser.post("account/check", {"key": f" {mate}\n"}).json
        self.assertEqual((found["user"], found["team"], found["purpose"], found["other_team"]), ("mate@example.com", "team-1", "bridge", False))
        self.assertEqual(set(found["permissions"]), {"read", "write", "execute", "merge"})
        self.assertTrue(found["expires"].startswith("2099-01-01T00:00:00"))
        self.assertGreater(found["expires_in_days"], 365)
        found = browser.post("account/check", {"key": stranger}).json
        self.assertEqual((found["user"], found["team"], found["other_team"]), ("other@example.com", "team-2", True))
        self.assertEqual(world.ask("account", "show"), before)
        self.assertEqual(browser.get("audit"), audit)
        self.assertTrue(browser.is_signed_in(), "a key of another team ends nothing when it is only looked at")
        self.assertEqual(browser.api("PUT", "account", {"key": mate}).json["user"], "mate@example.com")

    def test_refused(self):
        world, browser = self.signed_in(add=False)
        weak, old = world.secret("weak"), world.secret("old")
        world.eyes.allow(weak, permissions=["read"])
        world.eyes.allow(old, expiresAt="2020-01-01T00:00:00Z")
        for key, status, codes in ((world.secret("wrong"), 422, "key_unknown"), (weak, 422, "key_permissions"),
                                   (old, 422, "key_expired key_unknown"), ("k" * 5000, 400, "too_long"), ("", 400, "empty")):
            self.assertIn(browser.api("POST", "account/check", {"key": key}, expect=status).code, codes)
        world.eyes.stop()
        self.assertRegex(browser.api("POST", "account/check", {"key": world.key}, expect=502).code, "^eyes_")
        self.assertTrue(browser.is_signed_in())

    def test_on_the_control_socket(self):
        world, _ = self.signed_in(add=False)
        self.assertEqual(world.api("POST", "/api/v1/account/check", {"key": world.key})[0], 200)


class Guards(WebTest):
    def test_every_route_needs_a_session(self):
        world, browser = self.signed_in(enable=True)
        before = world.get("audit")["entries"]
        nobody = Browser(world)
        only_cookie, only_token = Browser(world), Browser(world)
        only_cookie.cookie, only_token.token = browser.cookie, browser.token
        for method, path, flags in routes():
            body = {} if "WITH_BODY" in flags else None
            for who in (nobody, only_cookie, only_token):
                reply = who.ask(method, path, body)
                with self.subTest(method=method, path=path):
                    if "CONTROL" in flags:
                        self.assertEqual(reply.status, 404)
                    elif "OPEN" in flags or "HEALTH" in flags:
                        self.assertNotIn(reply.status, (401, 404, 405))
                    else:
                        self.assertEqual((reply.status, reply.code), (401, "session_missing"), reply)
            with self.subTest(method=method, path=path, signed_in=True):
                if "CONTROL" not in flags and path not in ("/api/v1/events", "/api/v1/session"):
                    self.assertNotIn(browser.ask(method, path, body).status, (401, 403, 405, 421, 500))
        kinds = {entry["action"] for entry in world.get("audit")["entries"][:-len(before)]}
        self.assertFalse(kinds & {"account.set", "server.remove", "repository.enable", "repository.disable", "repository.token"})
        self.assertTrue(browser.is_signed_in())

    def test_another_origin(self):
        world, browser = self.signed_in()
        host = browser.host
        for method, path in [(method, path) for method, path, flags in routes() if "HEALTH" not in flags and "CONTROL" not in flags]:
            for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
                reply = browser.ask(method, path, None if method == "GET" else {}, headers)
                self.assertEqual((reply.status, reply.code), (403, "csrf"), reply)
        for headers in ({"Origin": f"http://localhost:{browser.port + 1}"}, {"Origin": "http://localhost"}, {"Origin": f"http://{host}.evil.example"},
                        {"Origin": host}, {"Origin": f"http://evil.example/{host}"}, {"Sec-Fetch-Site": "same-site"},
                        {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "x"}, {"Origin": f"http://127.0.0.1:{browser.port}"}):
            with self.subTest(headers=headers):
                self.assertEqual(browser.api("DELETE", "session", expect=403, headers=headers).code, "csrf")
        self.assertTrue(browser.is_signed_in())
        browser.api("GET", "session", headers={"Sec-Fetch-Site": "none"})  # typed into the address bar
        browser.api("GET", "session", headers={"Sec-Fetch-Site": ""})  # no browser
        browser.api("DELETE", "session", expect=204, headers={"Origin": f"HTTP://{host.upper()}"})

    def test_host(self):
        world = self.world(EYES_ALLOWED_HOSTS=" Scm.Example.com, wiki.example.com", EYES_SCM_PROXY_URL="https://proxied.example.com:8443/x")
        world.start_eyes()
        world.start_daemon()
        browser = Browser(world)
        for host in ("localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:9", "127.8.8.8:4000", "[::1]", "[::1]:5000",
                     "scm.example.com", "SCM.example.com:99", "wiki.example.com", "proxied.example.com", "proxied.example.com:8443",
                     "a.localhost:4000"):
            with self.subTest(host=host):
                self.assertEqual(browser.ask("GET", "/api/v1/start", headers={"Host": host}).status, 200)
                self.assertEqual(browser.ask("GET", "/", headers={"Host": host}).status, 200)
        for host in ("evil.example", "evil.example:4000", "localhost.evil.example", "127.0.0.1.evil.example", "xscm.example.com",
                     "scm.example.com.evil", "192.168.1.1", "10.0.0.1:4000", "[::2]", "2130706433", "127.1", "0.0.0.0", "example.com", "xlocalhost"):
            with self.subTest(host=host):
                for path in ("/api/v1/start", "/", "/api/v1/status", "/index.html"):
                    reply = browser.ask("GET", path, headers={"Host": host})
                    self.assertIn((reply.status, reply.status == 421 and reply.code), ((421, "host_denied"), (400, False)), host)
                if reply.status == 421:
                    self.assertIn("EYES_ALLOWED_HOSTS", reply.error["hint"])
                    self.assertIn(host.split(":")[0].strip("[]") if "[" not in host else "::2", reply.error["message"])
        self.assertEqual(browser.ask("GET", "/healthz", headers={"Host": "balancer.example"}).status, 200)
        body = {"key": world.key}
        self.assertEqual(browser.api("POST", "session", body, expect=421, headers={"Host": "evil.example", "Origin": "http://evil.example"}).code,
                         "host_denied")

    def test_address_of_ipv6(self):
        world = self.world(EYES_LISTEN="127.0.0.1:0,[::1]:0")
        world.start_eyes()
        world.start_daemon()
        match = wait_for(lambda: re.search(r"listening address=\[?\"?\[::1\]:(\d+)", world.log()), lambda: world.log())
        connection = http.client.HTTPConnection("::1", int(match[1]), timeout=20)
        self.addCleanup(connection.close)
        connection.request("GET", "/api/v1/start")
        self.assertEqual(connection.getresponse().status, 200)


if __name__ == "__main__":
    unittest.main()
