"""Webhooks: made when a repository is enabled, kept as they should be, moved, rotated, removed. Never another's."""

import hashlib
import json
import re
import unittest
import urllib.request

from harness import E2E, free_port, wait_for

WANTED = {"repo:refs_changed", "pr:opened", "pr:modified", "pr:from_ref_updated", "pr:merged", "pr:declined", "pr:deleted"}
PATH = "PRJ/web"


class Webhooks(E2E):
    def webhook_world(self, *, relay=True, version=None, repositories=(PATH,), admin=("*",), **settings):
        """A daemon with a server, nothing enabled yet. In relay mode it listens where Bitbucket can reach it."""
        self.port = free_port()
        if relay:
            settings.setdefault("EYES_EVENTS", "relay")
        settings.setdefault("EYES_WEBHOOK_INTERVAL", "1h")
        settings.setdefault("EYES_SCM_PROXY_URL", f"http://127.0.0.1:{self.port}")
        world = self.world(EYES_LISTEN=f"127.0.0.1:{self.port}", **settings)
        world.start_eyes()
        world.start_bitbucket(repositories=repositories)
        if version:
            world.bitbucket.setup(version=version)
        if admin != ("*",):
            world.bitbucket.token(world.token, admin=admin)
        world.start_daemon()
        world.set_account()
        world.add_server()
        return world

    def enabled_world(self, **more):
        world = self.webhook_world(**more)
        world.enable(PATH)
        return world

    def row(self, world, name=PATH):
        project, slug = name.split("/")
        row, = [row for row in world.repositories() if (row["project"], row["slug"]) == (project, slug)]
        return row

    def events(self, world, name=PATH):
        return self.row(world, name)["events"]

    def ours(self, world, name=PATH):
        return [hook for hook in world.bitbucket.webhooks(name) if hook["name"].startswith("eyes-scm ")]

    def one(self, world, name=PATH):
        hook, = self.ours(world, name)
        return hook

    def instance(self, world, name=PATH):
        return self.one(world, name)["name"].removeprefix("eyes-scm ")

    def address(self, world, hook):
        return f"api/1.0/projects/PRJ/repos/web/webhooks/{hook['id']}"

    def change(self, world, hook, **fields):
        """As an administrator of the repository does in Bitbucket."""
        body = {"name": hook["name"], "url": hook["url"], "events": hook["events"], "active": hook["active"],
                "configuration": {}, **fields}
        status, _, answer = world.bitbucket.rest("PUT", self.address(world, hook), body)
        self.assertEqual(status, 200, answer)

    def delete(self, world, hook):
        self.assertEqual(world.bitbucket.rest("DELETE", self.address(world, hook))[0], 204)

    def add(self, world, **fields):
        body = {"name": "another", "url": "https://ci.example.com/hook", "events": ["repo:refs_changed"], "active": True,
                "configuration": {}, **fields}
        status, _, answer = world.bitbucket.rest("POST", "api/1.0/projects/PRJ/repos/web/webhooks", body)
        self.assertIn(status, (200, 201), answer)
        return answer

    def check(self, world, *names, expect=0):
        return world.ask("webhook", "check", *(names or (PATH,)), expect=expect)["results"]

    def audit(self, world):
        return [(entry["action"], entry["who"], entry.get("detail", "")) for entry in world.get("audit?limit=1000")["entries"]
                if entry["action"].startswith("webhook.")]


