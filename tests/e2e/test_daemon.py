"""The process: configuration, background, signals, the init script, the health routes."""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

from harness import E2E, EYES_SCM, SLOW, free_port, sha, wait_for

PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"


class Configuration(E2E):
    def check(self, world, *args, expect, cwd=None, **env):
        env = {**world.bare_environment(), "EYES_STATE_DIR": str(world.state_dir), **env}
        said = world.run(EYES_SCM, "--check-config", *args, env=env, expect=expect, cwd=cwd)
        return said.out if expect == 0 else said.err

    def test_every_setting_with_its_source(self):
        world = self.world()
        config = world.file("eyes-scm.conf", "# comment\nEYES_SERVER_URL=https://eyes.example.com\nEYES_POLL_INTERVAL = '20s'\n"
                                             'EYES_ORG_ID="from file"\nPORT=4001\nEYES_STORE_SIZE=1G\n')
        (world.folder / ".env").write_text("EYES_ORG_ID=from-dotenv\nEYES_POLL_INTERVAL=30s\n")
        said = self.check(world, "--config", config, "--port", "4003", expect=0, EYES_POLL_INTERVAL="40s", EYES_STORE_SIZE="")
        lines = dict(line.split(" = ", 1) for line in said.splitlines())
        self.assertIn("https://eyes.example.com", lines["EYES_SERVER_URL"])
        self.assertIn(f"{config}, line 2", lines["EYES_SERVER_URL"])
        self.assertRegex(lines["EYES_ORG_ID"], r"from-dotenv.*\.env, line 1")
        self.assertRegex(lines["EYES_POLL_INTERVAL"], r"40s.*environment")
        self.assertRegex(lines["PORT"], r"4003.*--port")
        self.assertRegex(lines["EYES_STORE_SIZE"], r"^256M \(")
        self.assertFalse(world.state_dir.exists(), "looking changes nothing")

    def test_wrong_values(self):
        cases = {"EYES_POLL_INTERVAL": ("soon", "0s", "1d", "5x", "-1s"), "EYES_SCM_CONNECTIONS": ("0", "129", "many"),
                 "EYES_SERVER_URL": ("eyes", "ftp://x", "https://", "https://u:p@x"), "EYES_STATUS_SOURCE": ("Auto", "webhooks"),
                 "EYES_STORE_SIZE": ("4M", "lots"), "EYES_LOG_LEVEL": ("loud",), "PORT": ("0", "65536", "http"),
                 "EYES_LISTEN": ("nowhere:x", "1.2.3.4:99999"), "HTTPS_PROXY": ("socks5://x",), "EYES_SCM_TIMEOUT": ("1ms", "1h"),
                 "EYES_COMMANDS_PATH": ("no/slash", "/a?b"), "EYES_KEY_FILE": ("~/key",)}
        world = self.world()
        for name, values in cases.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    said = self.check(world, expect=2, **{name: value})
                    line, = [line for line in said.splitlines() if name in line and "warning" not in line]
                    self.assertIn("environment", line)
                    if "PROXY" not in name and "@" not in value:
                        self.assertIn(value, line)

    def test_all_errors_at_once_and_no_start(self):
        world = self.world()
        said = world.run(EYES_SCM, env=world.daemon_environment({"EYES_POLL_INTERVAL": "soon", "PORT": "x"}), expect=2)
        self.assertIn("EYES_POLL_INTERVAL", said.err)
        self.assertIn("PORT", said.err)
        self.assertFalse(world.state_dir.exists())

    def test_unknown_names(self):
        world = self.world()
        config = world.file("eyes-scm.conf", "EYES_ORG_ID=x\nEYES_POL_INTERVAL=20s\n")
        said = self.check(world, "--config", config, expect=2)
        self.assertIn("line 2", said)
        self.assertIn("EYES_POLL_INTERVAL", said)
        env = {**world.bare_environment(), "EYES_STATE_DIR": str(world.state_dir), "EYES_POL_INTERVAL": "20s"}
        said = world.run(EYES_SCM, "--check-config", env=env, expect=0)
        self.assertRegex(said.err, "warning.*EYES_POL_INTERVAL.*EYES_POLL_INTERVAL")
        said = world.run(EYES_SCM, "--frobnicate", env=env, expect=2)
        self.assertIn("--frobnicate", said.err)

    def test_bad_lines_and_missing_files(self):
        world = self.world()
        for text in ("just words\n", 'EYES_ORG_ID="open\n', "EYES_ORG_ID='a' b\n", "A B=c\n"):
            with self.subTest(text=text):
                self.assertIn("line 1", self.check(world, "--config", world.file("x.conf", text), expect=2))
        self.assertIn("nowhere.conf", self.check(world, "--config", world.folder / "nowhere.conf", expect=2))
        self.assertIn("--config", self.check(world, "--config", expect=2))

    def test_dotenv_that_others_can_write_is_not_read(self):
        world = self.world()
        path = world.folder / ".env"
        path.write_text("EYES_ORG_ID=evil\n")
        path.chmod(0o666)
        env = {**world.bare_environment(), "EYES_STATE_DIR": str(world.state_dir)}
        said = world.run(EYES_SCM, "--check-config", env=env, expect=0)
        self.assertNotIn("evil", said.out)
        self.assertRegex(said.err, r"warning.*\.env")

    def test_secrets_are_not_printed(self):
        world = self.world()
        secret = world.secret("webhook")
        said = self.check(world, expect=0, GITHUB_WEBHOOK_SECRET=secret, HTTPS_PROXY=f"http://u:{secret}@proxy.example:3128")
        self.assertIn("GITHUB_WEBHOOK_SECRET", said)
        self.assertNotIn(secret, said)
        self.check(world, expect=2, HTTPS_PROXY=f"sox://u:{secret}@proxy.example:99999")

    def test_settings_of_the_node_program(self):
        world = self.world()
        said = self.check(world, expect=0, EYES_SERVER_URL="https://eyes.example.com/", EYES_ORG_ID="o",
                          EYES_SCM_PROXY_URL="https://scm.example.com", PORT="4005", GITHUB_WEBHOOK_SECRET="x")
        for name in ("EYES_SERVER_URL", "EYES_ORG_ID", "EYES_SCM_PROXY_URL", "PORT", "GITHUB_WEBHOOK_SECRET"):
            self.assertRegex(said, rf"(?m)^{name} = .*environment")


