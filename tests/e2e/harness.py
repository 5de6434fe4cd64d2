"""One little world per test: simulated Eyes and Bitbucket servers, the real daemon and its commands, on loopback.

World starts them in a folder of its own, and at the end stops each by its pid and looks at what any test must leave
behind: the daemon ends with 0 within ten seconds of SIGTERM, no sanitizer complained, no simulator saw a violation
of its protocol, and none of the secrets stands in a log, in what a command said or in the store's files.

Nothing here sleeps to synchronise: wait_for() looks for a condition until its deadline.
"""

import base64
import ctypes
import http.client
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.parse

BUILD = pathlib.Path(__file__).resolve().parents[2] / "build"
EYES_SCM = os.environ.get("EYES_SCM_BIN") or str(BUILD / "eyes-scm")
SIM_BITBUCKET = os.environ.get("SIM_BITBUCKET_BIN") or str(BUILD / "sim-bitbucket")
SIM_EYES = os.environ.get("SIM_EYES_BIN") or str(BUILD / "sim-eyes")
SANITIZER_OPTIONS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
SANITIZED = "ASAN_OPTIONS" in os.environ and "build-san" in EYES_SCM
SLOW = 3 if SANITIZED else 1
SECONDS = 15 * SLOW  # the deadline of whatever should happen at once
STOP_SECONDS = 10
ORGANIZATION = "org-1"
MARKS = re.compile(rb"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|SUMMARY: .*Sanitizer")
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class Late(AssertionError):
    """A condition did not come true in time."""


def wait_for(condition, what, seconds=None, every=0.02):
    """The first true value of condition(). `what` may be a function, called for the message only."""
    deadline = time.monotonic() + (seconds or SECONDS)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Late(f"not within {seconds or SECONDS} s: {what() if callable(what) else what}")
        time.sleep(every)


def sha(number):
    return f"{number:040x}"


def canary(name):
    return f"canary-{name}-{secrets.token_hex(12)}"


def free_port():
    """Below those that the system gives to whoever asks for any, so that nobody gets it before the daemon."""
    while True:
        port = 10000 + secrets.randbelow(20000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Process:
    """A program that runs beside the test. Its output goes to files; it ends with us whatever happens."""

    def __init__(self, argv, log, env=None, cwd=None):
        self.argv = [str(word) for word in argv]
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=cwd,
                start_new_session=True,  # Ctrl-C is for us; we stop it
                preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        self.pid = self.process.pid

    def text(self):
        return self.log.read_text(errors="replace")

    def ended(self):
        return self.process.poll() is not None

    def kill(self):
        if not self.ended():
            self.process.kill()
        self.process.wait()

    def stop(self, seconds=STOP_SECONDS * SLOW):
        """SIGTERM, then its exit code. Killed, and -9, when that takes too long."""
        if not self.ended():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL


class Sim:
    """A simulator and its control API, below /sim/ (tests/sim/sim.h)."""

    def __init__(self, world, binary, name, tls="tls", args=(), port=0):
        self.world, self.binary, self.name, self.args = world, binary, name, [str(arg) for arg in args]
        self.tls = world.folder / tls
        self.plain = "--plain" in self.args
        self.port = port
        self.start()

    def start(self):
        port_file = self.world.folder / f"{self.name}.port"
        port_file.unlink(missing_ok=True)
        self.process = Process(
            [self.binary, "--tls-dir", self.tls, "--port", self.port, "--port-file", port_file,
             "--parent-pid", os.getpid(), *self.args],
            self.world.logs / f"{self.name}.log", env=self.world.bare_environment())

        def port():
            if self.process.ended():
                raise AssertionError(f"{self.name} does not start: {self.process.text()}")
            return port_file.exists() and port_file.read_text().strip()
        self.port = int(wait_for(port, f"{self.name} listens"))
        self.connection = None
        self.down_until = 0

    @property
    def url(self):
        return f"http{'' if self.plain else 's'}://{self.world.host}:{self.port}"

    @property
    def ca(self):
        return self.tls / "ca.pem"

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        while True:
            fresh = self.connection is None
            try:
                if self.connection is None:
                    self.connection = self.connect()
                self.connection.request(method, "/sim/" + path, data, {"Content-Type": "application/json"})
                answer = self.connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException):
                self.connection = None
                if fresh and time.monotonic() > self.down_until:
                    raise
                time.sleep(0.02)
        if answer.status >= 300:
            raise AssertionError(f"{self.name}: {method} /sim/{path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None

    def connect(self):
        if self.plain:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        # The names are the affair of the daemon's tests: some certificates are wrong on purpose.
        context = ssl.create_default_context(cafile=str(self.ca))
        context.check_hostname = False
        if "--cert-expired" in self.args:
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)

    def requests(self, path="", since=0):
        return self.control("GET", f"requests?path={urllib.parse.quote(path)}&since={since}")["requests"]

    def state(self):
        return self.control("GET", "state")

    def fault(self, action, times=-1, match=None, **more):
        """Adds one rule (tests/sim/sim_fault.h) and returns its id."""
        rule = {"action": action, "times": times, "match": match or {}, **more}
        return self.control("POST", "faults", rule)["ids"][0]

    def hits(self, rule):
        return sum(entry["hits"] for entry in self.control("GET", "faults")["rules"] if entry["id"] == rule)

    def heal(self):
        self.control("DELETE", "faults")

    def down(self, milliseconds):
        """Refuses connections for so long, also ours: what is asked of it meanwhile waits."""
        self.control("POST", "down", {"ms": milliseconds})
        self.connection = None
        self.down_until = time.monotonic() + milliseconds / 1000 + 2

    def violations(self):
        return self.control("GET", "violations")

    def stop(self):
        self.process.stop()


