"""The command line as an administrator meets it: every subcommand, --json, exit codes, mistakes."""

import json
import re
import unittest

from harness import E2E, EYES_SCM, UnixConnection, sha, wait_for

EVERY = (("account", "show"), ("account", "set", "--key-file", "-"), ("server", "add", "https://localhost"), ("server", "list"),
         ("server", "remove", "https://localhost"), ("repo", "list"), ("repo", "enable", "PRJ/web", "--token-file", "-"),
         ("repo", "disable", "PRJ/web"), ("repo", "set-token", "PRJ/web", "--token-file", "-"), ("queue", "list"),
         ("queue", "retry", "--all"), ("queue", "retry", "1"), ("queue", "drop", "1"), ("events", "list"),
         ("events", "retry", "--all"), ("events", "drop", "1"), ("status",))


class ExitCodes(E2E):
    def test_3_when_the_daemon_is_not_running(self):
        world = self.world()
        world.state_dir.mkdir(mode=0o700)
        for words in EVERY:
            with self.subTest(words=words):
                said = world.cli(*words, stdin="secret", expect=3)
                self.assertIn("does not run", said.err)
                self.assertEqual(said.out, "")
                said = world.cli(*words, "--json", stdin="secret", expect=3)
                self.assertEqual(said.error["code"], "not_running")
                self.assertEqual(said.err, "")

    def test_3_after_a_crash(self):
        world = self.ready_world()
        world.kill_daemon()
        self.assertTrue((world.state_dir / "control.sock").exists())
        world.cli("status", expect=3)

    def test_2_for_wrong_usage(self):
        world = self.world()
        wrong = (("frobnicate",), ("repo",), ("repo", "enabel", "PRJ/web"), ("repo", "enable"), ("repo", "enable", "PRJ/web"),
                 ("repo", "enable", "web", "--token-file", "-"), ("server", "add"), ("server", "add", "a", "b"), ("account", "set"),
                 ("queue", "list", "--state", "purple"), ("events", "list", "--state", "blocked"), ("events", "drop"), ("queue", "retry"), ("queue", "retry", "x"), ("queue", "drop"),
                 ("queue", "drop", "1", "2"), ("status", "--token-file", "-"), ("status", "--nonsense"), ("status", "extra"),
                 ("repo", "list", "--server"), ("status", "--pid-file", "x"))
        for words in wrong:
            with self.subTest(words=words):
                said = world.cli(*words, stdin="secret", expect=2)
                self.assertTrue(said.err.startswith("eyes-scm: "), said)
                self.assertEqual(said.out, "")
                self.assertLess(len(said.err.splitlines()), 6, said)
        said = world.cli("repo", "enabel", "PRJ/web", expect=2)
        self.assertIn("enable", said.err)
        said = world.cli("frobnicate", "--json", expect=2)
        self.assertEqual(said.error["code"], "usage")

    def test_arguments_that_may_be_secret_are_not_echoed(self):
        world = self.world()
        secret = world.secret("argument")
        for words in (("account", "set", secret), ("account", "set", "--key-file", "-", secret),
                      ("repo", "enable", secret, "--token-file", "-")):
            with self.subTest(words=words):
                said = world.cli(*words, stdin="x", expect=2)
                self.assertNotIn(secret, said.out + said.err)

    def test_help_and_version(self):
        world = self.world()
        said = world.cli("--help")
        for words in EVERY:
            self.assertIn(" ".join(words[:2] if words[0] != "status" else words[:1]), said.out)
        for name in ("--state-dir", "EYES_POLL_INTERVAL", "EYES_ORG_ID", "--check-config", "HTTPS_PROXY"):
            self.assertIn(name, said.out)
        self.assertLessEqual(max(map(len, said.out.splitlines())), 112)
        self.assertRegex(world.cli("--version").out, r"^eyes-scm \d+\.\d+\.\d+")
        said = world.cli("repo", "--help")
        self.assertIn("set-token", said.out)
        self.assertNotIn("queue drop", said.out)

    def test_state_folder_before_and_behind_the_words(self):
        world = self.ready_world()
        env = world.bare_environment()
        for words in (("--state-dir", world.state_dir, "status"), ("status", "--state-dir", world.state_dir),
                      ("status", f"--state-dir={world.state_dir}", "--json"), ("--json", "--state-dir", world.state_dir, "status")):
            wait_for(lambda: world.run(EYES_SCM, *words, env=env).code == 0, lambda: str(world.run(EYES_SCM, *words, env=env)))

    def test_config_names_the_state_folder(self):
        world = self.ready_world()
        config = world.file("eyes-scm.conf", f"# mine\nEYES_STATE_DIR = \"{world.state_dir}\"\n")
        world.run(EYES_SCM, "--config", config, "server", "list", env=world.bare_environment(), expect=0)