class Making(Webhooks):
    def test_enabling_has_two_halves(self):
        world = self.webhook_world()
        said = world.ask("repo", "enable", PATH, "--token-file", "-", stdin=world.token + "\n")
        result, = said["results"]
        self.assertTrue(result["ok"])
        self.assertEqual(result["statuses"], {"ok": True})
        half = result["events"]
        self.assertEqual((half["ok"], half["state"], half["made"], half["repaired"]), (True, "ok", True, False), half)
        self.assertEqual((half["test"]["outcome"], half["test"]["status"]), ("ok", 200), half)
        hook = self.one(world)
        id = self.row(world)["id"]
        self.assertEqual(hook["url"], f"http://127.0.0.1:{self.port}/api/bitbucket-events-proxy/{id}?instance={self.instance(world)}")
        self.assertRegex(hook["name"], r"^eyes-scm [0-9a-f]{8}$")
        self.assertEqual(set(hook["events"]), WANTED)
        self.assertTrue(hook["active"])
        self.assertRegex(hook["secret_sha256"], r"^[0-9a-f]{64}$")
        row = self.events(world)
        self.assertEqual((row["state"], row["mode"], row["by_hand"], str(row["id"]), row["url"]),
                         ("ok", "relay", False, str(hook["id"]), hook["url"]))
        self.assertNotIn("error", row)
        writes = [request for request in world.bitbucket.requests("/webhooks") if request["method"] != "GET"
                  and not request["target"].startswith("/sim/")]
        self.assertTrue(writes)
        for write in writes:
            self.assertEqual(write["headers"]["x-atlassian-token"], "no-check", write["target"])
        self.assertEqual([entry[0] for entry in self.audit(world)], ["webhook.make"])

    def test_commands_say_both_halves(self):
        world = self.webhook_world()
        said = world.cli("repo", "enable", PATH, "--token-file", "-", stdin=world.token + "\n")
        self.assertIn("PRJ/web: enabled", said.out)
        self.assertIn("events: the webhook was made; a test delivery arrived (HTTP 200)", said.out)
        said = world.cli("webhook", "list")
        self.assertRegex(said.out, r"PRJ/web +ok +relay")
        self.assertIn("as it should be", world.cli("webhook", "check", PATH).out)
        self.assertIn("as it should be", world.cli("webhook", "check", "--all").out)
        self.assertIn("disabled", world.cli("repo", "disable", PATH).out)
        self.assertIn("No repository has a webhook", world.cli("webhook", "list").out)

    def test_versions(self):
        for version, known in (("5.16.0", WANTED - {"pr:from_ref_updated"}), ("6.10.0", WANTED - {"pr:from_ref_updated"}),
                               ("7.21.0", WANTED), ("8.19.0", WANTED), ("9.4.0", WANTED), ("10.0.0", WANTED)):
            with self.subTest(version=version):
                world = self.webhook_world(version=version)
                world.enable(PATH)
                hook = self.one(world)
                self.assertEqual(set(hook["events"]), known)
                before = len(world.bitbucket.requests())
                self.assertEqual(self.check(world)[0]["events"]["state"], "ok")
                writes = [request for request in world.bitbucket.requests()[before:]
                          if request["method"] in ("PUT", "POST", "DELETE") and not request["target"].startswith("/sim/")]
                self.assertEqual(writes, [], "nothing is to be changed")
                self.finish(world)

    def finish(self, world):
        world.stop_daemon()

    def test_direct(self):
        world = self.webhook_world(relay=False)
        world.enable(PATH)
        hook = self.one(world)
        self.assertEqual(hook["url"], world.eyes.event_address() + f"&instance={self.instance(world)}")
        self.assertIsNone(hook["secret_sha256"])
        self.assertEqual(self.events(world)["mode"], "direct")
        start = json.loads(world.api("GET", "/api/v1/status")[1])
        self.assertTrue(start["healthy"] or start["problems"])

    def test_direct_with_secret_and_template(self):
        secret = "s3cr3t-" + "x" * 20
        world = self.webhook_world(relay=False, EYES_WEBHOOK_SECRET=secret,
                                   EYES_WEBHOOK_URL="{EYES_SERVER_URL}/hooks/{orgId}/{instanceId}")
        world.secrets.add(secret)
        world.enable(PATH)
        hook = self.one(world)
        self.assertEqual(hook["url"], f"{world.eyes.url}/hooks/org-1/{self.instance(world)}")
        self.assertEqual(hook["secret_sha256"], hashlib.sha256(secret.encode()).hexdigest())

    def test_a_job_tells_not_yet_from_not_asked(self):
        world = self.webhook_world()
        world.bitbucket.fault("slow", times=1, match={"method": "POST", "path": "/webhooks"}, delay_ms=3000)

        def job_of(action, **more):
            status, said = world.api("POST", "/api/v1/repositories/" + action, {"repositories": [PATH], "async": True, **more})
            self.assertEqual(status, 202, said)
            return f"/api/v1/jobs/{json.loads(said)['job']}"

        def result_of(job):
            said = json.loads(world.api("GET", job)[1])
            return said["state"], (said["results"] or [None])[0]
        job = job_of("enable", token=world.token)
        state, result = wait_for(lambda: (said := result_of(job))[1] and said, "the statuses are done")
        self.assertEqual((state, result["ok"], result["statuses"], result["events"]), ("running", True, {"ok": True}, {"done": False}))
        _, result = wait_for(lambda: (said := result_of(job))[0] == "done" and said, "the webhook is made")
        self.assertEqual((result["events"]["done"], result["events"]["ok"]), (True, True))
        job = job_of("token", token=world.token)
        _, result = wait_for(lambda: (said := result_of(job))[0] == "done" and said, "the token is replaced")
        self.assertNotIn("events", result)

    def test_a_failing_half_leaves_the_other(self):
        world = self.webhook_world()
        world.bitbucket.fault("status", match={"method": "POST", "path": "/webhooks"}, status=409,
                              body=json.dumps({"errors": [{"message": "not in this project"}]}))
        said = world.ask("repo", "enable", PATH, "--token-file", "-", stdin=world.token + "\n")
        result, = said["results"]
        self.assertTrue(result["ok"] and result["statuses"]["ok"])
        self.assertFalse(result["events"]["ok"])
        self.assertEqual(result["events"]["state"], "broken")
        self.assertEqual(self.ours(world), [])
        self.assertEqual(self.row(world)["state"], "enabled")
        self.assertIn("webhook_broken", [problem["code"] for problem in world.status()["problems"]])
        world.bitbucket.heal()
        self.assertTrue(self.check(world)[0]["events"]["made"])
        self.one(world)

    def test_doubtful_create_is_not_doubled(self):
        world = self.webhook_world(EYES_SCM_TIMEOUT="2s")
        world.bitbucket.fault("cut_after", times=1, match={"method": "POST", "path": "/webhooks"})
        world.enable(PATH)
        wait_for(lambda: self.events(world)["state"] == "ok" or self.check(world), "it is right")
        self.one(world)


    def test_killed_while_it_is_made(self):
        world = self.webhook_world()
        world.bitbucket.fault("slow", times=1, match={"method": "POST", "path": "/webhooks"}, delay_ms=20000)
        status, _ = world.api("POST", "/api/v1/repositories/enable",
                              {"repositories": [PATH], "token": world.token, "async": True})
        self.assertEqual(status, 202)
        hook, = wait_for(lambda: self.ours(world), "Bitbucket has it")
        world.kill_daemon()
        world.start_daemon()
        wait_for(lambda: self.events(world)["state"] == "ok", lambda: f"it is adopted: {self.row(world)}")
        self.assertEqual(self.one(world)["id"], hook["id"])
        self.assertEqual(world.bitbucket.wait_delivered(world.bitbucket.push())[0]["status"], 202)
        self.assertEqual([entry[0] for entry in self.audit(world)], ["webhook.adopt"])


