"""kill -9 at random moments: nothing that was acknowledged is lost, and nothing goes back in time."""

import json
import os
import random
import time
import unittest

from harness import E2E, SANITIZED, sha, wait_for

ROUNDS = 20 if SANITIZED else 60
TARGETS = 24
PER_ROUND = 60


class KillNine(E2E):
    def check_targets(self, world, newest):
        """What stands is the newest of each target, and no older one was ever sent after a newer one."""
        for status in world.bitbucket.statuses():
            key = (status["commit"], status["key"])
            self.assertEqual(status["body"]["description"], f"s={newest[key]}", key)
        self.assertEqual(len(world.bitbucket.statuses(history=False)), len(newest))
        last = {}
        for post in world.bitbucket.posts():
            body = json.loads(post["body"])
            key = (post["target"].split("/")[-2], body["key"])
            number = int(body["description"].split("=")[1])
            self.assertGreaterEqual(number, last.get(key, 0), f"{key}: an older one was sent after a newer one")
            last[key] = number

    def run_rounds(self, rounds, **settings):
        chance = random.Random(int(os.environ.get("SEED") or time.time()))
        world = self.ready_world(repositories=("PRJ/web", "PRJ/api"), EYES_SCM_TIMEOUT="1s", EYES_POLL_INTERVAL="1s",
                                 EYES_LOG_LEVEL="info", bitbucket={"args": ("--record", 200000)},
                                 eyes={"args": ("--record", 100000)}, **settings)
        world.bitbucket.fault("slow", delay_ms=20, match={"method": "POST"})
        sequence, newest, ids, killed_in_flight = 0, {}, [], 0
        for number in range(rounds):
            commands = []
            for _ in range(PER_ROUND):
                sequence += 1
                target = chance.randrange(TARGETS)
                commit, key = sha(target + 1), f"key{target % 3}"
                newest[commit, key] = sequence
                commands.append(world.command(repository=("PRJ/web", "PRJ/api")[target % 2], commit=commit, key=key,
                                              state=chance.choice(("INPROGRESS", "SUCCESSFUL", "FAILED")),
                                              sequence=sequence, description=f"s={sequence}"))
            chance.shuffle(commands)
            ids += world.send_all(commands)
            if number % 4 == 1:  # surely in the middle of the work
                wait_for(lambda: world.eyes.accepted() & set(ids[-PER_ROUND:]), "something of this round accepted")
            else:
                time.sleep(chance.uniform(0, 0.12))  # the random moment
            world.kill_daemon()
            killed_in_flight += bool(world.eyes.accepted() - set(world.eyes.outcomes()))
            if number % 3 == 2:  # killed while it starts, too
                world.start_daemon_only()
                time.sleep(chance.uniform(0, 0.02))
                world.kill_daemon()
            world.start_daemon()
        world.wait_outcomes(ids, ("delivered", "superseded"), seconds=60)
        world.wait_idle(30)
        self.check_targets(world, newest)
        print(f"{rounds} rounds, {len(ids)} commands, {len(world.bitbucket.posts())} writes; "
              f"{killed_in_flight} times something accepted was under way")
        self.assertGreater(killed_in_flight, 0)

    def test_every_acknowledged_command_arrives(self):
        self.run_rounds(ROUNDS)

    def test_with_faults_all_the_while(self):
        chance = random.Random(7)
        world_rounds = ROUNDS // 4
        world = self.ready_world(EYES_SCM_TIMEOUT="1s", EYES_LOG_LEVEL="info", bitbucket={"args": ("--record", 100000)})
        for action in ("cut_before", "cut_after", "cut_middle"):
            world.bitbucket.fault(action, match={"method": "POST"}, chance=0.1)
        world.bitbucket.fault("status", status=500, match={"method": "POST"}, chance=0.1)
        newest, ids = {}, []
        for number in range(world_rounds):
            commands = []
            for target in range(TARGETS):
                newest[sha(target + 1), "tests/applitools"] = number + 1
                commands.append(world.command(commit=target + 1, sequence=number + 1, description=f"s={number + 1}",
                                              state="INPROGRESS" if number < world_rounds - 1 else "SUCCESSFUL"))
            ids += world.send_all(commands)
            time.sleep(chance.uniform(0.02, 0.2))
            world.kill_daemon()
            world.start_daemon()
        world.bitbucket.heal()
        world.wait_outcomes(ids, ("delivered", "superseded"), seconds=90)
        world.wait_idle(30)
        self.check_targets(world, newest)


if __name__ == "__main__":
    unittest.main()
