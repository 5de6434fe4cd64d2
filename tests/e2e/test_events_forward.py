"""Events on their way from here to Eyes: in order per repository whatever Eyes does, nothing lost, and what an
administrator sees and can do meanwhile. The test itself is Bitbucket and GitHub."""

import hashlib
import hmac
import http.client
import json
import time
import unittest

from harness import E2E, wait_for
from web import web_port

ADDRESS = "^/api/externals/"
REPOSITORIES = ("PRJ/one", "PRJ/two")


class Source:
    """Who sends events: a repository of Bitbucket's, or GitHub."""

    def __init__(self, world, repository=None):
        self.world, self.repository, self.sent = world, repository, 0
        self.port = web_port(world)
        if repository is None:
            self.path, self.secret = "/api/github-events-proxy", world.github
            return
        number = next(row["id"] for row in world.repositories() if f"{row['project']}/{row['slug']}" == repository)
        status, body = world.api("POST", f"/api/v1/repositories/{number}/webhook/by-hand", {})
        assert status == 200, body
        self.path, self.secret = f"/api/bitbucket-events-proxy/{number}", json.loads(body)["secret"]
        world.secrets.add(self.secret)

    @property
    def name(self):
        return self.repository or "github"

    def id(self, number):
        return f"{self.name.replace('/', '-')}-{number:04}"

    def send(self, count=1, **more):
        """So many events, each after the one before was accepted. Returns their request ids."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        ids = []
        for _ in range(count):
            self.sent += 1
            ids.append(self.id(self.sent))
            connection.request("POST", self.path, *self.event(ids[-1], **more))
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 202, (answer.status, text)
        connection.close()
        return ids

    def event(self, id, **more):
        project, slug = (self.repository or "acme/app").split("/")
        repository = {"slug": slug, "project": {"key": project}}
        body = json.dumps({"eventKey": "repo:refs_changed", "repository": repository, "changes": [], **more}).encode()
        mac = "sha256=" + hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json"}
        if self.repository:
            headers.update({"X-Event-Key": "repo:refs_changed", "X-Request-Id": id, "X-Hub-Signature": mac})
        else:
            headers.update({"X-GitHub-Event": "push", "X-GitHub-Delivery": id, "X-Hub-Signature-256": mac})
        return body, headers


class Forward(E2E):
    def relay_world(self, repositories=REPOSITORIES, **settings):
        world = self.world(EYES_EVENTS="relay", **settings)
        world.github = world.secret("github")
        world.settings["GITHUB_WEBHOOK_SECRET"] = world.github
        world.start_eyes()
        world.start_bitbucket(repositories=repositories or ("PRJ/one",))
        world.start_daemon()
        world.set_account()
        world.add_server()
        if repositories:
            world.enable(*repositories)
        return world

    def relay(self, world, query=""):
        return world.get("relay" + query)

    def arrived(self, world, source):
        """The request ids that Eyes took of this source, in order."""
        prefix = source.id(0)[:-4]
        return [event["request_id"] for event in world.eyes.events() if event["request_id"].startswith(prefix)]

    def wait_all(self, world, sources, hurry=False, seconds=None):
        """Until Eyes has all; then whether each source's came in order, none before the one that it follows."""
        def all_there():
            if hurry:
                world.api("POST", "/api/v1/relay/retry", {"all": True})
            return all(len(set(self.arrived(world, source))) == source.sent for source in sources)
        wait_for(all_there, lambda: f"all events arrive: {self.relay(world)}\n{world.tail()}", seconds, every=0.2)
        for source in sources:
            came = self.arrived(world, source)
            self.assertEqual(sorted(set(came)), [source.id(n) for n in range(1, source.sent + 1)])
            self.assertEqual(came, sorted(came), source.name)  # the same again: only at once, behind itself
        wait_for(lambda: self.relay(world)["counts"]["waiting"] == 0, lambda: f"{self.relay(world)}")

    def leg(self, world, state):
        return wait_for(lambda: self.relay(world)["state"] == state and self.relay(world),
                        lambda: f"the leg is {state}: {self.relay(world)}\n{world.tail()}")


