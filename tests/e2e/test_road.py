"""The status road when all goes well: from Eyes, through the queue, to the commit in Bitbucket."""

import json
import unittest

from harness import E2E, sha, wait_for


class Commands(E2E):
    def test_status_arrives_with_a_held_poll(self):
        world = self.ready_world(EYES_STATUS_SOURCE="commands", EYES_POLL_WAIT="5s", EYES_POLL_INTERVAL="30s")
        running = world.send(commit=1, state="INPROGRESS")
        world.bitbucket.wait_status(sha(1), "INPROGRESS")
        world.wait_outcome(running, "delivered")
        finished = world.send(commit=1, state="SUCCESSFUL")
        world.bitbucket.wait_status(sha(1), "SUCCESSFUL")
        world.wait_outcome(finished, "delivered")
        self.assertEqual(world.bitbucket.history(sha(1)), ["INPROGRESS", "SUCCESSFUL"])
        polls = [request for request in world.eyes.requests("/commands") if request["method"] == "GET"]
        self.assertIn("wait=5", polls[-1]["target"])

    def test_status_arrives_with_plain_polling(self):
        world = self.ready_world(EYES_POLL_WAIT="0", EYES_POLL_INTERVAL="1s")
        for number, state in enumerate(("SUCCESSFUL", "FAILED", "INPROGRESS"), 1):
            world.send(commit=number, state=state)
            world.bitbucket.wait_status(sha(number), state)
        polls = [request for request in world.eyes.requests("/commands") if request["method"] == "GET"]
        self.assertFalse([poll["target"] for poll in polls if "wait=" in poll["target"] and "wait=0" not in poll["target"]])

    def test_request_on_the_wire(self):
        world = self.ready_world()
        world.bitbucket.control("POST", "reset", {"only": ["requests"]})
        world.send(repository="PRJ/web", commit="ABCDEF" + "0" * 34, key="tests/applitools/team1", name="Visual tests",
                   state="FAILED", description="12 passed, 1 unresolved – ä", ref="refs/heads/feature/x",
                   url="https://eyes.example.com/app/batches/1?a=b#c",
                   testResults={"successful": 12, "failed": 1, "skipped": 2}, somethingNew={"ignored": True})
        commit = "abcdef" + "0" * 34
        world.bitbucket.wait_status(commit, "FAILED", key="tests/applitools/team1")
        post, = world.bitbucket.posts()
        self.assertEqual(post["target"], f"/rest/api/1.0/projects/PRJ/repos/web/commits/{commit}/builds")
        self.assertEqual(post["headers"]["authorization"], f"Bearer {world.token}")
        self.assertEqual(post["headers"]["x-atlassian-token"], "no-check")
        self.assertEqual(post["headers"]["content-type"].split(";")[0], "application/json")
        self.assertEqual(post["headers"]["host"], f"localhost:{world.bitbucket.port}")
        self.assertEqual(post["status"], 204)
        self.assertEqual(json.loads(post["body"]), {
            "key": "tests/applitools/team1", "parent": "tests/applitools/team1", "name": "Visual tests",
            "state": "FAILED", "url": "https://eyes.example.com/app/batches/1?a=b#c",
            "description": "12 passed, 1 unresolved – ä", "ref": "refs/heads/feature/x",
            "testResults": {"successful": 12, "failed": 1, "skipped": 2}})

    def test_smallest_command(self):
        world = self.ready_world()
        id = world.send(name=None, description=None)
        world.wait_outcome(id, "delivered")
        body = json.loads(world.bitbucket.posts()[-1]["body"])
        self.assertEqual(body, {"key": "tests/applitools", "parent": "tests/applitools", "state": "SUCCESSFUL",
                                "url": "https://eyes.example.com/app/batches/1"})

    def test_cancelled_on_a_server_that_knows_it(self):
        world = self.ready_world()
        world.send(state="CANCELLED")
        world.bitbucket.wait_status(sha(1), "CANCELLED")

    def test_request_to_eyes_on_the_wire(self):
        world = self.ready_world()
        id = world.send()
        world.wait_outcome(id, "delivered")
        requests = world.eyes.requests("/commands")
        poll = next(request for request in requests if request["method"] == "GET")
        self.assertTrue(poll["target"].startswith("/api/scm/v1/orgs/org-1/commands?"), poll["target"])
        self.assertIn("server=localhost", poll["target"])
        for request in requests:
            headers = request["headers"]
            self.assertEqual(headers["x-eyes-api-key"], world.key)
            self.assertEqual(headers["accept"], "application/json")
            self.assertEqual(headers["eyes-expect-version"], "2")
            self.assertEqual(headers["eyes-expect"], "202+result")
            self.assertNotIn(world.key, request["target"])
            for name in ("user-agent", "x-applitools-eyes-client", "x-applitools-eyes-client-request-id", "eyes-date"):
                self.assertTrue(headers.get(name), f"{name} of {request['target']}")
        ids = [request["headers"]["x-applitools-eyes-client-request-id"] for request in requests]
        self.assertEqual(len(ids), len(set(ids)))
        acks = [json.loads(request["body"])["results"] for request in requests if request["method"] == "POST"]
        told = [result["outcome"] for results in acks for result in results if result["id"] == id]
        self.assertEqual(told, ["accepted", "delivered"])

    def test_accepted_only_after_it_is_kept_and_before_it_is_delivered(self):
        """The server hangs: the command is accepted all the same, and survives the kill of the daemon."""
        world = self.ready_world(EYES_SCM_TIMEOUT="2s")
        rule = world.bitbucket.fault("hang", match={"method": "POST"})
        id = world.send()
        world.wait_accepted([id])
        wait_for(lambda: world.bitbucket.hits(rule), "the POST is under way")
        world.kill_daemon()
        world.bitbucket.heal()
        world.start_daemon()
        world.wait_outcome(id, "delivered")
        world.bitbucket.wait_status(sha(1), "SUCCESSFUL")

    def test_server_is_known_by_every_spelling(self):
        world = self.ready_world()
        address = world.bitbucket.address
        spellings = [address + "/", address.replace("localhost", "LOCALHOST")]
        ids = world.send_all([world.command(commit=number, server=spelling)
                              for number, spelling in enumerate(spellings, 1)])
        world.wait_outcomes(ids)

    def test_many_repositories_and_targets(self):
        names = [f"PRJ/web{number}" for number in range(5)]
        world = self.ready_world(repositories=names)
        commands = [world.command(repository=names[number % 5], commit=number, key=f"key{number % 3}")
                    for number in range(1, 400)]
        ids = world.send_all(commands)
        world.wait_outcomes(ids)
        got = {(status["repository"], status["commit"], status["key"]) for status in world.bitbucket.statuses(history=False)}
        self.assertEqual(got, {(f"PRJ/{c['repository']}", c["commit"], c["key"]) for c in commands})