class Secrets(E2E):
    def test_empty_and_odd_token_files(self):
        world = self.ready_world()
        world.bitbucket.repository("PRJ/api")
        for text, words in (("", "empty"), (" \n", "empty"), ("a b", "white space")):
            for verb in ("enable", "set-token"):
                with self.subTest(text=text, verb=verb):
                    said = world.cli("repo", verb, "PRJ/api", "--token-file", world.file("token", text), expect=1)
                    self.assertIn(words, said.err)
        said = world.cli("repo", "enable", "PRJ/api", "--token-file", world.given / "nowhere", "--json", expect=1)
        self.assertEqual(said.error["code"], "file_missing")
        world.cli("repo", "enable", "PRJ/api", "--token-file", world.file("token", f"  {world.token} \r\n"))

    def test_file_that_others_can_read(self):
        world = self.ready_world()
        path = world.file("token", world.token)
        path.chmod(0o644)
        said = world.cli("repo", "set-token", "PRJ/web", "--token-file", path)
        self.assertIn("warning", said.err)
        path.chmod(0o600)
        said = world.cli("repo", "set-token", "PRJ/web", "--token-file", path)
        self.assertEqual(said.err, "")


class Servers(E2E):
    def test_list_and_remove(self):
        world = self.world()
        world.start_eyes()
        world.start_bitbucket()
        world.start_daemon()
        self.assertIn("server add", world.cli("server", "list").out)
        said = world.add_server()
        self.assertIn(world.bitbucket.url, said.out)
        self.assertIn("9.4.0", said.out)
        server, = world.ask("server", "list")["servers"]
        self.assertEqual((server["url"], server["version"], server["enabled"]), (world.bitbucket.url, "9.4.0", 0))
        self.assertIn(world.bitbucket.url, world.cli("server", "list").out)
        said = world.cli("server", "remove", "https://elsewhere.example", "--json", expect=1)
        self.assertEqual(said.error["code"], "not_found")
        world.set_account()
        world.enable("PRJ/web")
        said = world.cli("server", "remove", world.bitbucket.url, "--json", expect=1)
        self.assertEqual(said.error["code"], "server_in_use")
        world.cli("repo", "disable", "PRJ/web")
        world.cli("server", "remove", world.bitbucket.url + "/")
        self.assertEqual(world.ask("server", "list")["servers"], [])

    def test_server_must_be_named_when_there_are_two(self):
        world = self.ready_world()
        said = world.cli("repo", "enable", "PRJ/none", "--server", "https://elsewhere.example", "--token-file", "-", "--json",
                         stdin=world.token, expect=1)
        self.assertIn(said.error["code"], ("not_found", "no_server", "server_unknown"))
        other = world.start_bitbucket("other")
        world.add_server(other)
        said = world.cli("repo", "enable", "PRJ/web", "--token-file", "-", "--json", stdin=world.token, expect=1)
        self.assertEqual(said.error["code"], "server_needed")
        for sim in (world.bitbucket, other):
            self.assertIn(f"localhost:{sim.port}", json.dumps(said.error))
        world.enable("PRJ/web", server=other)
        world.wait_outcome(world.send(other), "delivered")