class Whose(Webhooks):
    def test_others_are_never_touched(self):
        world = self.webhook_world()
        foreign = [self.add(world), self.add(world, name="eyes-scm 0badcafe", url="https://x.example.com/a?instance=0badcafe"),
                   self.add(world, name="other", url="https://x.example.com/api/bitbucket-events-proxy/1?instance=0badcafe")]
        before = {hook["id"]: hook for hook in world.bitbucket.webhooks(PATH)}
        world.enable(PATH)
        self.check(world)
        world.cli("repo", "disable", PATH)
        after = {hook["id"]: hook for hook in world.bitbucket.webhooks(PATH)}
        self.assertEqual(len(foreign), len(after))
        for id, hook in before.items():
            for field in ("name", "url", "events", "active", "secret_sha256", "updated_ms"):
                self.assertEqual(after[id][field], hook[field], field)

    def test_adopted_and_duplicates_removed(self):
        world = self.enabled_world()
        hook = self.one(world)
        secret = hook["secret_sha256"]
        self.add(world, name="renamed by somebody", url=hook["url"])
        self.add(world, name=hook["name"], url="https://elsewhere.example.com/")
        self.assertEqual(self.check(world)[0]["events"]["state"], "ok")
        left = [one for one in world.bitbucket.webhooks(PATH)]
        self.assertEqual([(one["id"], one["name"], one["url"], one["secret_sha256"]) for one in left],
                         [(hook["id"], hook["name"], hook["url"], secret)])
        self.assertEqual([entry[0] for entry in self.audit(world)].count("webhook.delete"), 2)

    def test_two_instances(self):
        world = self.enabled_world()
        first = self.one(world)
        other = self.world(EYES_LISTEN="127.0.0.1:0", EYES_EVENTS="relay", EYES_SCM_PROXY_URL="http://127.0.0.1:1",
                           EYES_SERVER_URL=world.eyes.url, SSL_CERT_FILE=str(world.eyes.ca))
        other.eyes, other.bitbucket, other.token, other.key = world.eyes, world.bitbucket, world.token, world.key
        other.start_daemon()
        other.set_account()
        other.add_server()
        other.enable(PATH)
        self.assertEqual(len(self.ours(world)), 2)
        self.check(world)
        other.cli("repo", "disable", PATH)
        self.assertEqual([hook["id"] for hook in self.ours(world)], [first["id"]])