class Bitbucket(Sim):
    def __init__(self, world, name="bitbucket", context="", **more):
        args = list(more.pop("args", ()))
        if context:
            args += ["--context", context]
        super().__init__(world, SIM_BITBUCKET, name, args=args, **more)
        self.context = context

    @property
    def address(self):
        """What the administrator types."""
        return self.url + self.context

    def setup(self, **setup):
        self.control("POST", "setup", setup)

    def repository(self, name, any_commit=True, commits=()):
        project, slug = name.split("/")
        self.setup(projects=[{"key": project, "name": project}],
                   repositories=[{"project": project, "slug": slug, "any_commit": any_commit, "commits": list(commits)}])

    def token(self, token, *, user="build-bot", read=("*",), admin=("*",), **more):
        self.setup(tokens=[{"token": token, "user": user, "read": list(read), "admin": list(admin), **more}])

    def statuses(self, commit="", key="", repository="", history=True):
        query = urllib.parse.urlencode({name: value for name, value in
                                        (("commit", commit), ("key", key), ("repository", repository)) if value})
        return self.control("GET", f"statuses?{query}{'' if history else '&history=0'}")["statuses"]

    def status(self, commit, key="tests/applitools"):
        """What stands on a commit: INPROGRESS..., None when nothing does."""
        found = self.statuses(commit=commit, key=key)
        return found[0]["state"] if found else None

    def history(self, commit, key="tests/applitools"):
        found = self.statuses(commit=commit, key=key)
        return [entry["state"] for entry in found[0]["history"]] if found else []

    def posts(self, since=0):
        """The writes of statuses that arrived, whatever became of them."""
        return [request for request in self.requests(since=since)
                if request["method"] == "POST" and not request["target"].startswith("/sim/")
                and "/webhooks" not in request["target"]]

    # ---- webhooks and events (tests/sim/sim_bitbucket_hooks.h) ----

    def webhooks(self, repository=""):
        return self.control("GET", "webhooks?repository=" + urllib.parse.quote(repository))["webhooks"]

    def push(self, repository="PRJ/web", **more):
        """A push as a user does it; what it says goes to wait_delivered()."""
        return self.control("POST", "push", {"repository": repository, **more})

    def pull_request(self, action, repository="PRJ/web", **more):
        return self.control("POST", "pull-request", {"repository": repository, "action": action, **more})

    def deliveries(self, **filters):
        return self.control("GET", "deliveries?" + urllib.parse.urlencode(filters))["deliveries"]

    def redeliver(self, **which):
        """Sends what was delivered once more, as a proxy before the target may do."""
        return self.control("POST", "redeliver", which)

    def wait_delivered(self, fired, seconds=None):
        """The deliveries that push(), pull_request() or redeliver() began, once all of them are over."""
        def over():
            said = self.control("GET", f"deliveries?since={fired['since']}")
            return said["last"] >= fired["since"] + fired["deliveries"] and not said["pending"] and said["deliveries"]
        return wait_for(over, lambda: f"{fired['deliveries']} deliveries are over: {self.state()['deliveries']}\n"
                        + self.world.tail(), seconds)[:fired["deliveries"]]

    def rest(self, method, path, body=None, token=None, **headers):
        """A REST call of an administrator: status, headers and the answer's JSON (None for an empty one). Redirects are
        not followed."""
        connection = self.connect()
        try:
            connection.request(method, self.context + "/rest/" + path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json", "X-Atlassian-Token": "no-check",
                                "Authorization": f"Bearer {token or self.world.token}", **headers})
            answer = connection.getresponse()
            text = answer.read()
            is_json = text and "json" in (answer.getheader("Content-Type") or "")
            return answer.status, answer.headers, json.loads(text) if is_json else text.decode() or None
        finally:
            connection.close()

    def wait_status(self, commit, state, key="tests/applitools", seconds=None):
        wait_for(lambda: self.status(commit, key) == state,
                 lambda: f"{key} on {commit[-6:]} is {state}; it is {self.status(commit, key)}\n{self.world.tail()}", seconds)