class Repositories(E2E):
    def test_list(self):
        world = self.ready_world()
        world.bitbucket.setup(projects=[{"key": "PUB", "name": "Public", "public": True}], repositories=[
            {"project": "PUB", "slug": "site", "name": "The site", "public": True},
            {"project": "PRJ", "slug": "hidden", "name": "Hidden"}])
        listed = {f"{r['project']}/{r['slug']}": r for r in world.ask("repo", "list")["repositories"]}
        self.assertEqual(listed["PUB/site"]["state"], "none")
        self.assertEqual(listed["PRJ/web"]["state"], "enabled")
        said = world.cli("repo", "list", "--search", "the").out
        self.assertIn("The site", said)
        self.assertNotIn("PRJ/web", said)
        narrow = world.secret("narrow")
        world.bitbucket.token(narrow, user="narrow", read=["PRJ/hidden"], admin=[])
        self.assertIn("PRJ/hidden", world.cli("repo", "list", "--token-file", "-", stdin=narrow).out)
        world.cli("repo", "list", "--token-file", "-", stdin=world.secret("unknown"), expect=1)

    def test_ten_thousand(self):
        world = self.ready_world(bitbucket={"args": ("--repositories", 10000)})
        listed = world.ask("repo", "list", "--token-file", "-", stdin=world.token)
        self.assertEqual(len({(r["project"], r["slug"]) for r in listed["repositories"]}), 10001)
        self.assertFalse(listed["truncated"])
        pages = [r for r in world.bitbucket.requests("/rest/api/1.0/repos") if "start=" in r["target"]]
        self.assertGreater(len(pages), 5)

    def test_enable_several_at_once(self):
        world = self.ready_world()
        for name in ("PRJ/api", "PRJ/lib"):
            world.bitbucket.repository(name)
        said = world.cli("repo", "enable", "PRJ/api", "PRJ/nowhere", "PRJ/lib", "--token-file", "-", stdin=world.token, expect=1)
        self.assertIn("PRJ/nowhere", said.err)
        states = {repository["slug"]: repository["state"] for repository in world.repositories()}
        self.assertEqual({slug: states.get(slug) for slug in ("api", "lib", "nowhere")},
                         {"api": "enabled", "lib": "enabled", "nowhere": None})
        said = world.cli("repo", "enable", "PRJ/api", "PRJ/nowhere", "--token-file", "-", "--json", stdin=world.token, expect=1)
        self.assertTrue(said.error["code"])
        self.assertEqual([result["ok"] for result in said.json["results"]], [True, False])

    def test_enable_tells_whose_token_it_is(self):
        world = self.ready_world()
        said = world.cli("repo", "enable", "PRJ/web", "--token-file", "-", stdin=world.token)
        self.assertIn("build-bot", said.out)
        weak = world.secret("weak")
        world.bitbucket.token(weak, user="reader", read=["*"], admin=[])
        result, = world.ask("repo", "set-token", "PRJ/web", "--token-file", "-", stdin=weak)["results"]
        self.assertEqual((result["owner"], result["admin"]), ("reader", False))
        world.wait_outcome(world.send(), "delivered")

    def test_disable_what_is_not_enabled(self):
        world = self.ready_world()
        world.cli("repo", "disable", "PRJ/other", expect=1)
        world.cli("repo", "set-token", "PRJ/other", "--token-file", "-", stdin=world.token, expect=1)

    def test_upper_and_lower_case_are_one_repository(self):
        world = self.ready_world()
        world.cli("repo", "enable", "prj/WEB", "--token-file", "-", stdin=world.token)
        self.assertEqual(len(world.repositories()), 1)
        world.wait_outcome(world.send(repository="PRJ/Web"), "delivered")


