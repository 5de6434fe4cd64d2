"""The ways to the servers: certificates, proxies, paths, old versions, rate limits."""

import json
import shutil
import socket
import unittest

from harness import E2E, Process, SLOW, canary, free_port, sha, wait_for


class Certificates(E2E):
    def world_with(self, *args, tls="tls-other"):
        world = self.world()
        world.start_eyes()
        world.start_bitbucket(tls=tls, args=args)
        world.start_daemon()
        world.set_account()
        return world

    def refused(self, world, code, words, *more):
        said = world.add_server(None, *more, "--json", expect=1)
        self.assertEqual(said.error["code"], code)
        self.assertRegex(said.error["message"], words)
        self.assertTrue(said.error.get("hint"), said)
        self.assertIn("TLS", said.error["hop"])
        self.assertTrue([step for step in said.error["trace"] if step["hop"] == "TLS" and step["outcome"] != "ok"], said)
        said = world.add_server(None, *more, expect=1)
        self.assertRegex(said.err, words)
        self.assertEqual(world.get("servers")["servers"], [])
        self.assertFalse(world.bitbucket.requests(), "nothing is asked over a connection that is not trusted")

    def test_private_authority(self):
        world = self.world_with()
        self.refused(world, "tls_untrusted", "certificate of localhost.* is not trusted: ")
        said = world.add_server(None, "--ca-file", world.bitbucket.ca)
        self.assertIn("Bitbucket", said.out)
        self.assertTrue(world.get("servers")["servers"][0]["ca"])
        world.enable("PRJ/web")
        world.wait_outcome(world.send(), "delivered")
        world.restart_daemon()
        world.wait_outcome(world.send(commit=2), "delivered")

    def test_another_authority_does_not_help(self):
        world = self.world_with()
        self.refused(world, "tls_untrusted", "is not trusted", "--ca-file", world.eyes.ca)

    def test_wrong_name(self):
        world = self.world_with("--cert-name", "bitbucket.example.com")
        self.refused(world, "tls_name", "is for bitbucket.example.com, not for localhost", "--ca-file", world.bitbucket.ca)

    def test_expired(self):
        world = self.world_with("--cert-expired")
        self.refused(world, "tls_expired", "expired on 20", "--ca-file", world.bitbucket.ca)

    def test_no_certificate_file(self):
        world = self.world_with()
        said = world.add_server(None, "--ca-file", world.file("empty.pem", "hello\n"), "--json", expect=1)
        self.assertEqual(said.error["code"], "ca_invalid")

    def test_server_without_tls_at_an_https_address(self):
        world = self.world_with("--plain")
        said = world.cli("server", "add", f"https://localhost:{world.bitbucket.port}", "--json", expect=1)
        self.assertEqual(said.error["code"], "tls_failed")

    def test_plain_http_works(self):
        world = self.world_with("--plain")
        world.add_server()
        world.enable("PRJ/web")
        world.wait_outcome(world.send(), "delivered")

    def test_untrusted_eyes(self):
        world = self.world()
        world.start_eyes()
        world.start_bitbucket(tls="tls-other")
        world.settings["SSL_CERT_FILE"] = str(world.bitbucket.ca)
        world.start_daemon()
        said = world.cli("account", "set", "--key-file", "-", "--json", stdin=world.key, expect=1)
        self.assertEqual(said.error["code"], "eyes_tls")
        self.assertFalse(world.eyes.requests())

    def test_tls_1_2(self):
        world = self.world_with("--tls12")
        world.add_server(None, "--ca-file", world.bitbucket.ca)

    def test_certificate_that_goes_bad_later(self):
        """The server comes back with a certificate of an authority that is not trusted: the token stays at home."""
        world = self.ready_world()
        port = world.bitbucket.port
        world.bitbucket.stop()
        other = world.start_bitbucket("imposter", tls="tls-other", port=port)
        id = world.send()
        world.wait_accepted([id])
        server = wait_for(lambda: (one := world.get("servers")["servers"][0])["state"] == "failing" and one, "it fails")
        self.assertIn("not trusted", server["message"])
        self.assertFalse(other.requests())
        self.assertEqual(world.status()["repositories"]["blocked"], 0)