class Tcp(E2E):
    def port_of(self, world):
        return int(wait_for(lambda: re.search(r"listening address=127\.0\.0\.1:(\d+)", world.log()), lambda: f"the port in the log\n{world.log()}")[1])

    def get(self, port, path, method="GET", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def test_without_a_session_health_and_the_page(self):
        world = self.ready_world()
        port = self.port_of(world)
        status, body = self.get(port, "/healthz")
        self.assertEqual(status, 200)
        self.assertTrue(json.loads(body)["alive"])
        world.wait_outcome(world.send(), "delivered")
        status, body = self.get(port, "/readyz")
        self.assertEqual(status, 200, body)
        legs = {leg["name"]: leg["state"] for leg in json.loads(body)["legs"]}
        self.assertEqual(legs, {"eyes": "ok", "store": "ok", f"localhost:{world.bitbucket.port}": "ok"})
        for path in ("/metrics", "/api/v1/setup-code", "/healthz/x", "/../etc/passwd"):
            self.assertEqual(self.get(port, path)[0], 404, path)
        for path in ("/api/v1/status", "/api/v1/account", "/api/v1/queue"):
            self.assertEqual(self.get(port, path)[0], 401, path)
        for path in ("/", "/index.html", "/api/v1/start"):
            self.assertEqual(self.get(port, path)[0], 200, path)
        self.assertEqual(self.get(port, "/healthz", "POST")[0], 405)
        self.assertEqual(self.get(port, "/api/v1/servers", "POST")[0], 401)

    def test_not_ready_names_the_leg(self):
        world = self.ready_world()
        port = self.port_of(world)
        world.wait_outcome(world.send(), "delivered")
        world.bitbucket.fault("status", status=503)
        world.wait_accepted([world.send(commit=2)])
        status, body = wait_for(lambda: (got := self.get(port, "/readyz"))[0] == 503 and got, "it is not ready")
        bad, = [leg for leg in json.loads(body)["legs"] if leg["state"] != "ok"]
        self.assertEqual((bad["name"], bad["state"]), (f"localhost:{world.bitbucket.port}", "failing"))
        self.assertIn("503", bad["message"])
        self.assertEqual(self.get(port, "/healthz")[0], 200)
        world.bitbucket.heal()
        wait_for(lambda: self.get(port, "/readyz")[0] == 200, "it is ready again", 30)

    def test_unconfigured_is_not_ready(self):
        world = self.world()
        world.start_daemon()
        status, body = self.get(self.port_of(world), "/readyz")
        self.assertEqual(status, 503)
        self.assertIn("unconfigured", [leg["state"] for leg in json.loads(body)["legs"]])

    def test_port_that_is_taken(self):
        world = self.world()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            said = world.run(EYES_SCM, "--listen", address, env=world.daemon_environment(), expect=1)
        self.assertIn(address, said.err)
        self.assertRegex(said.err, "(?i)in use")

    def test_garbage_does_no_harm(self):
        world = self.ready_world()
        port = self.port_of(world)
        for data in (b"\0" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"A" * 100000, b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 50000):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                try:
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                except OSError:
                    pass
        self.assertEqual(self.get(port, "/healthz")[0], 200)


class Signals(E2E):
    def test_sigterm_finishes_what_is_under_way(self):
        world = self.ready_world()
        rule = world.bitbucket.fault("slow", delay_ms=1000, times=1, match={"method": "POST"})
        id = world.send()
        wait_for(lambda: world.bitbucket.hits(rule), "the POST is under way")
        world.stop_daemon()
        self.assertEqual(world.eyes.outcome(id), "delivered", "and Eyes is told")
        world.start_daemon()
        world.wait_idle()
        self.assertEqual(len(world.bitbucket.posts()), 1)

    def stops_within(self, world, seconds=10):
        started = time.monotonic()
        world.stop_daemon()
        self.assertLess(time.monotonic() - started, seconds * SLOW)

    def test_sigterm_during_a_long_poll_is_quick(self):
        world = self.ready_world(EYES_POLL_WAIT="60s")
        self.stops_within(world, 3)

    def test_sigterm_while_the_server_hangs(self):
        world = self.ready_world(EYES_SCM_TIMEOUT="60s")
        rule = world.bitbucket.fault("hang", match={"method": "POST"})
        id = world.send()
        wait_for(lambda: world.bitbucket.hits(rule), "the POST is under way")
        self.stops_within(world)
        world.bitbucket.heal()
        world.settings["EYES_SCM_TIMEOUT"] = "2s"
        world.start_daemon()
        world.wait_outcome(id, "delivered")

    def test_sigint_works_too(self):
        world = self.ready_world()
        daemon, world.daemon = world.daemon, None
        os.kill(daemon.pid, signal.SIGINT)
        self.assertEqual(daemon.process.wait(10 * SLOW), 0)

    def test_sighup_reads_the_log_level(self):
        world = self.world(EYES_LOG_LEVEL=None)
        config = world.file("eyes-scm.conf", "EYES_LOG_LEVEL=warn\n")
        world.start_eyes()
        world.start_daemon("--config", config)
        self.assertNotIn("level=debug", world.log())
        config.write_text("EYES_LOG_LEVEL=debug\nEYES_QUEUE_LIMIT=77\n")
        world.daemon.hangup()
        world.wait_log("EYES_QUEUE_LIMIT")
        self.assertRegex(world.log(), "EYES_QUEUE_LIMIT.*restart")
        world.set_account()
        world.wait_log("level=debug")
        config.write_text("EYES_LOG_LEVEL=loud\n")
        world.daemon.hangup()
        world.wait_log("loud")
        self.assertEqual(world.cli("account", "show").code, 0)

    def test_sighup_reads_the_ca_files(self):
        world = self.world(EYES_POLL_WAIT="0")
        world.start_eyes()
        world.start_bitbucket(tls="tls-other")
        trusted = world.file("ca.pem", world.eyes.ca.read_text())
        world.settings["SSL_CERT_FILE"] = str(trusted)
        world.start_daemon()
        self.assertEqual(world.add_server(None, "--json", expect=1).error["code"], "tls_untrusted")
        trusted.write_text(world.eyes.ca.read_text() + world.bitbucket.ca.read_text())
        world.daemon.hangup()
        wait_for(lambda: world.add_server(expect=None).code == 0, lambda: world.tail())
        trusted.write_text("nothing of use\n")
        world.daemon.hangup()
        world.wait_log("the old ones stay")
        world.set_account()

    def test_closed_output_does_no_harm(self):
        world = self.ready_world()
        reading, writing = os.pipe()
        world.stop_daemon()
        process = subprocess.Popen([EYES_SCM], env=world.daemon_environment(), stderr=writing, stdout=writing)
        os.close(writing)
        os.close(reading)
        try:
            wait_for(lambda: self.answers(world), "it answers")
            world.wait_outcome(world.send(), "delivered")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10 * SLOW), 0)
        finally:
            process.kill()
            process.wait()

    def answers(self, world):
        try:
            return world.api("GET", "/healthz")[0] == 200
        except OSError:
            return False