class Keeping(Webhooks):
    def test_deleted_by_hand_comes_back_now(self):
        world = self.enabled_world()
        hook = self.one(world)
        self.delete(world, hook)
        half = self.check(world)[0]["events"]
        self.assertEqual((half["made"], half["repaired"], half["state"]), (True, True, "ok"))
        self.assertEqual(half["test"]["outcome"], "ok")
        again = self.one(world)
        self.assertNotEqual(again["id"], hook["id"])
        self.assertEqual(again["secret_sha256"], hook["secret_sha256"])
        action, who, detail = self.audit(world)[0]
        self.assertEqual((action, detail), ("webhook.repair", "it was gone"))
        self.assertNotEqual(who, "eyes-scm")

    def test_by_itself(self):
        world = self.enabled_world(EYES_WEBHOOK_INTERVAL="1s")
        hook = self.one(world)
        self.delete(world, hook)
        wait_for(lambda: self.ours(world), "it comes back")
        wait_for(lambda: self.audit(world)[0][:2] == ("webhook.repair", "eyes-scm"), lambda: str(self.audit(world)))

    def test_altered(self):
        for number, (fields, words) in enumerate((
                ({"active": False}, "disabled"),
                ({"url": "https://elsewhere.example.com/"}, "another URL"),
                ({"events": ["repo:refs_changed"]}, "other events"),
                ({"configuration": {"secret": "not-ours"}}, "another secret"),
                ({"name": "mine now"}, "another name"))):
            with self.subTest(words=words):
                if number % 2 == 0:
                    world = self.enabled_world()
                hook = self.one(world)
                if "configuration" not in fields:
                    # The REST call must not change the secret: without one in the body Bitbucket forgets it.
                    fields = {**fields, "configuration": self.configuration(world, hook)}
                self.change(world, hook, **fields)
                half = self.check(world)[0]["events"]
                self.assertEqual((half["made"], half["repaired"], half["state"]), (False, True, "ok"), half)
                now = self.one(world)
                for field in ("id", "name", "url", "active", "secret_sha256"):
                    self.assertEqual(now[field], hook[field])
                self.assertEqual(set(now["events"]), WANTED)
                self.assertEqual(self.audit(world)[0][::2], ("webhook.repair", words))

    def configuration(self, world, hook):
        return world.bitbucket.rest("GET", self.address(world, hook))[2].get("configuration", {})

    def test_conflict_after_three(self):
        world = self.enabled_world()
        for _ in range(3):
            self.delete(world, self.one(world))
            self.assertTrue(self.check(world)[0]["events"]["repaired"])
        self.delete(world, self.one(world))
        result, = self.check(world, expect=1)
        self.assertEqual((result["events"]["state"], result["events"]["error"]["code"]), ("conflict", "webhook_conflict"))
        self.assertEqual(self.ours(world), [])
        self.assertIn("webhook_conflict", [problem["code"] for problem in world.status()["problems"]])
        self.check(world, expect=1)
        self.assertEqual(self.ours(world), [], "it is left alone")
        result, = world.ask("webhook", "repair", PATH)["results"]
        self.assertEqual((result["events"]["state"], result["events"]["made"]), ("ok", True))
        self.one(world)
        self.assertEqual(world.status()["problems"], [])

    def test_many_at_once_with_progress(self):
        names = tuple(f"PRJ/r{number}" for number in range(12))
        world = self.webhook_world(repositories=names)
        world.ask("repo", "enable", *names, "--token-file", "-", stdin=world.token + "\n")
        for name in names:
            self.one(world, name)
        results = world.ask("webhook", "check", "--all")["results"]
        self.assertEqual({result["repository"] for result in results}, set(names))
        self.assertTrue(all(result["ok"] for result in results))

    def test_a_server_that_slows_us_down(self):
        names = tuple(f"PRJ/r{number}" for number in range(5))
        world = self.webhook_world(repositories=names)
        world.bitbucket.control("POST", "faults", {"rate_limit": {"burst": 12, "per_second": 10, "retry_after": 1}})
        results = world.ask("repo", "enable", *names, "--token-file", "-", stdin=world.token + "\n")["results"]
        self.assertEqual([result["events"]["state"] for result in results], ["ok"] * 5)
        self.assertGreater(world.bitbucket.control("GET", "faults")["rate_limited"], 0)
        for name in names:
            self.one(world, name)

    def test_default_address_of_the_relay(self):
        world = self.webhook_world(EYES_SCM_PROXY_URL=None)
        world.enable(PATH)
        self.assertTrue(self.one(world)["url"].startswith(f"http://localhost:{self.port}/api/bitbucket-events-proxy/"))
        world.wait_log("EYES_SCM_PROXY_URL is not set")

    def test_failing_deliveries_are_shown(self):
        world = self.webhook_world(relay=False, EYES_WEBHOOK_URL="http://127.0.0.1:1/nowhere")
        world.enable(PATH)
        events = self.events(world)
        self.assertEqual((events["state"], events["error"]["code"]), ("failing", "delivery_failed"))
        self.assertIn("delivery_failed", [problem["code"] for problem in world.status()["problems"]])


