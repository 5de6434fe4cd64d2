"""What is refused, and by whom: tokens, permissions, repositories, commits, updates, commands."""

import json
import unittest

from harness import E2E, SECONDS, sha, wait_for

AUTHORISATION = "AuthorisationException"


class Token(E2E):
    def test_revoked_blocks_without_hammering_and_a_new_one_sends_what_waits(self):
        world = self.ready_world(repositories=("PRJ/web", "PRJ/api"))
        world.wait_outcome(world.send(commit=99), "delivered")
        world.bitbucket.token(world.token, revoked=True)
        first = world.send(commit=1)
        world.wait_accepted([first])
        wait_for(lambda: world.status()["repositories"]["blocked"] == 2, lambda: f"both are blocked\n{world.tail()}")
        before = len(world.bitbucket.posts())
        ids = [first] + world.send_all([world.command(repository=f"PRJ/{slug}", commit=number)
                                        for slug in ("web", "api") for number in range(2, 22)])
        world.wait_accepted(ids)
        said = world.cli("status", expect=1)
        self.assertRegex(said.out + said.err, r"(?i)refused")
        self.assertIn("PRJ/web", said.out)
        self.assertLessEqual(len(world.bitbucket.posts()), before)
        blocked = world.ask("queue", "list", "--state", "blocked")
        self.assertEqual(len(blocked["updates"]), len(ids))
        listed = {f"{repository['project']}/{repository['slug']}": repository for repository in world.repositories()}
        self.assertEqual(listed["PRJ/web"]["state"], "blocked")
        self.assertEqual(listed["PRJ/web"]["error"]["code"], "token_refused")

        fresh = world.secret("fresh")
        world.bitbucket.token(fresh)
        for name in ("PRJ/web", "PRJ/api"):
            said = world.cli("repo", "set-token", name, "--token-file", "-", stdin=fresh)
            self.assertNotIn(fresh, said.out)
        world.wait_outcomes(ids)
        wait_for(lambda: world.status()["healthy"], lambda: str(world.status()))
        self.assertEqual({post["headers"]["authorization"] for post in world.bitbucket.posts()[-len(ids):]}, {f"Bearer {fresh}"})

    def test_blocked_over_a_restart(self):
        world = self.ready_world()
        world.bitbucket.token(world.token, revoked=True)
        id = world.send()
        wait_for(lambda: world.status()["repositories"]["blocked"] == 1, "it is blocked")
        world.wait_accepted([id])
        before = len(world.bitbucket.posts())
        world.restart_daemon()
        self.assertEqual(world.status()["repositories"]["blocked"], 1)
        self.assertEqual(len(world.bitbucket.posts()), before)
        fresh = world.secret("fresh")
        world.bitbucket.token(fresh)
        world.cli("repo", "set-token", "PRJ/web", "--token-file", "-", stdin=fresh)
        world.wait_outcome(id, "delivered")

    def test_permission_missing_blocks_only_that_repository(self):
        world = self.ready_world(repositories=("PRJ/web", "PRJ/api"))
        world.bitbucket.token(world.token, read=["PRJ/api"], admin=[])
        refused = world.send(repository="PRJ/web")
        world.wait_accepted([refused])
        wait_for(lambda: world.status()["repositories"]["blocked"] == 1, lambda: world.tail())
        world.wait_outcome(world.send(repository="PRJ/api"), "delivered")
        blocked, = [repository for repository in world.repositories() if repository["state"] == "blocked"]
        self.assertEqual((blocked["slug"], blocked["error"]["code"]), ("web", "token_rights"))
        self.assertIn("build-bot", blocked["error"]["message"])

    def test_refused_or_powerless_token_cannot_enable(self):
        world = self.ready_world(repositories=("PRJ/web",))
        world.bitbucket.repository("PRJ/api")
        unknown = world.secret("unknown")
        said = world.cli("repo", "enable", "PRJ/api", "--token-file", "-", stdin=unknown, expect=1)
        self.assertRegex(said.err, "(?i)refused this token")
        weak = world.secret("weak")
        world.bitbucket.token(weak, user="reader", read=["PRJ/web"], admin=[])
        said = world.cli("repo", "enable", "PRJ/api", "--token-file", "-", "--json", stdin=weak, expect=1)
        self.assertIn(said.error["code"], ("token_rights", "repo_missing", "repo_unknown"))
        self.assertEqual([repository["slug"] for repository in world.repositories() if repository["state"] != "disabled"], ["web"])

    def test_forbidden_blocks(self):
        world = self.ready_world()
        world.bitbucket.fault("status", status=403, body="licence limit", times=1, match={"method": "POST"})
        id = world.send()
        wait_for(lambda: world.status()["repositories"]["blocked"] == 1, lambda: world.tail())
        world.cli("repo", "set-token", "PRJ/web", "--token-file", "-", stdin=world.token)
        world.wait_outcome(id, "delivered")

    def test_disable_ends_what_waits_and_forgets_the_token(self):
        world = self.ready_world()
        world.bitbucket.token(world.token, revoked=True)
        id = world.send()
        wait_for(lambda: world.status()["repositories"]["blocked"] == 1, "it is blocked")
        world.wait_accepted([id])
        world.cli("repo", "disable", "PRJ/web")
        world.wait_outcome(id, "ignored")
        later = world.send(commit=2)
        self.assertIn("not enabled", world.wait_outcome(later, "ignored")["error"])
        world.bitbucket.token(world.token)
        world.enable("PRJ/web")
        world.wait_outcome(world.send(commit=3), "delivered")