@unittest.skipUnless(shutil.which("tinyproxy"), "tinyproxy is not installed")
class Proxy(E2E):
    USER = "proxy-user"

    def world(self, **settings):
        world = super().world(**settings)
        world.host = "127.0.0.1"  # tinyproxy asks the system, which need not know localhost
        return world

    def start_proxy(self, world, password=None):
        port = free_port()
        config = [f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 100", "LogLevel Connect",
                  f'LogFile "{world.folder / "tinyproxy.log"}"']
        if password:
            config.append(f"BasicAuth {self.USER} {password}")
        process = Process(["tinyproxy", "-d", "-c", world.file("tinyproxy.conf", "\n".join(config) + "\n")],
                          world.logs / "tinyproxy-output.log", env=world.bare_environment())
        world.extra.append(process)
        self.proxy_log = world.folder / "tinyproxy.log"

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        wait_for(listens, lambda: f"tinyproxy listens: {process.text()}")
        return port

    def proxy_world(self, password=None, given=None, **settings):
        world = self.world(**settings)
        port = self.start_proxy(world, password)
        credentials = f"{self.USER}:{given or password}@" if password else ""
        world.settings.setdefault("HTTPS_PROXY", f"http://{credentials}127.0.0.1:{port}")
        world.start_eyes()
        world.start_bitbucket()
        world.start_daemon()
        return world

    def tunnels(self, sim):
        return self.proxy_log.read_text().count(f"CONNECT {sim.world.host}:{sim.port}")

    def goes_through(self, world):
        world.set_account()
        world.add_server()
        world.enable("PRJ/web")
        world.wait_outcome(world.send(), "delivered")
        self.assertTrue(self.tunnels(world.eyes))
        self.assertTrue(self.tunnels(world.bitbucket))

    def test_without_password(self):
        self.goes_through(self.proxy_world())

    def test_with_password(self):
        password = canary("proxy")
        world = self.proxy_world(password)
        world.secrets.add(password)
        self.goes_through(world)

    def test_wrong_password(self):
        world = self.proxy_world("right-password", given="wrong-password")
        said = world.cli("account", "set", "--key-file", "-", "--json", stdin=world.key, expect=1)
        self.assertEqual(said.error["code"], "proxy_auth")
        self.assertIn("HTTPS_PROXY", said.error["hint"])
        said = world.add_server(None, "--json", expect=1)
        self.assertEqual(said.error["code"], "proxy_auth")
        self.assertRegex(said.error["message"], "HTTP 40[17]")
        self.assertNotIn("wrong-password", world.log())
        self.assertFalse(world.bitbucket.requests())

    def test_no_password_given(self):
        world = self.world()
        world.start_eyes()
        port = self.start_proxy(world, "right-password")
        world.settings["HTTPS_PROXY"] = f"http://127.0.0.1:{port}"
        world.start_daemon()
        said = world.cli("account", "set", "--key-file", "-", "--json", stdin=world.key, expect=1)
        self.assertEqual(said.error["code"], "proxy_auth")

    def test_exceptions(self):
        world = self.world()
        world.start_eyes()
        world.start_bitbucket()
        port = self.start_proxy(world)
        world.settings.update(HTTPS_PROXY=f"http://127.0.0.1:{port}", NO_PROXY=f"example.com,127.0.0.1:{world.bitbucket.port}")
        world.start_daemon()
        world.set_account()
        world.add_server()
        world.enable("PRJ/web")
        world.wait_outcome(world.send(), "delivered")
        self.assertTrue(self.tunnels(world.eyes))
        self.assertFalse(self.tunnels(world.bitbucket))

    def test_proxy_that_is_not_there(self):
        world = self.world(HTTPS_PROXY=f"http://127.0.0.1:{free_port()}")
        world.start_eyes()
        world.start_bitbucket()
        world.start_daemon()
        said = world.add_server(None, "--json", expect=1)
        self.assertIn("Proxy", said.error["hop"] + json.dumps(said.error.get("trace", "")))
        self.assertFalse(world.bitbucket.requests())