class Status(E2E):
    def test_healthy(self):
        world = self.ready_world()
        world.wait_outcome(world.send(state="FAILED", commit=0xabcdef), "delivered")
        said = world.cli("status").out
        for words in ("healthy", world.eyes.url, world.bitbucket.url, "PRJ/web", "FAILED", "delivered", "1 enabled"):
            self.assertIn(words, said)
        status = world.ask("status")
        self.assertTrue(status["healthy"])
        self.assertEqual(status["problems"], [])
        update = status["updates"][0]
        self.assertEqual((update["repository"], update["commit"], update["status"], update["outcome"]),
                         ("PRJ/web", sha(0xabcdef), "FAILED", "delivered"))
        self.assertRegex(update["ended"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_before_anything_is_set_up(self):
        world = self.world()
        world.start_daemon(env={"EYES_ORG_ID": None})
        said = world.cli("status", expect=1)
        for words in ("EYES_SERVER_URL", "server add", "account set"):
            self.assertIn(words, said.out)
        said = world.cli("account", "set", "--key-file", "-", "--json", stdin=world.key, expect=1)
        self.assertIn("EYES_SERVER_URL", json.dumps(said.error))

    def test_queue_is_listed(self):
        world = self.ready_world()
        self.assertIn("0 waiting", world.cli("queue", "list").out)
        world.bitbucket.fault("status", status=503, match={"method": "POST"})
        world.wait_accepted(world.send_all([world.command(commit=number) for number in (1, 2, 3)]))
        listed = wait_for(lambda: (one := world.ask("queue", "list"))["counts"]["later"] + one["counts"]["waiting"] == 3 and one,
                          lambda: str(world.ask("queue", "list")))
        self.assertEqual({update["commit"] for update in listed["updates"]}, {sha(1), sha(2), sha(3)})
        text = world.cli("queue", "list").out
        self.assertIn("PRJ/web", text)
        ids = [update["id"] for update in listed["updates"]]
        for id in ids:
            self.assertRegex(text, rf"(?m)^\s*{id}\b")
        world.bitbucket.heal()
        self.assertEqual(world.ask("queue", "retry", "--all")["retried"], 3)
        world.wait_idle()

    def test_audit_tells_who_did_what(self):
        world = self.ready_world()
        entries = world.get("audit")["entries"]
        self.assertGreaterEqual(len(entries), 3)
        self.assertRegex(entries[0]["who"], r"^\S+ \(uid \d+\)$")
        self.assertEqual(entries[0]["from"], "control socket")
        self.assertIn("PRJ/web", " ".join(entry["subject"] for entry in entries))

    def test_columns_are_aligned(self):
        world = self.ready_world(repositories=("PRJ/a", "PRJ/a-long-name-of-a-repository"))
        lines = world.cli("repo", "list", "--token-file", "-", stdin=world.token).out.splitlines()
        where = lines[0].index("STATE")
        for line in lines[1:]:
            self.assertRegex(line[where:], r"^(enabled|\s)", line)
            self.assertEqual(line, line.rstrip())

    def test_control_characters_of_others_are_not_shown(self):
        world = self.ready_world()
        world.bitbucket.setup(repositories=[{"project": "PRJ", "slug": "evil", "name": "\x1b[31mred\x07"}])
        said = world.cli("repo", "list", "--token-file", "-", stdin=world.token)
        self.assertFalse(re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said.out), said)


class Api(E2E):
    def test_errors_have_one_shape(self):
        world = self.ready_world()
        cases = (("GET", "/nowhere", None, 404), ("GET", "/api/v1/nowhere", None, 404), ("PATCH", "/api/v1/status", None, 405),
                 ("POST", "/api/v1/status", {}, 405), ("PUT", "/api/v1/account", {"key": ""}, 400),
                 ("POST", "/api/v1/servers", {"url": 7}, 400), ("POST", "/api/v1/servers", [], 400),
                 ("POST", "/api/v1/repositories/enable", {"repositories": "PRJ/web"}, 400),
                 ("GET", "/api/v1/queue?state=purple", None, 400), ("DELETE", "/api/v1/servers/99", None, 404))
        for method, path, body, status in cases:
            with self.subTest(method=method, path=path):
                got, text = world.api(method, path, body)
                self.assertEqual(got, status, text)
                error = json.loads(text)["error"]
                self.assertTrue(error["code"] and error["message"])

    def test_body_that_is_too_large(self):
        world = self.ready_world()
        connection = UnixConnection(world.state_dir / "control.sock")
        connection.putrequest("POST", "/api/v1/servers")
        connection.putheader("Content-Length", str(1 << 30))
        connection.endheaders()
        self.assertEqual(connection.getresponse().status, 413)
        connection.close()

    def test_metrics(self):
        world = self.ready_world()
        world.wait_outcome(world.send(), "delivered")
        got, text = world.api("GET", "/metrics")
        self.assertEqual(got, 200)
        self.assertIn('eyes_scm_updates_total{outcome="delivered"} 1', text.decode())
        self.assertTrue(text.decode().rstrip().endswith("# EOF"))

    def test_socket_is_for_the_owner_only(self):
        world = self.ready_world()
        self.assertEqual((world.state_dir / "control.sock").stat().st_mode & 0o777, 0o600)


if __name__ == "__main__":
    unittest.main()