class ByHand(Webhooks):
    def test_not_admin_then_entered_by_hand(self):
        world = self.webhook_world(admin=())
        said = world.ask("repo", "enable", PATH, "--token-file", "-", stdin=world.token + "\n")
        result, = said["results"]
        self.assertTrue(result["ok"])
        self.assertEqual((result["events"]["ok"], result["events"]["state"], result["events"]["error"]["code"]),
                         (False, "manual", "not_admin"))
        what = world.ask("webhook", "by-hand", PATH)
        world.secrets.discard(what["secret"])
        self.assertEqual(set(what["events"]), WANTED)
        # Anybody may send a connection test: it is answered, and is not taken for a webhook that was entered.
        ping = urllib.request.Request(what["url"], b'{"test": true}', {"X-Event-Key": "diagnostics:ping"})
        with urllib.request.urlopen(ping, timeout=20) as answer:
            self.assertEqual(answer.status, 200)
        self.assertEqual((self.events(world)["state"], self.events(world)["by_hand"]), ("manual", False))
        admin = world.secret("admin")
        world.bitbucket.token(admin, user="admin")
        body = {"name": what["name"], "url": what["url"], "events": what["events"], "active": True,
                "configuration": {"secret": what["secret"]}}
        status, _, answer = world.bitbucket.rest("POST", "api/1.0/projects/PRJ/repos/web/webhooks", body, token=admin)
        self.assertIn(status, (200, 201), answer)
        world.bitbucket.wait_delivered(world.bitbucket.push())
        wait_for(lambda: self.events(world)["state"] == "ok", lambda: f"it is recognised: {self.events(world)}")
        self.assertTrue(self.events(world)["by_hand"])
        # A check finds nothing out, and leaves it as it was seen.
        self.check(world, expect=1)
        self.assertEqual(self.events(world)["state"], "ok")
        # An administrator's token: it is adopted as it is.
        world.bitbucket.token(world.token)
        self.assertEqual(self.check(world)[0]["events"]["state"], "ok")
        self.assertEqual(len(self.ours(world)), 1)
        again = world.ask("webhook", "by-hand", PATH)
        self.assertNotEqual(again["secret"], what["secret"])