class Log(E2E):
    def test_json_lines(self):
        world = self.ready_world(EYES_LOG_FORMAT="json")
        world.wait_outcome(world.send(), "delivered")
        lines = [json.loads(line) for line in world.log().splitlines()]
        self.assertTrue(lines)
        for line in lines:
            self.assertLessEqual({"time", "level", "scope", "msg"}, set(line))

    def test_quiet_at_info(self):
        """A thousand updates are not a thousand lines."""
        world = self.ready_world(EYES_LOG_LEVEL="info")
        world.wait_outcomes(world.send_all([world.command(commit=number) for number in range(1, 1001)]), seconds=60)
        self.assertLess(len(world.log().splitlines()), 50, world.log()[-3000:])

    def test_repeated_faults_are_not_repeated_lines(self):
        world = self.ready_world(EYES_LOG_LEVEL="info")
        world.bitbucket.fault("status", status=500, match={"method": "POST"})
        world.wait_accepted(world.send_all([world.command(commit=number) for number in range(1, 301)]))
        wait_for(lambda: len(world.bitbucket.posts()) >= 300, "all are tried")
        self.assertLess(len(world.log().splitlines()), 60, world.log()[-3000:])


class Background(E2E):
    def start(self, world, *args, expect=0, env=None):
        return world.run(EYES_SCM, "--daemon", *args, env=world.daemon_environment(env), expect=expect)

    def test_daemon_with_pid_file(self):
        world = self.world()
        world.start_eyes()
        world.start_bitbucket()
        pid_file = world.folder / "run.pid"
        self.addCleanup(self.end, pid_file)
        said = self.start(world, "--pid-file", pid_file)
        self.assertEqual(said.out + said.err, "")
        pid = int(pid_file.read_text())
        world.set_account()  # it works when the parent has left
        world.add_server()
        world.enable("PRJ/web")
        world.wait_outcome(world.send(), "delivered")
        self.assertNotEqual(os.getsid(pid), os.getsid(0))
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        self.assertEqual([os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)], ["/dev/null"] * 3)
        said = self.start(world, "--pid-file", pid_file, expect=1, env={"EYES_STATE_DIR": str(world.folder / "other")})
        self.assertIn(str(pid), said.err)
        said = self.start(world, expect=1)
        self.assertIn("already in use", said.err)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: self.is_gone(pid), "it ends", 10 * SLOW)
        self.assertFalse(pid_file.exists())

    def end(self, pid_file):
        """Whatever the test did: nothing is left running."""
        if pid_file.exists():
            pid = int(pid_file.read_text())
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: self.is_gone(pid), "it ends")

    def is_gone(self, pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    def test_errors_are_seen_by_whoever_starts_it(self):
        world = self.world()
        world.state_dir.write_text("a file")
        pid_file = world.folder / "run.pid"
        said = self.start(world, "--pid-file", pid_file, expect=1)
        self.assertIn(str(world.state_dir), said.err)
        self.assertFalse(pid_file.exists())
        self.assertEqual(self.start(world, expect=2, env={"PORT": "x"}).out, "")

    def test_stale_pid_file(self):
        world = self.world()
        pid_file = world.folder / "run.pid"
        pid_file.write_text(f"{os.getpid()}\n")
        world.start_daemon("--pid-file", pid_file)
        self.assertEqual(int(pid_file.read_text()), world.daemon.pid)
        world.kill_daemon()
        world.start_daemon("--pid-file", pid_file)
        world.stop_daemon()
        self.assertFalse(pid_file.exists())

    def test_pid_file_that_is_something_else(self):
        world = self.world()
        precious = world.file("precious", "my notes\n")
        said = world.run(EYES_SCM, "--pid-file", precious, env=world.daemon_environment(), expect=1)
        self.assertIn(str(precious), said.err)
        self.assertEqual(precious.read_text(), "my notes\n")


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("start-stop-daemon") and pathlib.Path("/lib/lsb/init-functions").exists(),
                     "needs root, start-stop-daemon and the LSB functions")