class Paths(E2E):
    def test_context_path(self):
        world = self.ready_world(bitbucket={"context": "/dev/bitbucket"})
        world.wait_outcome(world.send(), "delivered")
        self.assertEqual(world.bitbucket.posts()[-1]["target"],
                         f"/dev/bitbucket/rest/api/1.0/projects/PRJ/repos/web/commits/{sha(1)}/builds")
        self.assertEqual(world.get("servers")["servers"][0]["url"], world.bitbucket.address)

    def test_context_path_forgotten(self):
        world = self.world()
        world.start_eyes()
        world.start_bitbucket(context="/bitbucket")
        world.start_daemon()
        world.set_account()
        said = world.cli("server", "add", world.bitbucket.url, "--json", expect=1)
        self.assertEqual(said.error["code"], "not_bitbucket")

    def test_personal_repository(self):
        for context in ("", "/bitbucket"):
            with self.subTest(context=context):
                world = self.ready_world(repositories=("~jane/app",), bitbucket={"context": context})
                world.wait_outcome(world.send(repository="~jane/app"), "delivered")
                self.assertIn("/projects/~jane/repos/app/", world.bitbucket.posts()[-1]["target"])
                self.assertEqual(world.bitbucket.statuses()[0]["repository"], "~jane/app")

    def test_address_as_it_is_typed(self):
        world = self.world()
        world.start_eyes()
        world.start_bitbucket()
        world.start_daemon()
        world.cli("server", "add", f"localhost:{world.bitbucket.port}/projects/PRJ/repos/web/browse?at=x#y")
        self.assertEqual(world.get("servers")["servers"][0]["url"], world.bitbucket.url)
        said = world.add_server(None, "--json", expect=1)
        self.assertEqual(said.error["code"], "server_exists")

    def test_nothing_there(self):
        world = self.world()
        world.start_eyes()
        world.start_daemon()
        cases = {f"https://localhost:{free_port()}": "server_refused", "https://no-such-host.invalid": "server_dns",
                 world.eyes.url: "not_bitbucket", "ftp://localhost": "url_invalid"}
        for address, code in cases.items():
            with self.subTest(address=address):
                said = world.cli("server", "add", address, "--json", expect=1)
                self.assertEqual(said.error["code"], code, said)
                self.assertTrue(said.error["message"])


class OldServer(E2E):
    def test_old_api_is_used(self):
        world = self.ready_world(bitbucket={"args": ("--version", "7.3.0")})
        self.assertEqual(world.get("servers")["servers"][0]["version"], "7.3.0")
        id = world.send(state="CANCELLED", ref="refs/heads/x", testResults={"successful": 1})
        world.wait_outcome(id, "delivered")
        post = world.bitbucket.posts()[-1]
        self.assertEqual(post["target"], f"/rest/build-status/1.0/commits/{sha(1)}")
        body = json.loads(post["body"])
        self.assertEqual(body["state"], "FAILED")
        self.assertEqual(set(body), {"state", "key", "name", "url", "description"})

    def test_late_write_is_repaired_there_too(self):
        world = self.ready_world(EYES_SCM_TIMEOUT="2s", bitbucket={"args": ("--version", "7.3.0")})
        rule = world.bitbucket.fault("late", times=1, match={"method": "POST", "body": "INPROGRESS"}, delay_ms=1200)
        world.send(state="INPROGRESS", sequence=1)
        wait_for(lambda: world.bitbucket.hits(rule), "it is lost on its way")
        world.wait_outcome(world.send(state="SUCCESSFUL", sequence=2), "delivered")
        wait_for(lambda: "INPROGRESS" in world.bitbucket.history(sha(1)), "it lands")
        world.wait_idle(30)
        self.assertEqual(world.bitbucket.status(sha(1)), "SUCCESSFUL")

    def test_cancelled_before_8(self):
        world = self.ready_world(bitbucket={"args": ("--version", "7.21.0")})
        world.wait_outcome(world.send(state="CANCELLED"), "delivered")
        post = world.bitbucket.posts()[-1]
        self.assertIn("/builds", post["target"])
        self.assertEqual(json.loads(post["body"])["state"], "FAILED")


class RateLimit(E2E):
    def test_one_post_per_target_and_no_429_after_the_first_burst(self):
        """60 at once, then 5 a second: the final ones go first, and what comes back with 429 is all of the first burst."""
        world = self.ready_world(EYES_SCM_CONNECTIONS="8")
        count = 90
        world.bitbucket.fault("status", times=-1, status=503, match={"method": "POST"})
        ids = world.send_all([world.command(commit=number, state="INPROGRESS" if number % 3 == 0 else "SUCCESSFUL")
                              for number in range(1, count + 1)])
        world.wait_accepted(ids)
        world.bitbucket.control("POST", "reset", {"only": ["requests", "faults"]})
        world.bitbucket.control("POST", "faults", {"rules": [], "rate_limit": {"burst": 60, "per_second": 5, "retry_after": 1}})
        world.wait_outcomes(ids, seconds=60)
        posts = world.bitbucket.posts()
        limited = [post for post in posts if post["status"] == 429]
        self.assertLessEqual(len(limited), 8, "one 429 for each connection that was under way at most")
        first = limited[0]["monotonic_us"]
        self.assertFalse([post for post in limited if post["monotonic_us"] > first + 500_000 * SLOW], "no 429 after the first burst")
        good = [post for post in posts if post["status"] == 204]
        self.assertEqual(len(good), count, "one POST for each target")
        order = ["INPROGRESS" in post["body"] for post in good]
        finals_late = [number for number, running in enumerate(order) if not running][-1]
        self.assertGreater(sum(order[finals_late:]), count // 6, f"final states go first: {order}")


if __name__ == "__main__":
    unittest.main()
