"""What the benchmark stands on: a world of the end-to-end tests (tests/e2e/harness.py) on chosen cores, what the
kernel says about a process, and load from outside as a yardstick.

With two cores or more the measured program has core 0 for itself, and everything else shares core 1.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402  (needs the line above)
from harness import wait_for  # noqa: E402,F401

BENCH = pathlib.Path(os.environ.get("BENCH_BIN") or harness.BUILD / "tests" / "bench")
CORES = sorted(os.sched_getaffinity(0))
APART = len(CORES) > 1
MEASURED, OTHERS = ({CORES[0]}, {CORES[1]}) if APART else (set(CORES), set(CORES))


@contextlib.contextmanager
def on(cores):
    """What is started inside inherits the cores."""
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, OTHERS)


# ---- what the kernel says ----

def tasks(pid):
    return list(pathlib.Path(f"/proc/{pid}/task").iterdir())


def cpu_us(pid, field=0):
    """CPU time of all threads, the kernel's part on their behalf included."""
    return sum(int((task / "schedstat").read_text().split()[field]) for task in tasks(pid)) / 1000


def robbed_us(pid):
    """How long they could have run, but something else had the core."""
    return cpu_us(pid, 1)


def cpu_split_us(pid):
    """(user, system), in clock ticks' resolution."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return tuple(int(field) * 1e6 / os.sysconf("SC_CLK_TCK") for field in fields[11:13])


def wake_ups(pid):
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M)[1])
               for task in tasks(pid))


def memory_mb(pid):
    """(RSS, RssAnon)"""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"^{name}:\s+(\d+) kB", status, re.M)[1]) / 1000
                 for name in ("VmRSS", "RssAnon"))


def load_average():
    return os.getloadavg()[0]


# ---- the world ----

class Lab(harness.World):
    """Simulators without records, the daemon with its defaults except for what a row changes."""

    def __init__(self, **settings):
        defaults = dict(EYES_LOG_LEVEL="info", EYES_SCM_TIMEOUT=None, EYES_STORE_SIZE=None, EYES_POLL_INTERVAL=None,
                        EYES_POLL_WAIT=None)
        super().__init__(**{**defaults, **settings})

    def start_sims(self, repositories=1, record=0, bitbucket=()):
        with on(OTHERS):
            self.start_eyes(args=["--record", record])
            self.bitbucket = self.start_generated("bitbucket", repositories, record, bitbucket)

    def start_generated(self, name, repositories, record=0, more=()):
        """A Bitbucket with repositories GEN<i/100>/repo-<i>, in which every commit is known."""
        args = ["--repositories", repositories, "--record", record, "--history", 20000, *more]
        sim = harness.Bitbucket(self, name, args=args)
        self.sims.append(sim)
        sim.token(self.token)
        return sim

    def start(self, **more):
        with on(MEASURED):
            return self.start_daemon(**more)

    def set_up(self, repositories=1):
        self.set_account()
        self.add_server()
        self.enable_generated(self.bitbucket, repositories)

    def enable_generated(self, sim, count):
        """In no order, so that repositories that follow each other in a flow are far apart in the store."""
        names = [f"GEN{i // 100}/repo-{i}" for i in range(count)]
        random.Random(1).shuffle(names)
        for at in range(0, count, 500):
            status, body = self.api("POST", "/api/v1/repositories/enable", {
                "server": sim.address, "token": self.token, "repositories": names[at:at + 500]})
            if status != 200:
                raise AssertionError(f"enabling: {status} {body.decode()[:500]}")

    def generate(self, count, sim=None, **more):
        """Lets Eyes give so many updates, each for a commit of its own; the generator's number."""
        generate = {"count": count, "server": (sim or self.bitbucket).address, **more}
        return self.eyes.control("POST", "commands", {"generate": generate})["generator"]

    def generator(self, number):
        return next(one for one in self.eyes.state()["generators"] if one["generator"] == number)

    def histogram(self, name):
        """(sum, count) of one of the daemon's histograms."""
        body = self.api("GET", "/metrics")[1].decode()
        return tuple(float(found[1]) if (found := re.search(rf"^{name}_{part} (\S+)", body, re.M)) else 0
                     for part in ("sum", "count"))

    def broken(self):
        """What must not be: violations of a protocol, a daemon that ended."""
        wrong = [f"{sim.name}: {sim.violations()}" for sim in self.sims if sim.violations()["count"]]
        if self.daemon is None or self.daemon.ended():
            wrong.append("the daemon ended:\n" + self.tail())
        return wrong

    def leaks(self):
        return []  # the end-to-end tests look for secrets; the store's file is large


@contextlib.contextmanager
def lab(**settings):
    """A Lab that is cleared away; what is wrong with it at the end is an error."""
    world = Lab(**settings)
    try:
        yield world
        wrong = world.broken() + world.close()
        if wrong:
            raise AssertionError("\n".join(wrong))
    finally:
        world.close()
        world.remove()


# ---- start ----