class Repository(E2E):
    def test_404_of_the_repository_blocks(self):
        for empty in (False, True):
            with self.subTest(empty_body=empty):
                world = self.ready_world(repositories=("PRJ/web", "PRJ/api"))
                world.bitbucket.setup(remove=["PRJ/web"], not_found_empty=empty)
                world.wait_accepted([world.send(repository="PRJ/web")])
                wait_for(lambda: world.status()["repositories"]["blocked"] == 1, lambda: world.tail())
                blocked, = [repository for repository in world.repositories() if repository["state"] == "blocked"]
                self.assertEqual(blocked["slug"], "web")
                world.wait_outcome(world.send(repository="PRJ/api"), "delivered")

    def test_not_enabled_is_ignored(self):
        world = self.ready_world()
        world.bitbucket.repository("PRJ/other")
        told = world.wait_outcome(world.send(repository="PRJ/other"), "ignored")
        self.assertIn("not enabled", told["error"])
        self.assertFalse(world.bitbucket.posts())


class Commit(E2E):
    def test_unknown_one_is_delivered_once_it_is_pushed(self):
        for empty in (False, True):
            with self.subTest(empty_body=empty):
                world = self.ready_world()
                world.bitbucket.repository("PRJ/lib", any_commit=False, commits=[sha(1)])
                world.bitbucket.setup(not_found_empty=empty)
                world.enable("PRJ/lib")
                id = world.send(repository="PRJ/lib", commit=2)
                world.wait_outcome(world.send(repository="PRJ/lib", commit=1), "delivered")
                wait_for(lambda: len([post for post in world.bitbucket.posts() if sha(2) in post["target"]]) >= 2,
                         lambda: f"a second try\n{world.tail()}")
                self.assertIsNone(world.eyes.outcome(id))
                waiting, = world.ask("queue", "list")["updates"]
                self.assertEqual((waiting["commit"], waiting["state"]), (sha(2), "later"))
                self.assertEqual(world.status()["repositories"]["blocked"], 0)
                world.bitbucket.setup(commits={"PRJ/lib": [sha(2)]})
                world.wait_outcome(id, "delivered")


class Update(E2E):
    BAD = {"errors": [{"context": "url", "message": "the url is not to my taste", "exceptionName": None}]}

    def refused_world(self):
        world = self.ready_world()
        self.rule = world.bitbucket.fault("status", status=400, body=json.dumps(self.BAD), match={"method": "POST", "key": "bad"},
                                          headers={"Content-Type": "application/json"})
        self.refused = world.send(key="bad")
        told = world.wait_outcome(self.refused, "rejected")
        self.assertIn("the url is not to my taste", told["error"])
        self.assertEqual(world.bitbucket.hits(self.rule), 1)
        return world

    def test_400_is_rejected_and_can_be_retried(self):
        world = self.refused_world()
        world.wait_outcome(world.send(key="good"), "delivered")
        dead, = world.ask("queue", "list", "--state", "dead")["updates"]
        self.assertEqual((dead["state"], dead["key"]), ("dead", "bad"))
        self.assertIn("not to my taste", dead["error"])
        self.assertIn("not to my taste", world.cli("queue", "list", "--state", "dead").out)
        world.bitbucket.heal()
        world.expected_violations = ["another final outcome than before"]  # an administrator changed it
        self.assertEqual(world.ask("queue", "retry", dead["id"])["retried"], 1)
        world.bitbucket.wait_status(sha(1), "SUCCESSFUL", key="bad")
        wait_for(lambda: not world.ask("queue", "list", "--state", "dead")["updates"], "the dead list is empty")

    def test_dead_one_can_be_dropped(self):
        world = self.refused_world()
        dead, = world.ask("queue", "list", "--state", "dead")["updates"]
        self.assertEqual(world.ask("queue", "drop", dead["id"])["dropped"], 1)
        self.assertFalse(world.ask("queue", "list", "--state", "dead")["updates"])
        said = world.cli("queue", "drop", dead["id"], "--json", expect=1)
        self.assertEqual(said.error["code"], "not_found")
        world.cli("queue", "retry", "999999", expect=1)

    def test_waiting_one_can_be_hurried_and_dropped(self):
        world = self.ready_world()
        world.bitbucket.fault("status", status=500, match={"method": "POST"})
        ids = world.send_all([world.command(commit=number) for number in (1, 2)])
        wait_for(lambda: len([update for update in world.ask("queue", "list")["updates"] if update["state"] == "later"]) == 2,
                 lambda: world.tail())
        one, two = sorted(world.ask("queue", "list")["updates"], key=lambda update: update["commit"])
        world.ask("queue", "drop", one["id"])
        self.assertIn("administrator", world.wait_outcome(ids[0], "rejected")["error"])
        world.bitbucket.heal()
        world.ask("queue", "retry", "--all")
        world.wait_outcome(ids[1], "delivered", seconds=SECONDS)
        self.assertIsNone(world.bitbucket.status(sha(1)))


