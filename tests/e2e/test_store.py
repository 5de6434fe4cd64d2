"""The state folder: its lock, its key, its limits, and that no secret can be read out of it."""

import os
import shutil
import stat
import unittest

from harness import E2E, EYES_SCM, sha, wait_for


class Folder(E2E):
    def failed_start(self, world, *args, **env):
        """What a daemon says that cannot start. It must end by itself, soon."""
        said = world.run(EYES_SCM, *args, env=world.daemon_environment(env))
        self.assertEqual(said.code, 1, said)
        self.assertLess(len(said.err.splitlines()), 12, said)
        return said.err

    def test_second_daemon_is_refused(self):
        world = self.ready_world()
        err = self.failed_start(world)
        self.assertIn("already in use", err)
        self.assertIn(str(world.daemon.pid), err)
        self.assertIn(str(world.state_dir), err)
        world.wait_outcome(world.send(), "delivered")

    def test_lock_goes_with_a_killed_daemon(self):
        world = self.ready_world()
        world.kill_daemon()
        world.start_daemon()
        world.wait_outcome(world.send(), "delivered")

    def test_only_for_the_owner(self):
        world = self.ready_world()
        world.wait_outcome(world.send(), "delivered")
        for path in [world.state_dir, *world.state_dir.rglob("*")]:
            self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, path)

    def test_folder_that_others_may_write(self):
        world = self.world()
        world.state_dir.mkdir()
        world.state_dir.chmod(0o777)
        self.assertIn("others may write", self.failed_start(world))

    def test_folder_that_is_a_file(self):
        world = self.world()
        world.state_dir.write_text("")
        self.assertIn(str(world.state_dir), self.failed_start(world))

    def test_damaged_store(self):
        world = self.ready_world()
        world.stop_daemon()
        data, = world.state_dir.rglob("data.mdb")
        data.write_bytes(b"not a store" * 10000)
        self.assertIn(str(data), self.failed_start(world))

    def test_socket_path_too_long(self):
        world = self.world()
        long = world.folder / ("d" * 60) / ("e" * 60)
        long.mkdir(parents=True)
        err = self.failed_start(world, EYES_STATE_DIR=str(long))
        self.assertIn("socket", err)
        self.assertIn("107", err)
        said = world.cli("status", "--state-dir", long, expect=None)
        self.assertEqual(said.code, 1)
        self.assertIn("107", said.err)


class Vault(E2E):
    def test_own_key_file(self):
        world = self.ready_world()
        key, = [path for path in world.state_dir.iterdir() if "key" in path.name]
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        self.assertIn(key.name, world.log())
        world.stop_daemon()
        key.unlink()
        err = Folder.failed_start(self, world)
        self.assertRegex(err, "(?i)key")

    def test_wrong_key_file_is_refused_at_start(self):
        world = self.world()
        key = world.given / "own.key"
        world.settings["EYES_KEY_FILE"] = str(key)
        key.write_bytes(os.urandom(32))
        key.chmod(0o600)
        world.start_eyes()
        world.start_bitbucket()
        try:
            world.start_daemon()
        except AssertionError:
            key.write_text(os.urandom(32).hex() + "\n")  # the other way to write 32 bytes
            world.start_daemon()
        world.set_account()
        world.add_server()
        world.enable("PRJ/web")
        world.stop_daemon()
        good = key.read_bytes()
        key.write_bytes(bytes(reversed(good)) if not good.endswith(b"\n") else bytes(reversed(good[:-1])) + b"\n")
        err = Folder.failed_start(self, world)
        self.assertRegex(err, "(?i)key")
        self.assertIn(str(key), err)
        key.write_bytes(b"short")
        self.assertIn(str(key), Folder.failed_start(self, world))
        key.write_bytes(good)
        world.start_daemon()
        world.wait_outcome(world.send(), "delivered")

    def test_copy_of_the_database_alone_reveals_nothing(self):
        """The canary looks for the raw secrets after every test; here with the key moved away, over many changes."""
        world = self.ready_world()
        for number in range(20):
            token = world.secret(f"token{number}")
            world.bitbucket.token(token)
            world.cli("repo", "set-token", "PRJ/web", "--token-file", "-", stdin=token)
        world.wait_outcome(world.send(), "delivered")
        world.stop_daemon()
        copy = world.folder / "copy"
        shutil.copytree(world.state_dir, copy)
        self.assertFalse(world.leaks())
        strings = b"".join(path.read_bytes() for path in copy.rglob("data.mdb"))
        self.assertIn(b"web", strings)


class Full(E2E):
    def fill(self, world, count, seconds=60, **more):
        """Bitbucket is down: what Eyes announces waits here until there is no more room."""
        world.bitbucket.fault("status", status=503, match={"method": "POST"})
        ids = world.send_all([world.command(commit=number, **more) for number in range(1, count + 1)])
        world.wait_log("no room", seconds=seconds)
        taken = wait_for(world.eyes.accepted, "some were taken")
        self.assertLess(len(taken), count)
        return ids, taken

    def test_queue_limit(self):
        world = self.ready_world(EYES_QUEUE_LIMIT="10")
        ids, taken = self.fill(world, 30)
        self.assertLessEqual(len(taken), 10)
        said = world.cli("status", expect=1)
        self.assertRegex(said.out, "(?i)room|full|limit")
        world.bitbucket.heal()
        world.wait_outcomes(ids, seconds=60)
        self.assertEqual(len(world.bitbucket.statuses(history=False)), 30)

    def test_store_size(self):
        world = self.ready_world(EYES_STORE_SIZE="16M", EYES_QUEUE_LIMIT="1000000", EYES_LOG_LEVEL="info")
        count = 4500
        ids, taken = self.fill(world, count, seconds=90, description="d" * 250, url="https://eyes.example.com/" + "u" * 400,
                               ref="refs/heads/" + "r" * 900)
        self.assertEqual(world.get("queue?limit=1")["counts"]["dead"], 0)
        data, = world.state_dir.rglob("data.mdb")
        self.assertLessEqual(data.stat().st_size, 16 << 20)
        world.restart_daemon()
        world.bitbucket.heal()
        wait_for(lambda: len(world.eyes.accepted()) > len(taken), lambda: f"it takes in more\n{world.tail()}", seconds=60)
        world.wait_outcomes(ids, seconds=120)


if __name__ == "__main__":
    unittest.main()