class InitScript(E2E):
    def prepare(self, **settings):
        """The script as it is installed, but with every path of it in the test's folder."""
        world = self.world(**settings)
        world.start_eyes()
        text = (PACKAGING / "eyes-scm.init").read_text()
        config = world.file("eyes-scm.conf", "".join(f"{name}={value}\n" for name, value in world.settings.items()
                                                     if name != "EYES_STATE_DIR"))
        default = world.file("default", f"DAEMON_USER=root\nSTATE_DIR={world.state_dir}\nDAEMON_OPTS='--config {config}'\n")
        for old, new in ((r"(?m)^DAEMON=.*", f"DAEMON={EYES_SCM}"), (r"/etc/default/\$NAME", str(default)),
                         (r"(?m)^RUN_DIR=.*", f"RUN_DIR={world.folder}/run")):
            text, count = re.subn(old, new, text)
            self.assertTrue(count, old)
        script = world.file("eyes-scm", text)
        script.chmod(0o755)
        world.config = config
        return world, lambda verb, expect=0: world.run(script, verb, expect=expect, env={
            **world.bare_environment(), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def test_start_status_restart_reload_stop(self):
        world, script = self.prepare()
        pid_file = world.folder / "run" / "eyes-scm.pid"
        script("status", 3)
        script("stop")
        script("start")
        try:
            first = int(pid_file.read_text())
            self.assertIn("running", script("status").out)
            world.set_account()
            script("start")
            self.assertEqual(int(pid_file.read_text()), first, "started once")
            script("reload")
            script("restart")
            second = int(pid_file.read_text())
            self.assertNotEqual(first, second)
            world.cli("account", "show")
            script("try-restart")
            script("status")
        finally:
            script("stop")
        script("status", 3)
        self.assertFalse(pid_file.exists())
        script("stop")
        script("frobnicate", 2)

    def test_failure_is_said(self):
        world, script = self.prepare()
        world.config.write_text("EYES_POLL_INTERVAL=soon\n")
        said = script("start", 1)
        self.assertIn("EYES_POLL_INTERVAL", said.err + said.out)
        script("status", 3)

    def test_status_after_kill(self):
        world, script = self.prepare()
        script("start")
        self.addCleanup(script, "stop")
        pid = int((world.folder / "run" / "eyes-scm.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: script("status", None).code == 1, "dead, but its pid file exists")
        script("start")
        script("stop")


if __name__ == "__main__":
    unittest.main()