def start_to_ready_ms(world):
    """From before the program is started until it answers GET /healthz on its control socket, which it makes last."""
    log = os.open(world.logs / "daemon-0.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    path = str(world.state_dir / "control.sock")
    pathlib.Path(path).unlink(missing_ok=True)
    with on(MEASURED):
        begin = time.monotonic()
        pid = os.posix_spawn(harness.EYES_SCM, [harness.EYES_SCM], world.daemon_environment(),
                             file_actions=[(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)])
    os.close(log)
    try:
        while not answers(path):
            if time.monotonic() - begin > 20 or os.waitpid(pid, os.WNOHANG)[0]:
                raise AssertionError("the daemon does not start:\n" + world.tail())
        return (time.monotonic() - begin) * 1000
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def answers(path):
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return probe.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


# ---- yardsticks ----

BODY = json.dumps({"key": "tests/applitools", "state": "SUCCESSFUL", "url": "https://eyes.example.com/app/batches/1-1",
                   "name": "Visual tests", "description": "12 passed", "parent": "tests/applitools",
                   "testResults": {"successful": 12, "failed": 0, "skipped": 0}})


def wrk(folder, url, token, connections, seconds):
    """(requests/s, wrk's own CPU microseconds a request) for POSTs as the daemon sends them."""
    fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "X-Atlassian-Token": "no-check",
              "Accept": "application/json"}
    script = "wrk.method = 'POST'\nwrk.body = [[%s]]\n" % BODY
    return load(folder, url, script + wrk_headers(fields), connections, seconds, MEASURED)[:2]


def wrk_headers(fields):
    return "".join(f"wrk.headers['{name}'] = '{value}'\n" for name, value in fields.items())


def load(folder, url, script, connections, seconds, cores):
    """(requests/s, wrk's own CPU microseconds a request, how many); all must be answered with 2xx."""
    path = folder / "wrk.lua"
    path.write_text(script)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with on(cores):
        done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", path, url],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 20)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    count = re.search(r"(\d+) requests in", done.stdout)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)
    if done.returncode or not count or not rate or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise AssertionError(f"wrk: {done.stdout}{done.stderr}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return float(rate[1]), used * 1e6 / max(1, int(count[1])), int(count[1])


def post_events(targets, connections, count, *more):
    """What tests/bench/post_events.c prints; all events must have been accepted."""
    with on(OTHERS):
        done = subprocess.run([BENCH / "post_events", "--connections", str(connections), "--count", str(count), *more],
                              input="".join(f"{target}\n" for target in targets), capture_output=True, text=True, timeout=90)
    if done.returncode:
        raise AssertionError(f"post_events: {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


class Served:
    """What a server on the measured core does under load: requests/s, its CPU microseconds a request, the share of
    its core that it used, the share in which something else had it, and the CPU microseconds of wrk a request."""

    def __init__(self, folder, pid, url, script, connections, seconds):
        cpu, robbed, begin = cpu_us(pid), robbed_us(pid), time.monotonic()
        self.rate, self.client_us, count = load(folder, url, script, connections, seconds, OTHERS)
        took = time.monotonic() - begin
        self.us = (cpu_us(pid) - cpu) / max(1, count)
        self.busy = self.us * self.rate / 1e6
        self.robbed = (robbed_us(pid) - robbed) / 1e6 / took

    def text(self):
        robbed = f", robbed {self.robbed:.0%}" if self.robbed > 0.02 else ""
        return f"{self.rate:,.0f}/s, CPU {self.us:.1f} us, core busy {self.busy:.0%}{robbed}"


class Nginx:
    """One process, on loopback, with the given lines in its http and server blocks."""

    def __init__(self, folder, server, http="", tls=False, cores=OTHERS):
        self.port = harness.free_port()
        temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(f"""
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 100000000; {temporary} {http}
    server {{
        listen 127.0.0.1:{self.port}{" ssl" if tls else ""};
        {server}
    }}
}}
""")
        with on(cores):
            self.process = harness.Process(
                ["nginx", "-p", folder, "-e", folder / "nginx.log", "-c", folder / "nginx.conf"], folder / "nginx.out")
        wait_for(self.listens, lambda: f"nginx listens: {self.process.text()}")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def nginx_no_content(folder):
    """Answers every request with 204, over TLS; (it, a URL of it)."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=localhost", "-days", "2", "-keyout", folder / "key.pem",
                    "-out", folder / "cert.pem"], check=True, capture_output=True, timeout=20)
    nginx = Nginx(folder, f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"
                          " location / { return 204; }", tls=True)
    return nginx, f"https://127.0.0.1:{nginx.port}/rest/build-status/1.0/commits/{harness.sha(1)}"


def nginx_static(folder, answers):
    """Answers /0, /1 and so on, each from a file, with the given headers, and sends as fast as nginx can."""
    locations = ""
    for number, (headers, body) in enumerate(answers):
        (folder / str(number)).write_bytes(body)
        own = "".join('add_header %s "%s";\n' % (name, value.replace('"', '\\"')) for name, value in headers.items()
                      if name not in ("Content-Type", "Content-Length", "Date"))
        kind = headers["Content-Type"]
        locations += (f'location = /{number} {{ root {folder}; types {{ }} default_type "{kind}";\n'
                      f'add_header Last-Modified "";\n{own} }}\n')
    return Nginx(folder, f"etag off; max_ranges 0; {locations}", cores=MEASURED,
                 http="sendfile on; tcp_nopush on; open_file_cache max=100 inactive=60s; open_file_cache_valid 60s;")


def disk_us(folder, seconds=0.5):
    """A write of 4 KiB and fdatasync, in microseconds."""
    with open(folder / "disk", "wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, 4 << 20)
        os.fsync(file.fileno())
        count, begin = 0, time.monotonic()
        while time.monotonic() - begin < seconds:
            os.pwrite(file.fileno(), bytes([count % 256]) * 4096, count % 1024 * 4096)
            os.fdatasync(file.fileno())
            count += 1
        return (time.monotonic() - begin) * 1e6 / count