class Order(Forward):
    def test_failures_of_all_kinds(self):
        world = self.relay_world()
        sources = [Source(world, "PRJ/one"), Source(world, "PRJ/two"), Source(world)]
        for rule in ({"action": "status", "status": 503}, {"action": "status", "status": 500}, {"action": "cut_after"},
                     {"action": "cut_before"}, {"action": "garbage"}, {"action": "slow", "delay_ms": 150}):
            world.eyes.fault(rule.pop("action"), times=4, match={"path": ADDRESS}, chance=0.4, **rule)
        for _ in range(4):
            for source in sources:
                source.send(5)
        self.wait_all(world, sources, hurry=True, seconds=60)
        self.assertEqual(self.relay(world)["counts"]["dead"], 0)

    def test_a_restart_and_a_crash_in_between(self):
        world = self.relay_world()
        sources = [Source(world, "PRJ/one"), Source(world)]
        rule = world.eyes.fault("status", match={"path": ADDRESS}, status=503)
        for source in sources:
            source.send(5)
        wait_for(lambda: world.eyes.hits(rule), "a first try")
        world.kill_daemon()
        world.start_daemon()
        for source in sources:
            source.port = web_port(world)
            source.send(3)
        world.restart_daemon()
        world.eyes.heal()
        self.wait_all(world, sources, hurry=True)