class Batches(E2E):
    def batches_world(self, **settings):
        settings.setdefault("EYES_STATUS_SOURCE", "batches")
        return self.ready_world(repositories=("PRJ/web", "PRJ/api"), **settings)

    def test_running_then_passed_then_failed_later(self):
        world = self.batches_world()
        world.eyes.batch("b1", sha(1), status="Running", total=3, passed=1)
        world.bitbucket.wait_status(sha(1), "INPROGRESS")
        world.eyes.batch("b1", sha(1), status="Passed", total=3, passed=3)
        world.bitbucket.wait_status(sha(1), "SUCCESSFUL")
        world.eyes.batch("b1", sha(1), status="Failed", total=3, passed=2, failed=1)
        world.bitbucket.wait_status(sha(1), "FAILED")
        body = world.bitbucket.statuses(commit=sha(1))[0]["body"]
        self.assertIn("2 passed", body["description"])
        self.assertIn("1 failed", body["description"])
        self.assertEqual(body["testResults"], {"successful": 2, "failed": 1, "skipped": 0})

    def test_two_batches_of_one_commit_are_summed(self):
        world = self.batches_world()
        world.eyes.batch("b1", sha(2), status="Failed", total=2, passed=1, unresolved=1)
        world.bitbucket.wait_status(sha(2), "FAILED")
        world.eyes.batch("b2", sha(2), status="Passed", total=5, passed=5)
        wait_for(lambda: world.bitbucket.statuses(commit=sha(2))[0]["body"]["testResults"]["successful"] == 6,
                 lambda: world.tail())
        self.assertEqual(world.bitbucket.status(sha(2)), "FAILED")

    def test_only_the_repositories_that_have_the_commit(self):
        world = self.batches_world()
        world.bitbucket.repository("PRJ/web", any_commit=False, commits=[sha(3)])
        world.bitbucket.repository("PRJ/api", any_commit=False, commits=[sha(4)])
        world.eyes.batch("b1", sha(3), status="Passed", total=1, passed=1)
        world.eyes.batch("b2", sha(4), status="Passed", total=1, passed=1)
        world.eyes.batch("b3", "not-a-commit", status="Failed", total=1, failed=1)
        world.bitbucket.wait_status(sha(3), "SUCCESSFUL")
        world.bitbucket.wait_status(sha(4), "SUCCESSFUL")
        got = {(status["repository"], status["commit"]) for status in world.bitbucket.statuses()}
        self.assertEqual(got, {("PRJ/web", sha(3)), ("PRJ/api", sha(4))})

    def test_unknown_word_is_never_green(self):
        world = self.batches_world()
        world.eyes.batch("b1", sha(5), status="Sparkling", total=1, passed=1)
        world.bitbucket.wait_status(sha(5), "INPROGRESS")
        self.assertIn("Sparkling", world.bitbucket.statuses(commit=sha(5))[0]["body"]["description"])
        world.wait_log("Sparkling")

    def test_pages_are_followed(self):
        world = self.batches_world()
        count = 250
        world.eyes.batches([dict(id=f"b{number}", pointerId=sha(number), status="Passed", total=1, passed=1)
                            for number in range(1000, 1000 + count)])
        wait_for(lambda: len({status["commit"] for status in world.bitbucket.statuses(history=False)}) == count,
                 lambda: f"{count} commits\n{world.tail()}", seconds=60)

    def test_restart_sends_nothing_twice(self):
        world = self.batches_world()
        world.eyes.batch("b1", sha(6), status="Passed", total=1, passed=1)
        world.bitbucket.wait_status(sha(6), "SUCCESSFUL")
        world.wait_idle()
        before = len(world.bitbucket.posts())
        world.restart_daemon()
        seen = world.eyes.requests()[-1]["number"]
        wait_for(lambda: len(world.eyes.requests("/batches?", since=seen)) >= 2, "two more polls")
        world.wait_idle()
        self.assertEqual(len(world.bitbucket.posts()), before)


