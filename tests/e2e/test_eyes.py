"""The Eyes side: keys, long requests, and outcomes that cannot be told at once."""

import json
import unittest

from harness import E2E, sha, wait_for


class Key(E2E):
    def world_without_key(self, **settings):
        world = self.world(**settings)
        world.start_eyes()
        world.start_bitbucket()
        world.start_daemon()
        return world

    def set_key(self, world, key, expect=1):
        return world.cli("account", "set", "--key-file", "-", "--json", stdin=key, expect=expect)

    def test_account_is_shown(self):
        world = self.world_without_key()
        said = world.cli("account", "show", expect=1)
        self.assertIn("no Eyes API key", said.err)
        world.eyes.allow(world.key, purpose="for the tests", expiresAt="2031-01-31T13:45:30.1234567Z")
        world.set_account()
        account = world.ask("account", "show")
        self.assertEqual((account["team"], account["user"], account["purpose"]), ("team-1", "eyes@example.com", "for the tests"))
        self.assertEqual(set(account["permissions"]), {"read", "write", "execute", "merge"})
        self.assertTrue(account["expires"].startswith("2031-01-31T13:45:30"))
        said = world.cli("account", "show").out
        for word in ("team-1", "eyes@example.com", "for the tests", "merge"):
            self.assertIn(word, said)
        self.assertNotIn(world.key, said)

    def test_unknown_key(self):
        world = self.world_without_key()
        error = self.set_key(world, world.secret("unknown")).error
        self.assertEqual(error["code"], "key_unknown")
        self.assertTrue(error["hint"])
        self.assertFalse(world.get("account")["configured"])

    def test_permissions_missing(self):
        world = self.world_without_key()
        world.eyes.allow(world.key, permissions=["read", "execute"])
        error = self.set_key(world, world.key).error
        self.assertEqual(error["code"], "key_permissions")
        self.assertRegex(error["message"] + error["hint"], "write.*merge")
        self.assertFalse(world.get("account")["configured"])

    def test_wrong_key_does_not_replace_the_right_one(self):
        world = self.ready_world()
        self.set_key(world, world.secret("unknown"))
        world.wait_outcome(world.send(), "delivered")

    def test_empty_and_odd_key_files(self):
        world = self.world_without_key()
        for text, words in (("", "empty"), (" \n\t\n", "empty"), ("two words", "white space")):
            with self.subTest(text=text):
                said = world.cli("account", "set", "--key-file", world.file("key", text), expect=1)
                self.assertIn(words, said.err)
        self.assertFalse(world.eyes.requests())
        world.cli("account", "set", "--key-file", world.file("key", f"\n  {world.key}\r\n\n"))
        self.assertEqual(world.eyes.requests()[0]["headers"]["x-eyes-api-key"], world.key)

    def test_soon_expiring_key_is_shown(self):
        from datetime import datetime, timedelta, timezone
        world = self.ready_world()
        soon = (datetime.now(timezone.utc) + timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        world.eyes.allow(world.key, expiresAt=soon)
        said = world.cli("account", "set", "--key-file", "-", stdin=world.key)
        self.assertIn("expire", (said.out + said.err).lower())
        status = world.cli("status", expect=1)
        self.assertIn("expire", status.out.lower())

    def test_refused_key_is_shown_and_a_new_one_goes_on(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        world.eyes.allow(world.key, revoked=True)
        wait_for(lambda: world.get("account")["refused"], "the refusal is noted")
        seen = len(world.eyes.polls())
        said = world.cli("status", expect=1)
        self.assertRegex(said.out, "(?i)key")
        said = world.cli("account", "show", expect=1)
        self.assertIn("refused", said.out)
        self.assertLessEqual(len(world.eyes.polls()), seen + 1, "it does not hammer")
        fresh = world.secret("fresh")
        world.eyes.allow(fresh)
        world.cli("account", "set", "--key-file", "-", stdin=fresh)
        world.wait_outcome(world.send(), "delivered")
        wait_for(lambda: world.status()["healthy"], lambda: str(world.status()))

    def test_long_request(self):
        world = self.world_without_key()
        rule = world.eyes.fault("long", times=1, match={"path": "api-key-validation"}, delay_ms=100, polls=2,
                                headers={"Retry-After": "1"})
        world.set_account()
        self.assertEqual(world.eyes.hits(rule), 1)
        self.assertTrue(world.get("account")["configured"])
        self.assertGreaterEqual(len(world.eyes.requests("/api/long-requests/")), 2)

    def test_long_request_that_leads_elsewhere_stays_at_home(self):
        world = self.world_without_key()
        world.eyes.fault("long", times=1, match={"path": "api-key-validation"}, host="localhost:1", headers={"Retry-After": "0"})
        world.set_account()

    def test_long_request_that_is_gone(self):
        world = self.world_without_key()
        world.eyes.fault("long", times=1, match={"path": "api-key-validation"}, gone=True, headers={"Retry-After": "0"})
        said = self.set_key(world, world.key)
        self.assertEqual(said.error["code"], "eyes_4xx")

    def test_moved_eyes_server_does_not_get_the_key(self):
        world = self.ready_world()
        world.stop_daemon()
        first, key = world.eyes, world.key
        world.settings.pop("EYES_SERVER_URL")
        second = world.start_eyes()
        second.name = "eyes-2"
        world.start_daemon()
        self.assertFalse(world.status()["healthy"])
        self.assertFalse(second.requests(), "the key is not sent to a changed origin until it is entered again")
        world.set_account()
        world.wait_outcome(world.send(), "delivered")
        self.assertIsNotNone((first, key))


class Outcomes(E2E):
    def test_kept_while_eyes_does_not_take_them_and_over_a_restart(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        refused = world.eyes.fault("status", status=503, match={"path": "/commands/ack", "body": "delivered"})
        ids = world.send_all([world.command(commit=number) for number in range(1, 21)])
        for number in range(1, 21):
            world.bitbucket.wait_status(sha(number), "SUCCESSFUL")
        wait_for(lambda: world.eyes.hits(refused), "Eyes refuses the outcomes")
        wait_for(lambda: world.status()["outbox"] == 20, lambda: str(world.status()))
        self.assertFalse(world.eyes.outcomes())
        world.restart_daemon()
        self.assertEqual(world.status()["outbox"], 20)
        world.eyes.heal()
        world.wait_outcomes(ids, seconds=30)
        wait_for(lambda: world.status()["outbox"] == 0, "the outbox is empty")
        self.assertEqual(len(world.bitbucket.posts()), 20)

    def test_kept_over_kill_9(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        world.eyes.fault("status", status=503, match={"path": "/commands/ack", "body": "delivered"})
        id = world.send()
        world.bitbucket.wait_status(sha(1), "SUCCESSFUL")
        wait_for(lambda: world.status()["outbox"] == 1, "it is in the outbox")
        world.kill_daemon()
        world.eyes.heal()
        world.start_daemon()
        world.wait_outcome(id, "delivered")

    def test_eyes_down_while_bitbucket_works(self):
        world = self.ready_world()
        rule = world.bitbucket.fault("slow", delay_ms=800, times=1, match={"method": "POST"})
        id = world.send()
        wait_for(lambda: world.bitbucket.hits(rule), "the POST is under way")
        world.eyes.down(2500)
        world.bitbucket.wait_status(sha(1), "SUCCESSFUL")
        said = wait_for(lambda: (answer := world.cli("status", expect=None)).code == 1 and answer, "status says so")
        self.assertIn("Eyes", said.out)
        world.wait_outcome(id, "delivered", seconds=30)
        later = world.send(commit=2)
        world.wait_outcome(later, "delivered", seconds=30)
        wait_for(lambda: world.status()["healthy"], lambda: str(world.status()), seconds=30)

    def test_refused_row_does_not_stop_the_others(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        bad = world.command(commit=1)
        world.eyes.fault("status", status=400, match={"path": "/commands/ack", "body": f'"{bad["id"]}","outcome":"delivered"'})
        ids = world.send_all([bad] + [world.command(commit=number) for number in range(2, 12)])
        world.wait_outcomes(ids[1:], seconds=30)
        wait_for(lambda: world.status()["outbox"] == 0, "the outbox is empty")

    def test_retry_after_of_a_poll_is_obeyed(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        world.eyes.fault("status", times=1, status=429, headers={"Retry-After": "3"}, match={"path": "/commands?"})
        limited = wait_for(lambda: [poll for poll in world.eyes.polls() if poll["status"] == 429], "it is limited")[0]
        after = wait_for(lambda: [poll for poll in world.eyes.polls(limited["number"])], "it asks again")[0]
        self.assertGreaterEqual(after["monotonic_us"] - limited["monotonic_us"], 2_900_000)

    def test_one_poll_at_a_time(self):
        world = self.ready_world(EYES_POLL_WAIT="2s")
        world.eyes.wait_polls(2)
        self.assertLessEqual(world.eyes.state()["feed"].get("most_waiting", 1), 1, json.dumps(world.eyes.state()["feed"]))


if __name__ == "__main__":
    unittest.main()