class Eyes(Sim):
    """tests/sim/sim_eyes.h"""

    def __init__(self, world, **more):
        args = ["--org", ORGANIZATION, *more.pop("args", ())]
        super().__init__(world, SIM_EYES, "eyes", args=args, **more)

    def allow(self, key, **more):
        self.control("POST", "setup", {"keys": [{"key": key, "teamId": "team-1", "user": "eyes@example.com", **more}]})

    def announce(self, commands):
        for start in range(0, len(commands), 1000):
            self.control("POST", "commands", {"commands": commands[start:start + 1000]})

    def announce_raw(self, command, server=None, times=-1):
        """Given as it stands, to the polls for `server`, else to all."""
        raw = {"raw": command, "times": times}
        if server:
            raw["server"] = server
        return self.control("POST", "commands", raw)

    def commands(self):
        return {command["id"]: command for command in self.control("GET", "commands")["commands"]}

    def result(self, id):
        found = self.control("GET", "commands?id=" + urllib.parse.quote(id))["commands"]
        return found[0] if found else {}

    def outcome(self, id):
        """The final one, None while there is none."""
        outcome = self.result(id).get("outcome")
        return None if outcome in (None, "", "accepted") else outcome

    def outcomes(self):
        """Of all that were announced; only final ones."""
        return {id: command["outcome"] for id, command in self.commands().items()
                if command.get("outcome") not in (None, "", "accepted")}

    def accepted(self):
        return {id for id, command in self.commands().items() if command.get("accepted")}

    def give_again(self, ids):
        self.control("POST", "redeliver", {"ids": ids})

    def acks(self, **filters):
        return self.control("GET", "acks?" + urllib.parse.urlencode(filters))["acks"]

    def polls(self, since=0):
        return [request for request in self.requests("/commands?", since) if request["method"] == "GET"]

    def wait_polls(self, count, since=None):
        since = self.requests()[-1]["number"] if since is None else since
        wait_for(lambda: len([poll for poll in self.polls(since) if poll["status"]]) >= count, f"{count} more polls")

    def batches(self, batches):
        self.control("POST", "batches", {"batches": batches})

    def batch(self, id, pointer, **more):
        self.batches([{"id": id, "pointerId": pointer, **more}])


    def event_address(self, server="localhost", **query):
        """Where Bitbucket's events go without a relay."""
        query = urllib.parse.urlencode({"orgId": ORGANIZATION, "serverId": server, **query})
        return f"{self.url}/api/externals/bitbucket/events?{query}"

    def events(self, **filters):
        """What arrived, in order; pings too."""
        return self.control("GET", "events?" + urllib.parse.urlencode(filters))["events"]

    def wait_events(self, count, seconds=None, **filters):
        return wait_for(lambda: len(self.events(**filters)) >= count and self.events(**filters),
                        lambda: f"{count} events reach Eyes, {len(self.events(**filters))} did\n{self.world.tail()}", seconds)