class Auto(E2E):
    FEED = {"path": "/commands"}

    def auto_falls_back(self, status):
        world = self.world()
        world.start_eyes()
        world.start_bitbucket()
        rule = world.eyes.fault("status", status=status, match=self.FEED)
        world.start_daemon()
        world.set_account()
        world.add_server()
        world.enable("PRJ/web")
        world.eyes.batch("b1", sha(1), status="Passed", total=1, passed=1)
        world.bitbucket.wait_status(sha(1), "SUCCESSFUL", seconds=30)
        self.assertEqual(world.eyes.hits(rule), 3)
        world.wait_log("source=batches")
        self.assertEqual(world.status()["eyes"]["source"], "batches")

    def test_falls_back_after_three_404(self):
        self.auto_falls_back(404)

    def test_falls_back_after_three_405(self):
        self.auto_falls_back(405)

    def test_falls_back_after_three_501(self):
        self.auto_falls_back(501)

    def test_two_404_do_not_change_the_source(self):
        world = self.world()
        world.start_eyes()
        world.start_bitbucket()
        world.eyes.fault("status", times=2, status=404, match=self.FEED)
        world.start_daemon()
        world.set_account()
        world.add_server()
        world.enable("PRJ/web")
        world.wait_outcome(world.send(), "delivered", seconds=30)
        self.assertEqual(world.status()["eyes"]["source"], "commands")
        self.assertFalse(world.eyes.requests("/api/v1/batches"))


if __name__ == "__main__":
    unittest.main()