class FromEyes(E2E):
    def rejected_error(self, world, **changes):
        command = world.command(**changes)
        world.eyes.announce_raw(command)
        return world.wait_outcome(command["id"], "rejected")["error"]

    def test_invalid_commands_are_rejected_with_the_field(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        wrong = {"commit": "xyz", "state": "SPLENDID", "url": "javascript:alert(1)", "key": "", "project": "a/b",
                 "repository": "..", "ref": "heads/x y", "sequence": "first", "createdAt": "yesterday"}
        commands = {field: {**world.command(), field: value} for field, value in wrong.items()}
        for command in commands.values():
            world.eyes.announce_raw(command)
        for field, command in commands.items():
            with self.subTest(field=field):
                told = world.wait_outcome(command["id"], "rejected")
                self.assertRegex(told["error"], rf"commands\[\d+\]\.{field}: ")
        error = self.rejected_error(world, testResults={"successful": "many"})
        self.assertRegex(error, r"commands\[\d+\]\.testResults\.successful: ")
        self.assertFalse(world.bitbucket.posts())
        world.wait_outcome(world.send(commit=2), "delivered")

    def test_missing_fields(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        commands = {field: world.command() for field in ("project", "repository", "commit", "key", "state", "url")}
        for field, command in commands.items():
            del command[field]
            world.eyes.announce_raw(command)
        for field, command in commands.items():
            with self.subTest(field=field):
                self.assertRegex(world.wait_outcome(command["id"], "rejected")["error"], rf"commands\[\d+\]\.{field}")

    def test_foreign_ones_are_never_acknowledged(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        foreign = world.command(server="https://bitbucket.elsewhere.example")
        wrong_too = world.command(server="https://bitbucket.elsewhere.example", commit="xyz")
        for command in (foreign, wrong_too):
            world.eyes.announce_raw(command)
        world.wait_outcome(world.send(commit=2), "delivered")
        wait_for(lambda: world.eyes.result(foreign["id"])["given"] >= 3, "it is given three times")
        told = {ack["id"] for ack in world.eyes.acks()}
        self.assertFalse(told & {foreign["id"], wrong_too["id"]})
        self.assertFalse(world.bitbucket.status(sha(1)))

    def test_redelivered_ones_do_no_harm(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        ids = world.send_all([world.command(commit=number) for number in range(1, 11)])
        world.wait_outcomes(ids)
        writes = len(world.bitbucket.posts())

        def acknowledged_again(times):
            def told():
                accepted = [ack["id"] for ack in world.eyes.acks(outcome="accepted")]
                return all(accepted.count(id) > times for id in ids)
            wait_for(told, lambda: f"they are acknowledged again\n{world.tail()}")
        world.eyes.give_again(ids)
        acknowledged_again(1)
        world.restart_daemon()
        world.eyes.give_again(ids)
        acknowledged_again(2)
        world.wait_idle()
        self.assertEqual(len(world.bitbucket.posts()), writes)

    def test_lost_acknowledgement_is_made_again(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        world.expected_violations = ["a final outcome before accepted"]  # Eyes did not hear the first one
        rule = world.eyes.fault("cut_before", times=2, match={"path": "/commands/ack", "body": "accepted"})
        id = world.send()
        world.wait_outcome(id, "delivered", seconds=30)
        self.assertEqual(world.eyes.hits(rule), 2)
        self.assertEqual(len(world.bitbucket.posts()), 1)

    def test_garbage_from_eyes_changes_nothing(self):
        world = self.ready_world(EYES_POLL_WAIT="0")
        answers = ["not json", "[]", '{"commands": 7}', '{"commands": [[]]}', '{"commands":[{}]}', "{" * 5000, ""]
        for body in answers:
            rule = world.eyes.fault("status", times=1, status=200, body=body, match={"path": "/commands?"},
                                    headers={"Content-Type": "application/json"})
            world.cli("account", "set", "--key-file", "-", stdin=world.key)  # polls at once
            wait_for(lambda: world.eyes.hits(rule), lambda: f"{body[:20]!r} was taken\n{world.tail()}")
        world.wait_outcome(world.send(), "delivered", seconds=30)


if __name__ == "__main__":
    unittest.main()