class Answer:
    """What a command said."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def __str__(self):
        return f"$ {' '.join(self.argv)}\n{self.out}{self.err}(exit code {self.code})"

    @property
    def json(self):
        try:
            return json.loads(self.out)
        except ValueError:
            raise AssertionError(f"no JSON: {self}") from None

    @property
    def error(self):
        return self.json["error"]


class Daemon(Process):
    def __init__(self, world, args=(), env=None, cwd=None):
        self.world = world
        world.daemon_count += 1
        super().__init__([EYES_SCM, *args], world.logs / f"daemon-{world.daemon_count}.log",
                         env=world.daemon_environment(env), cwd=cwd or world.folder)

    def wait_ready(self):
        def answers():
            if self.ended():
                raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.text()}")
            try:
                return self.world.api("GET", "/healthz")[0] == 200
            except OSError:
                return False
        wait_for(answers, lambda: f"the daemon answers on its socket:\n{self.text()}", every=0.005)
        return self

    def hangup(self):
        os.kill(self.pid, signal.SIGHUP)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


class World:
    def __init__(self, prefix="e2e-", **settings):
        """settings: of the daemon, over the defaults below."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
        self.logs, self.given, self.state_dir = (self.folder / name for name in ("logs", "given", "state"))
        self.logs.mkdir()
        self.given.mkdir()
        self.secrets = set()
        self.daemon, self.daemon_count, self.answers = None, 0, 0
        self.extra, self.sims = [], []
        self.host = "localhost"  # how the simulators are called
        self.expected_violations = []
        self.token = self.secret("token")
        self.key = self.secret("key")
        self.settings = dict(
            EYES_ORG_ID=ORGANIZATION, EYES_STATE_DIR=str(self.state_dir), EYES_LISTEN="127.0.0.1:0",
            EYES_POLL_INTERVAL="1s", EYES_POLL_WAIT="5s", EYES_SCM_TIMEOUT="3s", EYES_STORE_SIZE="32M",
            EYES_LOG_LEVEL="debug")
        self.settings.update(settings)

    # ---- secrets, files, environment ----

    def secret(self, name):
        value = canary(name)
        self.secrets.add(value)
        return value

    def file(self, name, text):
        path = self.given / name
        path.write_text(text)
        return path

    def bare_environment(self):
        """Nothing of the caller's but how to run: no EYES_* of a developer's shell may change a test."""
        keep = ("PATH", "LD_LIBRARY_PATH", *SANITIZER_OPTIONS)
        return {"HOME": str(self.folder), "LANG": "C.UTF-8", "TZ": "UTC",
                **{name: os.environ[name] for name in keep if name in os.environ}}

    def daemon_environment(self, more=None):
        merged = {**self.settings, **(more or {})}
        return {**self.bare_environment(), **{name: str(value) for name, value in merged.items() if value is not None}}

    # ---- starting ----

    def start_eyes(self, **more):
        self.eyes = Eyes(self, **more)
        self.sims.append(self.eyes)
        self.eyes.allow(self.key)
        self.settings.setdefault("EYES_SERVER_URL", self.eyes.url)
        self.settings.setdefault("SSL_CERT_FILE", str(self.eyes.ca))
        return self.eyes

    def start_bitbucket(self, name="bitbucket", repositories=("PRJ/web",), **more):
        sim = Bitbucket(self, name, **more)
        self.sims.append(sim)
        for repository in repositories:
            sim.repository(repository)
        sim.token(self.token)
        if name == "bitbucket":
            self.bitbucket = sim
        return sim

    def start_daemon_only(self, *args, env=None, cwd=None):
        self.daemon = Daemon(self, args, env, cwd)
        return self.daemon

    def start_daemon(self, *args, **more):
        return self.start_daemon_only(*args, **more).wait_ready()

    def restart_daemon(self, **more):
        self.stop_daemon()
        return self.start_daemon(**more)

    def stop_daemon(self):
        if self.daemon is None:
            return
        daemon, self.daemon = self.daemon, None
        was_dead = daemon.ended()
        code = daemon.stop()
        if was_dead or code != 0:
            raise AssertionError(f"the daemon ended with {code}{' by itself' if was_dead else ' on SIGTERM'}:\n"
                                 + daemon.text()[-6000:])

    def kill_daemon(self):
        daemon, self.daemon = self.daemon, None
        daemon.kill()

    # ---- commands and API ----

    def run(self, *argv, stdin="", env=None, cwd=None, expect=None):
        """Any program. Its words are kept, for the canary."""
        done = subprocess.run([str(word) for word in argv], input=stdin.encode(), capture_output=True,
                              timeout=60 * SLOW, env=env or self.bare_environment(), cwd=cwd or self.folder)
        self.answers += 1
        (self.logs / f"answer-{self.answers}.txt").write_bytes(done.stdout + b"\n" + done.stderr)
        answer = Answer([pathlib.Path(str(argv[0])).name, *map(str, argv[1:])], done.returncode,
                        done.stdout.decode(), done.stderr.decode())
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"expected exit code {expect}\n{answer}\n{self.tail()}")
        return answer

    def cli(self, *words, stdin="", expect=0, **more):
        """A subcommand, as an administrator types it."""
        env = {**self.bare_environment(), "EYES_STATE_DIR": str(self.state_dir)}
        return self.run(EYES_SCM, *words, stdin=stdin, env=env, expect=expect, **more)

    def ask(self, *words, **more):
        """The same with --json."""
        return self.cli(*words, "--json", **more).json

    def api(self, method, path, body=None):
        connection = UnixConnection(self.state_dir / "control.sock")
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path):
        status, body = self.api("GET", "/api/v1/" + path)
        if status != 200:
            raise AssertionError(f"GET /api/v1/{path}: {status} {body.decode()}")
        return json.loads(body)

    def status(self):
        return self.get("status")

    def repositories(self):
        return self.get("repositories")["repositories"]

    # ---- the usual set-up, and what a test asks most ----

    def set_account(self):
        self.cli("account", "set", "--key-file", "-", stdin=self.key + "\n")

    def add_server(self, sim=None, *more, **options):
        return self.cli("server", "add", (sim or self.bitbucket).address, *more, **options)

    def enable(self, *repositories, token=None, server=None, **more):
        where = ["--server", server.address] if server else []
        for repository in repositories:
            self.cli("repo", "enable", repository, *where, "--token-file", "-", stdin=(token or self.token) + "\n", **more)

    def send(self, sim=None, **command):
        """Lets Eyes announce one update; returns its id."""
        return self.send_all([self.command(sim, **command)])[0]

    def command(self, sim=None, repository="PRJ/web", commit=1, key="tests/applitools", state="SUCCESSFUL", **more):
        project, slug = repository.split("/")
        command = {"id": f"c{secrets.token_hex(8)}", "server": (sim or self.bitbucket).address, "project": project,
                   "repository": slug, "commit": sha(commit) if isinstance(commit, int) else commit, "key": key,
                   "name": key, "state": state, "description": f"{state} by a test",
                   "url": "https://eyes.example.com/app/batches/1", **more}
        return {name: value for name, value in command.items() if value is not None}

    def send_all(self, commands):
        self.eyes.announce(commands)
        return [command["id"] for command in commands]

    def wait_outcome(self, id, outcome, seconds=None):
        return wait_for(lambda: self.eyes.outcome(id) == outcome and self.eyes.result(id),
                        lambda: f"outcome of {id} is {outcome}; it is {self.eyes.result(id)}\n{self.tail()}", seconds)

    def wait_outcomes(self, ids, outcomes=("delivered",), seconds=None):
        def open_ones():
            have = self.eyes.outcomes()
            return [id for id in ids if have.get(id) not in outcomes]
        wait_for(lambda: not open_ones(),
                 lambda: f"{len(open_ones())} of {len(ids)} are not {outcomes}: "
                         f"{[self.eyes.result(id) for id in open_ones()[:3]]}\n{self.tail()}", seconds)

    def wait_accepted(self, ids, seconds=None):
        wait_for(lambda: set(ids) <= self.eyes.accepted(), lambda: f"{ids} are accepted\n{self.tail()}", seconds)

    def wait_idle(self, seconds=None):
        """Nothing waits, nothing is under way, all outcomes are told."""
        def idle():
            status = self.status()
            counts = status["queue"].get("counts", status["queue"])
            return not any(counts[name] for name in ("waiting", "later", "sending")) and not status["outbox"]
        wait_for(idle, lambda: f"the queue is empty: {self.status()}\n{self.tail()}", seconds)

    def log(self):
        return "".join(path.read_text(errors="replace") for path in
                       sorted(self.logs.glob("daemon-*.log"), key=lambda path: int(path.stem.split("-")[1])))

    def wait_log(self, text, count=1, seconds=None):
        wait_for(lambda: self.log().count(text) >= count, lambda: f"{text!r} in the log\n{self.tail()}", seconds)

    def tail(self, lines=40):
        return "daemon's log:\n" + "\n".join(self.log().splitlines()[-lines:])

    # ---- the end ----

    def close(self):
        """Stops everything, and returns what is wrong as a list of texts."""
        wrong = []
        try:
            self.stop_daemon()
        except AssertionError as error:
            wrong.append(str(error))
        for process in self.extra:
            process.kill()
        for sim in self.sims:
            if sim.process.ended():
                if sim.process.process.returncode:
                    wrong.append(f"{sim.name} ended by itself: {sim.process.text()[-3000:]}")
                continue
            seen = [one for one in sim.violations()["violations"]
                    if not any(words in one["what"] for words in self.expected_violations)]
            if seen:
                wrong.append(f"{sim.name} saw violations of its protocol: {json.dumps(seen[:10])}")
            if sim.process.stop() != 0:
                wrong.append(f"{sim.name} does not stop well: {sim.process.text()[-3000:]}")
        wrong += self.sanitizer_reports() + self.leaks()
        return wrong

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def sanitizer_reports(self):
        reports = []
        for path in self.logs.iterdir():
            if MARKS.search(path.read_bytes()):
                reports.append(f"a sanitizer complains in {path.name}:\n{path.read_text(errors='replace')[-6000:]}")
        return reports

    def leaks(self):
        """Files with a secret in them: the daemon's and the commands' words, and everything in the state folder."""
        needles = {}
        for value in self.secrets:
            raw = value.encode()
            needles[raw] = value
            for shift in range(3):  # inside base64 at any alignment; the first and last characters depend on others
                encoded = base64.b64encode(b"\0" * shift + raw)
                needles[encoded[4 if shift else 0:-4]] = f"base64 of {value}"
        found = []
        for path in self.folder.rglob("*"):
            if self.given in path.parents or not path.is_file() or path.is_symlink():
                continue
            if path.parent == self.logs and not path.name.startswith(("daemon", "answer")):
                continue
            data = path.read_bytes()
            found += [f"{needles[needle]} stands in {path.relative_to(self.folder)}" for needle in needles if needle in data]
        return found


class E2E(unittest.TestCase):
    """Gives each test its worlds, and looks at what they leave behind."""

    def world(self, **settings):
        world = World(**settings)
        self.addCleanup(self.end_world, world)
        return world

    def end_world(self, world):
        wrong = world.close()
        if wrong:
            print(world.tail(80))
        world.remove()
        self.assertFalse(wrong, "\n".join(wrong))

    def ready_world(self, repositories=("PRJ/web",), eyes=None, bitbucket=None, **settings):
        """Eyes, one Bitbucket and the daemon, set up through its commands."""
        world = self.world(**settings)
        world.start_eyes(**(eyes or {}))
        world.start_bitbucket(repositories=repositories, **(bitbucket or {}))
        world.start_daemon()
        world.set_account()
        world.add_server()
        world.enable(*repositories)
        return world
