"""Newest wins, and a running status never stands after a finished one, whatever happens on the way."""

import unittest

from harness import E2E, sha, wait_for

RUNNING = {"method": "POST", "body": "INPROGRESS"}


def sequence_of(request_or_entry):
    """Tests write the sequence into the description: "s=12"."""
    import json
    body = request_or_entry["body"]
    body = json.loads(body) if isinstance(body, str) else body
    return int(body["description"].split("=")[1])


class RunningNeverStandsAfterFinished(E2E):
    def finished_stands(self, action, timeout="2s", times=1, wait_for_hit=True, **fault):
        world = self.ready_world(EYES_SCM_TIMEOUT=timeout)
        rule = world.bitbucket.fault(action, times=times, match=RUNNING, **fault)
        running = world.send(state="INPROGRESS", sequence=1)
        if wait_for_hit:
            wait_for(lambda: world.bitbucket.hits(rule), "the running status meets the fault")
        else:
            world.wait_accepted([running])
        finished = world.send(state="SUCCESSFUL", sequence=2)
        world.wait_outcome(finished, "delivered", seconds=30)
        world.bitbucket.wait_status(sha(1), "SUCCESSFUL")
        world.wait_idle(30)
        self.assertEqual(world.bitbucket.status(sha(1)), "SUCCESSFUL")
        self.assertIn(world.eyes.outcome(running), ("delivered", "superseded"))
        return world

    def sent_in_order(self, world):
        states = ["SUCCESSFUL" in post["body"] for post in world.bitbucket.posts()]
        self.assertEqual(states, sorted(states), "an older one was sent after a newer one")

    def test_429(self):
        self.sent_in_order(self.finished_stands("status", status=429, headers={"Retry-After": "1"}))

    def test_429_without_retry_after_and_without_body(self):
        self.sent_in_order(self.finished_stands("status", status=429, body=""))

    def test_500(self):
        self.sent_in_order(self.finished_stands("status", status=500, times=2))

    def test_503_with_retry_after(self):
        self.sent_in_order(self.finished_stands("status", status=503, headers={"Retry-After": "1"}))

    def test_timeout(self):
        self.sent_in_order(self.finished_stands("hang", timeout="1s"))

    def test_answer_comes_too_late(self):
        self.sent_in_order(self.finished_stands("slow", timeout="1s", delay_ms=1800))

    def test_cut_before(self):
        self.sent_in_order(self.finished_stands("cut_before"))

    def test_cut_after(self):
        self.sent_in_order(self.finished_stands("cut_after"))

    def test_cut_in_the_middle_of_the_answer(self):
        self.sent_in_order(self.finished_stands("cut_middle"))

    def test_reset(self):
        self.sent_in_order(self.finished_stands("cut_after", reset=True))

    def test_garbage(self):
        self.sent_in_order(self.finished_stands("garbage"))

    def test_write_that_lands_late_is_repaired(self):
        world = self.finished_stands("late", timeout="4s", delay_ms=2500)
        wait_for(lambda: "INPROGRESS" in world.bitbucket.history(sha(1)), "the old write lands")
        world.wait_idle(30)
        self.assertEqual(world.bitbucket.status(sha(1)), "SUCCESSFUL", world.bitbucket.history(sha(1)))
        self.assertEqual(world.bitbucket.history(sha(1))[-2:], ["INPROGRESS", "SUCCESSFUL"])
        reads = [request for request in world.bitbucket.requests("/builds") if request["method"] == "GET"]
        self.assertTrue(reads, "the status was read back")

    def test_late_write_of_a_killed_daemon_is_repaired(self):
        world = self.ready_world(EYES_SCM_TIMEOUT="4s")
        rule = world.bitbucket.fault("late", times=1, match=RUNNING, delay_ms=2500)
        running = world.send(state="INPROGRESS", sequence=1)
        wait_for(lambda: world.bitbucket.hits(rule), "the running status is lost on its way")
        world.kill_daemon()
        finished = world.send(state="FAILED", sequence=2)
        world.start_daemon()
        world.wait_outcome(finished, "delivered")
        wait_for(lambda: "INPROGRESS" in world.bitbucket.history(sha(1)), "the old write lands")
        world.wait_idle(30)
        self.assertEqual(world.bitbucket.status(sha(1)), "FAILED", world.bitbucket.history(sha(1)))
        self.assertIn(world.eyes.outcome(running), ("delivered", "superseded"))

    def test_read_back_that_agrees_sends_nothing(self):
        world = self.finished_stands("cut_before", timeout="2s")
        self.assertEqual(world.bitbucket.history(sha(1))[-1], "SUCCESSFUL")
        finals = [post for post in world.bitbucket.posts() if "SUCCESSFUL" in post["body"]]
        self.assertEqual(len(finals), 1)


