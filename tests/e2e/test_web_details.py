"""The smaller facts that the page shows: certificates, last updates, figures, who did what; and hints that fit there."""

import datetime
import hashlib
import json
import socket
import ssl
import unittest

from harness import EYES_SCM, wait_for
from web import Browser, WebTest


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class Certificates(WebTest):
    def shown(self, sim):
        """What the simulator really shows, without looking whether it is right."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", sim.port)) as plain, context.wrap_socket(plain) as tls:
            return hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()

    def check(self, browser, sim, status, **more):
        return browser.api("POST", "servers/check", {"url": sim.address, **more}, expect=status).json

    def test_of_a_trusted_server(self):
        world, browser = self.signed_in(add=False)
        certificate = self.check(browser, world.bitbucket, 200)["certificate"]
        self.assertEqual(certificate["sha256"], self.shown(world.bitbucket))
        self.assertTrue(certificate["subject"] and certificate["issuer"])
        self.assertLess(time_of(certificate["from"]), now())
        self.assertGreater(time_of(certificate["expires"]), now())
        self.assertEqual(browser.post("servers", {"url": world.bitbucket.address}, 201).json["certificate"], certificate)
        self.assertEqual(browser.get("servers")["servers"][0]["certificate"], certificate)
        self.assertEqual(browser.get("status")["servers"][0]["certificate"], certificate)
        self.assertEqual(browser.post("servers/1/check").json["certificate"], certificate, "on a connection that was open")
        world.restart_daemon()
        browser.moved()
        self.assertEqual(browser.post("servers/1/check").json["certificate"], certificate)

    def refused(self, code, *args, **more):
        world, browser = self.signed_in(add=False, bitbucket={"tls": "tls-other", "args": args})
        if more.pop("own_ca", False):
            more["ca"] = world.bitbucket.ca.read_text()
        error = self.check(browser, world.bitbucket, 502, **more)["error"]
        self.assertEqual(error["code"], code)
        self.assertEqual(error["certificate"]["sha256"], self.shown(world.bitbucket))
        return error["certificate"]

    def test_of_one_that_is_not_trusted(self):
        certificate = self.refused("tls_untrusted")
        self.assertTrue(certificate["issuer"])
        self.assertGreater(time_of(certificate["expires"]), now())

    def test_of_another_name(self):
        self.assertTrue(self.refused("tls_name", "--cert-name", "bitbucket.example.com", own_ca=True)["subject"])

    def test_of_one_that_expired(self):
        self.assertLess(time_of(self.refused("tls_expired", "--cert-expired", own_ca=True)["expires"]), now())

    def test_none_without_tls_trouble(self):
        world, browser = self.signed_in(add=False)
        self.assertNotIn("certificate", browser.api("POST", "servers/check", {"url": world.bitbucket.url + "/nowhere"}, expect=422).error)


class Rows(WebTest):
    def row(self, browser, slug="web"):
        return next(row for row in browser.get("repositories")["repositories"] if row["slug"] == slug)

    def test_history_of_a_repository(self):
        world, browser = self.signed_in(repositories=("PRJ/web", "PRJ/api"), enable=True)
        row = self.row(browser)
        self.assertIsNone(row["last_update"])
        self.assertEqual(row["enabled_by"], "eyes@example.com, browser")
        for name in ("enabled_at", "token_at"):
            self.assertAlmostEqual((now() - time_of(row[name])).total_seconds(), 0, delta=60)
        world.wait_outcome(world.send(), "delivered")
        wait_for(lambda: self.row(browser)["last_update"], "the update is known")
        before = self.row(browser)
        self.assertEqual(before["last_update"]["outcome"], "delivered")
        self.assertEqual(before["last_update"]["status"], browser.get("updates")["updates"][0]["status"])
        self.assertEqual(before["last_update"]["ended"], browser.get("updates")["updates"][0]["ended"])
        self.assertIsNone(self.row(browser, "api")["last_update"])
        world.restart_daemon()
        browser.moved()
        self.assertEqual(self.row(browser), before)
        browser.post("repositories/token", {"repositories": ["PRJ/web"], "token": world.token})
        after = self.row(browser)
        self.assertGreater(after["token_at"], before["token_at"])
        self.assertEqual((after["enabled_at"], after["enabled_by"]), (before["enabled_at"], before["enabled_by"]))
        browser.post("repositories/disable", {"repositories": ["PRJ/web"]})
        self.assertEqual({"enabled_at", "enabled_by", "token_at"} & set(self.row(browser)), set())
        world.enable("PRJ/web")
        self.assertRegex(self.row(browser)["enabled_by"], r"^\S+ \(uid \d+\)$")

    def test_counts(self):
        world, browser = self.signed_in(repositories=("PRJ/web", "PRJ/api", "PRJ/app"), enable=True)
        browser.post("repositories/disable", {"repositories": ["PRJ/app"]})
        counts = {"all": 3, "enabled": 2, "blocked": 0, "disabled": 1, "broken": 0}
        self.assertEqual(browser.get("repositories")["counts"], counts)
        self.assertEqual(browser.get("repositories?state=disabled")["counts"], counts, "of what is searched for, whatever the state")
        self.assertEqual(browser.get("repositories?search=ap")["counts"], {"all": 2, "enabled": 1, "blocked": 0, "disabled": 1, "broken": 0})
        first = browser.get("repositories?limit=1")
        self.assertEqual(first["counts"], counts)
        self.assertNotIn("counts", browser.get(f"repositories?limit=1&after={first['next']}"))

    def test_broken_are_those_whose_events_are_in_trouble_too(self):
        world, browser = self.signed_in(repositories=("PRJ/web", "PRJ/api", "PRJ/app"), enable=True)

        def of(state, more=""):
            answer = browser.get(f"repositories?state={state}{more}")
            return [row["slug"] for row in answer["repositories"]], answer["counts"]["broken"]
        self.assertEqual((of("broken"), of("working")), (([], 0), (["web", "api", "app"], 0)))
        world.eyes.fault("status", status=500, match={"path": "^/api/externals/"})
        for _ in range(3):
            world.bitbucket.push("PRJ/api")
        wait_for(lambda: len([one for one in world.bitbucket.deliveries(repository="PRJ/api") if one["outcome"] == "failure"]) >= 3, "they failed")
        browser.post("webhooks/check", {"repositories": ["PRJ/api"]}, 422)
        self.assertEqual(self.row(browser, "api")["events"]["state"], "failing")
        self.assertEqual((of("broken"), of("working"), of("enabled")), ((["api"], 1), (["web", "app"], 1), (["web", "api", "app"], 1)))
        self.assertEqual((of("broken", "&search=web"), of("broken", "&search=api")), (([], 0), (["api"], 1)))
        world.bitbucket.token(world.token, revoked=True)
        world.send(repository="PRJ/web")
        wait_for(lambda: self.row(browser, "web")["state"] == "blocked", "it is blocked")
        self.assertEqual((of("broken"), of("working")), ((["web", "api", "app"], 3), ([], 3)), "each once: one token is of all")

    def test_counts_of_a_listing(self):
        world, browser = self.signed_in(repositories=("PRJ/web", "PRJ/api", "OTHER/web"))
        browser.post("repositories/enable", {"repositories": ["PRJ/web"], "token": world.token})
        number = browser.post("listings", {"token": world.token}, 202).json["listing"]
        path = f"listings/{number}"
        wait_for(lambda: browser.get(path)["state"] == "done", "it is read")
        view = browser.get(path)
        self.assertEqual(view["counts"], {"all": 3, "enabled": 1, "blocked": 0})
        self.assertEqual({one["key"]: (one["count"], one["total"]) for one in view["projects"]}, {"OTHER": (1, 1), "PRJ": (2, 2)})
        view = browser.get(path + "?search=api")
        self.assertEqual(view["counts"], {"all": 1, "enabled": 0, "blocked": 0})
        self.assertEqual({one["key"]: (one["count"], one["total"]) for one in view["projects"]}, {"PRJ": (1, 2)})
        view = browser.get(path + "?show=enabled")
        self.assertEqual((view["total"], view["counts"]), (1, {"all": 3, "enabled": 1, "blocked": 0}))

    def test_names_as_long_as_they_may_be(self):
        """128 characters each: their pages are found by the whole name."""
        long = "P" * 60 + "/" + "long-name-" * 12 + "12345678"
        world, browser = self.signed_in(repositories=("PRJ/web", long), enable=True)
        self.assertEqual([row["slug"] for row in browser.get("repositories?search=" + long)["repositories"]], [long.split("/")[1]])
        self.assertEqual(browser.get("updates?search=" + long)["updates"], [])
        self.assertEqual(browser.get("updates?search=" + "x" * 319)["updates"], [])
        browser.api("GET", "updates?search=" + "x" * 320, expect=400)
        number = browser.post("listings", {"token": world.token}, 202).json["listing"]
        wait_for(lambda: browser.get(f"listings/{number}")["state"] == "done", "it is read")
        self.assertEqual(browser.get(f"listings/{number}?search={long}")["total"], 1)
        found = browser.post("repositories/list", {"token": world.token, "search": long.split("/")[1]}).json["repositories"]
        self.assertEqual([row["project"] for row in found], [long.split("/")[0]])

    def test_what_a_token_may_do(self):
        world, browser = self.signed_in(bitbucket={"context": "/bitbucket"})
        answer = browser.post("tokens/check", {"token": world.token, "repositories": ["PRJ/web", "PRJ/none"]}).json
        self.assertEqual(answer["token_page"], f"{world.bitbucket.address}/plugins/servlet/access-tokens/manage")
        self.assertTrue(answer["administers_any"])


class Figures(WebTest):
    def test_of_today(self):
        world, browser = self.signed_in(enable=True)
        figures = browser.get("status")["figures"]
        self.assertEqual((figures["delivered_today"], figures["of"]), (0, 0))
        self.assertNotIn("p50_ms", figures)
        self.assertLessEqual(time_of(figures["since"]), now())
        for number in range(3):
            world.wait_outcome(world.send(), "delivered")
        wait_for(lambda: browser.get("status")["figures"]["delivered_today"] == 3, "they are counted")
        for again in range(2):
            figures = browser.get("status")["figures"]
            took = [update["ms"] for update in browser.get("updates")["updates"]]
            self.assertEqual((figures["delivered_today"], figures["of"]), (3, 3))
            self.assertTrue(sorted(took)[1] <= figures["p50_ms"] <= sorted(took)[1] * 1.07, (took, figures))
            self.assertTrue(max(took) <= figures["p99_ms"] <= max(took) * 1.07, (took, figures))
            world.restart_daemon()
            browser.moved()

    def test_way(self):
        world, browser = self.signed_in(add=False)
        self.assertEqual(browser.get("status")["eyes"]["way"], "direct")

    def test_team_before_the_sign_in(self):
        world = self.world()
        world.start_eyes()
        world.start_daemon()
        browser = Browser(world)
        self.assertNotIn("team", browser.get("start"))
        browser.sign_in()
        self.assertEqual(Browser(world).get("start")["team"], "team-1")

    def test_settings_explain_themselves(self):
        world, browser = self.signed_in(add=False)
        settings = {one["name"]: one for one in browser.get("settings")["settings"]}
        self.assertIn("connections of browsers", settings["EYES_HTTP_CONNECTIONS"]["help"])
        self.assertEqual(settings["EYES_HTTP_CONNECTIONS"]["default"], "256")
        self.assertEqual(settings["PORT"]["default"], "4000")
        self.assertNotIn("default", settings["EYES_ORG_ID"])
        self.assertEqual([one["name"] for one in settings.values() if not one.get("help")], [])


class Audit(WebTest):
    def actions(self, browser):
        return [entry for entry in browser.get("audit")["entries"] if entry["action"].startswith("session.")]

    def test_filters(self):
        world, browser = self.signed_in()
        entries = browser.get("audit")["entries"]

        def found(query):
            return [entry["number"] for entry in browser.get("audit?" + query)["entries"]]
        self.assertEqual(found("by=people&limit=1000"), [entry["number"] for entry in entries if entry["who"] != "eyes-scm"])
        self.assertEqual(found("by=eyes-scm"), [entry["number"] for entry in entries if entry["who"] == "eyes-scm"])
        starts = [entry["number"] for entry in entries if entry["action"] == "session.start"]
        self.assertTrue(starts and len(starts) < len(entries), entries)
        self.assertEqual(found("search=SESSION.Start"), starts)
        self.assertEqual(found("search=127.0.0.1&limit=1"), [next(entry["number"] for entry in entries if entry.get("from") == "127.0.0.1")])
        self.assertEqual(found("search=nobody-of-that-name"), [])
        for wrong in ("by=me", "search=" + "x" * 320, "limit=0"):
            self.assertEqual(browser.ask("GET", "/api/v1/audit?" + wrong).status, 400, wrong)

    def test_signing_in_and_out(self):
        world, browser = self.signed_in(add=False)
        mate = world.secret("mate")
        world.eyes.allow(mate, user="Jäne\r\nat home")
        other = Browser(world, "127.0.0.2")
        other.sign_in(mate)
        users = {one["current"]: one["user"] for one in browser.get("sessions")["sessions"]}
        self.assertEqual(users, {True: "eyes@example.com", False: "Jäne  at home"})
        ids = {one["current"]: one["id"] for one in browser.get("sessions")["sessions"]}
        other.api("DELETE", "session", expect=204)
        ended, begun, first = self.actions(browser)
        self.assertEqual((first["action"], first["who"], first["from"], first["subject"]),
                         ("session.start", "eyes@example.com, browser", "127.0.0.1", ids[True]))
        self.assertEqual((begun["action"], begun["who"], begun["from"]), ("session.start", "Jäne  at home, browser", "127.0.0.2"))
        self.assertEqual((ended["action"], ended["who"], ended["subject"]), ("session.end", "Jäne  at home, browser", ids[False]))
        other.sign_in()
        id = next(one["id"] for one in browser.get("sessions")["sessions"] if not one["current"])
        browser.api("DELETE", f"sessions/{id}", expect=204)
        ended = self.actions(browser)[0]
        self.assertEqual((ended["who"], ended["subject"]), ("eyes@example.com, browser", id))
        world.api("DELETE", f"/api/v1/sessions/{ids[True]}")
        ended = world.get("audit")["entries"][0]
        self.assertEqual((ended["action"], ended["from"]), ("session.end", "control socket"))
        self.assertRegex(ended["who"], r"^\S+ \(uid \d+\)$")

    def test_a_key_without_a_user(self):
        world, browser = self.signed_in(add=False)
        nobody = world.secret("nobody")
        world.eyes.allow(nobody, user="")
        other = Browser(world)
        other.sign_in(nobody)
        id = next(one["id"] for one in other.get("sessions")["sessions"] if one["current"])
        self.assertEqual(self.actions(browser)[0]["who"], f"browser session {id}")

    def test_while_eyes_is_away_it_is_the_user_of_the_account(self):
        world, browser = self.signed_in(add=False)
        world.eyes.stop()
        Browser(world, "127.0.0.2").sign_in()
        begun = self.actions(browser)[0]
        self.assertEqual((begun["who"], begun["from"]), ("eyes@example.com, browser", "127.0.0.2"))

    def test_permissions_that_a_key_lacks(self):
        world, browser = self.signed_in(add=False)
        self.assertEqual(Browser(world).sign_in().json["missing"], [])
        weak = world.secret("weak")
        world.eyes.allow(weak, permissions=["read", "merge"])
        reply = Browser(world).sign_in(weak).json
        self.assertEqual(reply["missing"], ["write", "execute"])
        self.assertEqual(len(reply["account"]["permissions"]), 4, "the account keeps its own key")


class Words(WebTest):
    def test_hints_fit_where_they_are_read(self):
        world, browser = self.signed_in(add=False)
        wanted = {"repositories": ["PRJ/web"]}
        hints = [problem.get("hint", "") for problem in browser.get("status")["problems"]]
        hints.append(browser.api("POST", "listings", {}, expect=409).error["hint"])
        browser.post("servers", {"url": world.bitbucket.address}, 201)
        hints.append(browser.api("POST", "servers", {"url": world.bitbucket.address}, expect=409).error["hint"])
        hints.append(browser.api("POST", "repositories/disable", wanted, expect=404).error["hint"])
        hints.append(browser.api("POST", "listings", {"server": "https://elsewhere.example"}, expect=404).error["hint"])
        for hint in hints:
            self.assertTrue(hint)
            self.assertNotRegex(hint, r"--server|--ca-file|--token-file|repo enable|server list")
            if "eyes-scm " in hint:
                self.assertIn("in the browser", hint)

    def test_a_token_that_is_repeated_is_not_passed_on(self):
        world, browser = self.signed_in()
        for status in (400, 401, 403, 404, 409, 500):
            world.bitbucket.fault("status", status=status, headers={"Content-Type": "application/json", "X-AUSERNAME": world.token},
                                  body={"errors": [{"context": None, "message": f"the token {world.token} is not good", "exceptionName": None}]})
            answer = browser.api("POST", "repositories/enable", {"repositories": ["PRJ/web"], "token": world.token}, expect=None)
            self.assertGreaterEqual(answer.status, 400)
            self.assertNotIn(world.token, json.dumps(answer.json))
            world.bitbucket.heal()
        self.assertIn("***", json.dumps(answer.json))
        browser.post("repositories/enable", {"repositories": ["PRJ/web"], "token": world.token})
        world.bitbucket.fault("status", status=400, match={"method": "POST"}, headers={"Content-Type": "application/json"},
                              body={"errors": [{"context": None, "message": f"{world.token} cannot", "exceptionName": None}]})
        world.wait_outcome(world.send(), "rejected")
        update = wait_for(lambda: browser.get("updates")["updates"], "it is in the journal")[0]
        self.assertIn("*** cannot", update["error"])

    def test_a_key_that_is_repeated_is_not_passed_on(self):
        world, browser = self.signed_in(add=False)
        wrong = world.secret("wrong")
        world.eyes.fault("status", status=400, times=1, body={"message": f"bad key {wrong}"}, headers={"Content-Type": "application/json"})
        error = browser.api("PUT", "account", {"key": wrong}, expect=422).error
        self.assertIn("bad key ***", error["message"])

    def test_names_that_can_never_match_are_refused_at_the_start(self):
        world = self.world()
        world.start_eyes()
        for entry in ("https://scm.example.com", "a b", "[::1", "*.example.com"):
            said = world.run(EYES_SCM, env=world.daemon_environment({"EYES_ALLOWED_HOSTS": f"fine.example,{entry}"}), expect=1)
            self.assertIn(entry, said.err)
            self.assertIn("EYES_ALLOWED_HOSTS", said.err)
        world.settings["EYES_ALLOWED_HOSTS"] = "scm.example.com:8443, [2001:DB8::7]"
        world.start_daemon()
        browser = Browser(world)
        for host, status in (("scm.example.com", 200), ("scm.example.com:1", 200), ("[2001:db8:0::7]:8443", 200), ("example.com", 421)):
            self.assertEqual(browser.api("GET", "start", headers={"Host": host}, expect=None).status, status, host)


if __name__ == "__main__":
    unittest.main()