class Trouble(Forward):
    def test_eyes_is_down_for_long(self):
        world = self.relay_world()
        sources = [Source(world, "PRJ/one"), Source(world)]
        sources[0].send(1)
        self.wait_all(world, sources)
        world.eyes.stop()
        for source in sources:
            source.send(10)
        relay = self.leg(world, "failing")
        self.assertEqual(relay["counts"]["waiting"], 20)
        self.assertEqual(relay["counts"]["lanes"], 2)
        self.assertIn("last_ok", relay)
        self.assertIn("next_try", relay)
        self.assertTrue(relay["trace"])
        first = relay["events"][0]
        self.assertIn(first["state"], ("waiting", "sending"))
        problems = {problem["code"]: problem for problem in world.status()["problems"]}
        self.assertIn("wait", problems["events_failing"]["message"])
        said = world.cli("status", expect=1).out
        self.assertIn("Events        failing: 20 waiting, 0 dead", said)
        said = world.cli("events", "list").out
        self.assertIn("PRJ/one", said)
        self.assertIn("github", said)
        self.assertIn("20 waiting, 0 dead; failing", said)
        self.assertEqual(len(world.ask("events", "list", "--state", "dead")["events"]), 0)
        world.eyes.args += ["--key", world.key]  # known before the first event comes
        world.eyes.start()
        world.eyes.allow(world.key)
        sources[0].sent, sources[0].id = 10, lambda n: f"PRJ-one-{n + 1:04}"  # the first went to the one before
        self.wait_all(world, sources, hurry=True, seconds=40)
        log = world.log()
        self.assertGreaterEqual(log.count("Eyes takes events again"), 2)  # one for each road
        self.assertLessEqual(log.count("Eyes does not take events at present"), 4)
        self.leg(world, "ok")

    def test_too_old_then_retried_and_dropped(self):
        world = self.relay_world()
        source = Source(world, "PRJ/one")
        world.eyes.fault("status", match={"path": ADDRESS}, status=503)
        ids = source.send(3)
        world.stop_daemon()
        time.sleep(5)  # each is older than what may be, so that they end together
        world.start_daemon(env={"EYES_QUEUE_TTL": "5s"})
        dead = wait_for(lambda: (self.relay(world)["counts"]["dead"] == 3) and self.relay(world, "?state=dead")["events"],
                        lambda: f"three are dead: {self.relay(world)}")
        self.assertEqual([event["request_id"] for event in dead], ids)
        self.assertEqual({event["code"] for event in dead}, {"expired"})
        self.assertIn('eyes_scm_events_forwarded_total{outcome="expired"} 3', world.api("GET", "/metrics")[1].decode())
        world.restart_daemon()  # what is dead is kept for as long again: here for days
        self.assertIn("events_dead", {problem["code"] for problem in world.status()["problems"]})
        said = world.cli("events", "list", "--state", "dead").out
        self.assertIn("dead", said)
        self.assertIn("0 waiting, 3 dead", said)
        world.eyes.heal()
        world.cli("events", "drop", str(dead[1]["id"]))
        self.assertEqual(world.ask("events", "drop", str(dead[1]["id"]), expect=1)["error"]["code"], "not_found")
        world.cli("events", "retry", str(dead[2]["id"]))
        wait_for(lambda: ids[2] in self.arrived(world, source), "the retried one arrives")
        self.assertIn("1 event is", world.cli("events", "retry", "--all").out)
        wait_for(lambda: self.arrived(world, source) == [ids[2], ids[0]], lambda: str(self.arrived(world, source)))
        actions = [(row["action"], row["subject"]) for row in world.get("audit")["entries"]]
        self.assertIn(("events.drop", f"event {dead[1]['id']}"), actions)
        self.assertIn(("events.retry", f"event {dead[2]['id']}"), actions)

    def test_one_is_refused_for_good(self):
        world = self.relay_world()
        source = Source(world, "PRJ/one")
        world.eyes.fault("status", match={"path": ADDRESS, "body": "poison"}, status=422, times=2)
        ids = source.send(1) + source.send(1, note="poison one") + source.send(1) + source.send(1, note="poison two")
        wait_for(lambda: self.relay(world)["counts"]["dead"] == 2, lambda: f"two are dead: {self.relay(world)}")
        self.assertEqual(self.arrived(world, source), [ids[0], ids[2]])
        dead = self.relay(world, "?state=dead")["events"]
        self.assertEqual(dead[0]["code"], "event_refused")
        self.assertEqual(dead[0]["repository"], "PRJ/one")
        status, body = world.api("POST", "/api/v1/relay/drop", {"ids": [dead[0]["id"], 999]})
        answer = json.loads(body)
        self.assertEqual((status, answer["dropped"]), (200, 1))
        self.assertEqual([(error["id"], error["code"]) for error in answer["errors"]], [(999, "not_found")])
        status, body = world.api("POST", "/api/v1/relay/retry", {"id": dead[1]["id"]})
        self.assertEqual((status, json.loads(body)), (200, {"retried": 1}))
        wait_for(lambda: self.arrived(world, source) == [ids[0], ids[2], ids[3]], lambda: str(self.arrived(world, source)))
        for wrong in ({}, {"id": 1, "all": True}, {"ids": []}, {"ids": ["1"]}, {"ids": [0]}, {"ids": [1] * 501}, {"id": -1}):
            self.assertEqual(world.api("POST", "/api/v1/relay/retry", wrong)[0], 400, wrong)
        self.assertEqual(world.api("POST", "/api/v1/relay/drop", {"all": True})[0], 400)

    def test_one_repository_is_not_wanted(self):
        bad = ["PRJ/bad1", "PRJ/bad2"]
        world = self.relay_world(repositories=(*bad, "PRJ/good"))
        rule = world.eyes.fault("status", match={"path": ADDRESS, "body": '"slug": "bad'}, status=404)
        good, *others = (Source(world, repository) for repository in ("PRJ/good", *bad))
        good.send(1)
        wait_for(lambda: len(self.arrived(world, good)) == 1, "the first arrives")
        for number, source in enumerate(others):
            refused = source.send(2)[0]
            wait_for(lambda: world.eyes.hits(rule) > number, "Eyes says no")
            started = time.monotonic()
            good.send(5)
            wait_for(lambda: len(self.arrived(world, good)) == good.sent, lambda: f"the others go on: {self.relay(world)}")
            self.assertLess(time.monotonic() - started, 5)
        relay = self.leg(world, "failing")
        self.assertIn("of 2 repositories the first event is not taken", relay["message"])
        self.assertEqual(world.eyes.hits(rule), 2)  # each rests from its first failure on
        world.eyes.heal()
        first = next(event["id"] for event in relay["events"] if event["request_id"] == refused)
        world.cli("events", "drop", str(first))  # what was behind it goes at once
        wait_for(lambda: self.arrived(world, others[1]) == [others[1].id(2)], lambda: str(self.relay(world)))

    def test_github_says_a_host_that_is_none(self):
        world = self.relay_world(repositories=())
        source = Source(world)
        event = source.event
        source.event = lambda id: (event(id)[0], {**event(id)[1], "X-GitHub-Enterprise-Host": ".."})
        source.send(1)
        source.event = event
        source.send(2)
        self.wait_all(world, [source])
        self.assertEqual(self.relay(world)["state"], "ok")

    def test_the_polls_work_again(self):
        world = self.relay_world()
        source = Source(world, "PRJ/one")
        rule = world.eyes.fault("status", match={"path": "/commands"}, status=500)
        world.eyes.fault("status", match={"path": ADDRESS}, status=404)
        source.send(1)
        self.leg(world, "blocked")  # for half a minute at least
        wait_for(lambda: world.eyes.hits(rule), "the polls fail as well")
        world.eyes.heal()
        self.wait_all(world, [source], seconds=25)

    def test_the_key_is_refused_until_there_is_another(self):
        world = self.relay_world(repositories=())
        source = Source(world)
        world.eyes.fault("status", match={"path": ADDRESS, "token": world.key}, status=401)
        source.send(3)
        relay = self.leg(world, "blocked")
        self.assertIn("key", relay["message"].lower())
        self.assertTrue(relay["hint"])
        self.assertIn("events_blocked", {problem["code"] for problem in world.status()["problems"]})
        other = world.secret("other-key")
        world.eyes.allow(other)
        world.cli("account", "set", "--key-file", "-", stdin=other)
        self.wait_all(world, [source])
        self.assertNotIn("events_blocked", {problem["code"] for problem in world.status()["problems"]})

    def test_the_address_is_wrong(self):
        world = self.relay_world(repositories=(), EYES_GITHUB_WEBHOOK_URL="{EYES_SERVER_URL}/nowhere?org={orgId}")
        world.expected_violations.append("")
        source = Source(world)
        source.send(1)
        relay = self.leg(world, "blocked")
        self.assertIn("EYES_GITHUB_WEBHOOK_URL", relay["hint"])
        self.assertGreater(relay["counts"]["waiting"], 0)


class Queue(E2E):
    def test_several_by_number(self):
        world = self.ready_world()
        world.bitbucket.fault("status", match={"method": "POST", "path": "/builds"}, status=400, body="{}")
        commands = [world.command(commit=n) for n in range(1, 4)]
        world.wait_outcomes(world.send_all(commands), ("rejected",))
        dead = [update["id"] for update in world.get("queue?state=dead")["updates"]]
        self.assertEqual(len(dead), 3)
        status, body = world.api("POST", "/api/v1/queue/drop", {"ids": [dead[0], 999]})
        answer = json.loads(body)
        self.assertEqual((status, answer["dropped"], [error["id"] for error in answer["errors"]]), (200, 1, [999]))
        world.bitbucket.heal()
        status, body = world.api("POST", "/api/v1/queue/retry", {"ids": dead[1:]})
        self.assertEqual((status, json.loads(body)), (200, {"retried": 2, "errors": []}))
        wait_for(lambda: world.bitbucket.status(commands[2]["commit"]) == "SUCCESSFUL", "the retried one is delivered")
        self.assertEqual(world.api("POST", "/api/v1/queue/drop", {"id": 999})[0], 404)


if __name__ == "__main__":
    unittest.main()