class Secret(Webhooks):
    def test_it_is_sealed(self):
        """Bitbucket tells it in clear; nothing of ours says or keeps it so (World.close looks for it everywhere)."""
        world = self.enabled_world()
        hook = self.one(world)
        secret = world.bitbucket.rest("GET", self.address(world, hook))[2]["configuration"]["secret"]
        self.assertRegex(secret, r"^[0-9a-f]{64}$")
        world.secrets.add(secret)
        world.bitbucket.wait_delivered(world.bitbucket.push())
        self.check(world)
        world.ask("webhook", "rotate", PATH)
        world.cli("webhook", "list")
        row = world.get(f"repositories/{self.row(world)['id']}")["events"]
        self.assertEqual((row["secret"], row["documented"], set(row["wanted"]), row["repairs"]), ("set", False, WANTED, 0))
        self.assertIn("old_secret_until", row)


class Removing(Webhooks):
    def test_disabling_deletes_it(self):
        world = self.enabled_world()
        result, = world.ask("repo", "disable", PATH)["results"]
        self.assertTrue(result["ok"] and result["events"]["ok"], result)
        self.assertEqual(self.ours(world), [])
        self.assertEqual(self.events(world)["state"], "none")
        self.assertEqual(self.audit(world)[0][0], "webhook.remove")

    def test_unreachable_then_deleted_later(self):
        world = self.enabled_world(EYES_WEBHOOK_INTERVAL="1s")
        world.bitbucket.fault("status", match={"path": "/webhooks"}, status=503)
        result, = world.ask("repo", "disable", PATH)["results"]
        self.assertTrue(result["ok"])
        self.assertEqual((result["events"]["ok"], result["events"]["state"]), (False, "removing"))
        self.assertEqual(self.row(world)["state"], "disabled")
        self.one(world)
        world.restart_daemon()
        world.bitbucket.heal()
        wait_for(lambda: not self.ours(world), lambda: f"it is deleted\n{world.tail()}")
        wait_for(lambda: self.events(world)["state"] == "none", "the row is gone")

    def test_enabled_again_meanwhile(self):
        world = self.enabled_world()
        hook = self.one(world)
        world.bitbucket.fault("status", match={"path": "/webhooks"}, status=503)
        world.ask("repo", "disable", PATH)
        world.bitbucket.heal()
        world.enable(PATH)
        self.assertEqual(self.one(world)["id"], hook["id"])
        self.assertEqual(self.events(world)["state"], "ok")