class NewestWins(E2E):
    def test_older_sequence_is_superseded_whenever_it_arrives(self):
        world = self.ready_world()
        newer = world.send(state="SUCCESSFUL", sequence=7)
        world.wait_outcome(newer, "delivered")
        older = world.send(state="INPROGRESS", sequence=6)
        world.wait_outcome(older, "superseded")
        self.assertEqual(world.bitbucket.history(sha(1)), ["SUCCESSFUL"])

    def test_older_created_at_is_superseded(self):
        world = self.ready_world()
        newer = world.send(state="FAILED", createdAt="2026-01-31T13:45:31Z")
        world.wait_outcome(newer, "delivered")
        older = world.send(state="INPROGRESS", createdAt="2026-01-31T13:45:30.999Z")
        world.wait_outcome(older, "superseded")
        self.assertEqual(world.bitbucket.history(sha(1)), ["FAILED"])

    def test_only_the_newest_goes_out_after_an_outage(self):
        world = self.ready_world()
        world.bitbucket.fault("status", status=503, match={"method": "POST"})
        ids = []
        for number in range(1, 6):
            ids.append(world.send(state="INPROGRESS" if number < 5 else "FAILED", sequence=number, description=f"s={number}"))
            world.wait_accepted(ids)
        world.wait_outcomes(ids[:-1], ("superseded",))
        world.bitbucket.heal()
        world.wait_outcome(ids[-1], "delivered", seconds=30)
        self.assertEqual(world.bitbucket.history(sha(1)), ["FAILED"])

    def test_order_of_arrival_decides_without_sequence(self):
        world = self.ready_world()
        world.bitbucket.fault("status", status=503, match={"method": "POST"})
        ids = world.send_all([world.command(state=state) for state in ("INPROGRESS", "FAILED", "SUCCESSFUL")])
        world.wait_outcomes(ids[:-1], ("superseded",))
        world.bitbucket.heal()
        world.wait_outcome(ids[-1], "delivered", seconds=30)
        self.assertEqual(world.bitbucket.history(sha(1)), ["SUCCESSFUL"])

    def test_one_in_flight_per_target(self):
        world = self.ready_world()
        rule = world.bitbucket.fault("slow", delay_ms=700, times=1, match={"method": "POST"})
        first = world.send(state="INPROGRESS", sequence=1)
        wait_for(lambda: world.bitbucket.hits(rule), "the first is under way")
        second = world.send(state="SUCCESSFUL", sequence=2)
        world.wait_outcomes([first, second])
        one, two = world.bitbucket.posts()
        self.assertGreaterEqual(two["monotonic_us"], one["monotonic_us"] + one["took_us"])


class OthersDoNotWait(E2E):
    def test_other_key_of_the_commit(self):
        world = self.ready_world()
        rule = world.bitbucket.fault("hang", match={"method": "POST", "key": "slow"})
        slow = world.send(key="slow")
        wait_for(lambda: world.bitbucket.hits(rule), "the slow one is under way")
        world.wait_outcome(world.send(key="fast"), "delivered", seconds=5)
        self.assertIsNone(world.eyes.outcome(slow))
        world.bitbucket.heal()

    def test_500_of_one_update_does_not_stop_the_server(self):
        world = self.ready_world()
        world.bitbucket.fault("status", status=500, match={"method": "POST", "key": "sick"})
        sick = world.send(key="sick")
        world.wait_accepted([sick])
        for number in range(1, 4):
            world.wait_outcome(world.send(key="well", commit=number), "delivered", seconds=5)
        self.assertIsNone(world.eyes.outcome(sick))
        world.bitbucket.heal()
        world.wait_outcome(sick, "delivered", seconds=30)

    def test_other_repository(self):
        world = self.ready_world(repositories=("PRJ/web", "PRJ/api"))
        rule = world.bitbucket.fault("hang", match={"method": "POST", "path": "/repos/web/"})
        world.send(repository="PRJ/web")
        wait_for(lambda: world.bitbucket.hits(rule), "the slow one is under way")
        world.wait_outcome(world.send(repository="PRJ/api"), "delivered", seconds=5)
        world.bitbucket.heal()

    def test_other_server(self):
        world = self.ready_world()
        other = world.start_bitbucket("other")
        world.add_server(other)
        world.enable("PRJ/web", server=other)
        world.bitbucket.fault("status", status=503)
        waits = world.send()
        world.wait_accepted([waits])
        for number in range(1, 4):
            world.wait_outcome(world.send(other, commit=number), "delivered", seconds=5)
        self.assertIsNone(world.eyes.outcome(waits))
        world.bitbucket.heal()
        world.wait_outcome(waits, "delivered", seconds=30)


class Down(E2E):
    def test_delivered_once_the_server_is_back(self):
        world = self.ready_world()
        world.bitbucket.stop()
        ids = world.send_all([world.command(commit=number) for number in range(1, 51)])
        world.wait_accepted(ids)
        status = wait_for(lambda: (said := world.status())["servers"][0]["state"] == "failing" and said, "it is shown as failing")
        self.assertFalse(status["healthy"])
        world.bitbucket.start()
        world.bitbucket.repository("PRJ/web")
        world.bitbucket.token(world.token)
        world.wait_outcomes(ids, seconds=60)
        wait_for(lambda: world.status()["healthy"], "all is well again")


if __name__ == "__main__":
    unittest.main()