class Moving(Webhooks):
    def test_mode_change_moves(self):
        world = self.enabled_world()
        hook = self.one(world)
        world.settings["EYES_EVENTS"] = "direct"
        world.restart_daemon()
        wait_for(lambda: self.one(world)["url"].startswith(world.eyes.url), lambda: f"it moves: {self.ours(world)}")
        self.assertEqual(self.one(world)["id"], hook["id"])
        self.assertIsNone(self.one(world)["secret_sha256"])
        wait_for(lambda: self.events(world)["mode"] == "direct", "the row says so")
        world.settings["EYES_EVENTS"] = "relay"
        world.restart_daemon()
        wait_for(lambda: self.one(world)["url"] == hook["url"], lambda: f"it moves back: {self.ours(world)}")
        self.assertEqual(self.one(world)["secret_sha256"], hook["secret_sha256"])
        self.assertNotIn("webhook.repair", [entry[0] for entry in self.audit(world)])

    def test_another_configured_secret(self):
        names = (PATH, "PRJ/shop")
        secrets = ["s3cr3t-" + letter * 20 for letter in "ab"]
        world = self.webhook_world(relay=False, repositories=names, EYES_WEBHOOK_SECRET=secrets[0])
        world.secrets.update(secrets)
        world.enable(*names)
        ids = [self.one(world, name)["id"] for name in names]
        for secret in (secrets[1], None, secrets[0]):
            world.settings["EYES_WEBHOOK_SECRET"] = secret
            world.restart_daemon()
            wanted = secret and hashlib.sha256(secret.encode()).hexdigest()
            for name in names:
                wait_for(lambda: self.one(world, name)["secret_sha256"] == wanted, lambda: f"{self.ours(world, name)}\n{world.tail()}")
                wait_for(lambda: self.events(world, name)["state"] == "ok", lambda: str(self.row(world, name)))
        self.assertEqual([self.one(world, name)["id"] for name in names], ids)
        self.assertEqual(sorted(entry[0] for entry in self.audit(world)), ["webhook.change"] * 6 + ["webhook.make"] * 2)
        before = len(world.bitbucket.requests("/webhooks"))
        world.restart_daemon()
        self.check(world)
        writes = [request for request in world.bitbucket.requests("/webhooks")[before:] if request["method"] in ("PUT", "POST", "DELETE")
                  and not request["target"].startswith("/sim/")]
        self.assertEqual(writes, [], "nothing changed")

    def test_rotate_accepts_both(self):
        world = self.enabled_world()
        old = self.one(world)
        fired = world.bitbucket.push()
        world.bitbucket.wait_delivered(fired)
        result = world.ask("webhook", "rotate", PATH)
        self.assertTrue(result["ok"], result)
        new = self.one(world)
        self.assertEqual(new["id"], old["id"])
        self.assertNotEqual(new["secret_sha256"], old["secret_sha256"])
        self.assertEqual(world.bitbucket.wait_delivered(world.bitbucket.push())[0]["status"], 202)
        again = world.bitbucket.wait_delivered(world.bitbucket.redeliver(request_ids=fired["request_ids"]))
        self.assertLess(again[0]["status"], 300, "what was signed with the old one is taken for an hour")

    def test_rotate_that_the_server_refuses(self):
        world = self.enabled_world()
        old = self.one(world)
        world.bitbucket.fault("status", match={"method": "PUT", "path": "/webhooks"}, status=503)
        result = world.ask("webhook", "rotate", PATH, expect=1)
        self.assertFalse(result.get("ok", False))
        self.assertEqual(self.one(world)["secret_sha256"], old["secret_sha256"])
        world.ask("webhook", "rotate", PATH, expect=1)
        self.assertEqual(world.bitbucket.wait_delivered(world.bitbucket.push())[0]["status"], 202, "the one in use counts")
        world.bitbucket.heal()
        self.assertTrue(self.check(world)[0]["ok"])
        self.assertNotEqual(self.one(world)["secret_sha256"], old["secret_sha256"])
        self.assertEqual(world.bitbucket.wait_delivered(world.bitbucket.push())[0]["status"], 202)

    def test_renamed_is_followed(self):
        for moved in ("redirect", "follow"):
            with self.subTest(moved=moved):
                world = self.enabled_world()
                id, hook = self.row(world)["id"], self.one(world)
                world.bitbucket.setup(rename={PATH: "PRJ/shop"}, moved=moved)
                result, = self.check(world, expect=1)
                self.assertEqual((result["events"]["state"], result["events"]["error"]["code"]), ("broken", "repo_renamed"))
                self.assertIn("PRJ/shop", result["events"]["error"]["message"])
                self.assertIn("repo_renamed", [problem["code"] for problem in world.status()["problems"]])
                status, body = world.api("POST", f"/api/v1/repositories/{id}/follow", {})
                self.assertEqual((status, json.loads(body)), (200, {"repository": "PRJ/shop"}))
                wait_for(lambda: self.events(world, "PRJ/shop")["state"] == "ok", lambda: str(self.row(world, "PRJ/shop")))
                self.assertEqual(self.row(world, "PRJ/shop")["id"], id)
                self.assertEqual(self.one(world, "PRJ/shop")["id"], hook["id"])

    def test_archived_and_gone(self):
        world = self.enabled_world()
        world.bitbucket.setup(repositories=[{"project": "PRJ", "slug": "web", "archived": True}])
        result, = self.check(world, expect=1)
        self.assertEqual(result["events"]["error"]["code"], "repo_archived")
        world.bitbucket.setup(remove=[PATH])
        result, = self.check(world, expect=1)
        self.assertEqual(result["events"]["error"]["code"], "repo_gone")
        self.assertIn("repo_gone", [problem["code"] for problem in world.status()["problems"]])


if __name__ == "__main__":
    unittest.main()
