"""The measurements of the benchmark. Each function measures one thing and adds its rows to the table."""

import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

import lab as bench
from lab import lab, wait_for
from web import COOKIE, TOKEN_HEADER, Browser, web_port  # lab has shown the way

UPDATES = int(os.environ.get("BENCH_UPDATES") or 1_000_000)
CONNECTIONS = 64
BIG = {"EYES_QUEUE_LIMIT": "1000000"}  # where a backlog is what is measured, not how it is bounded
LONG_SECONDS, SLOW_SECONDS = 80, 300
COMMIT = "eyes_scm_store_commit_milliseconds"


class Table:
    """Prints each row as soon as it is known."""

    WIDTHS = (46, 76, 26)

    def __init__(self):
        self.facts = {}  # what a later row is compared with
        self.rows = []

    def head(self):
        self.line("what", "measured", "goal", "verdict")
        self.line(*("-" * width for width in self.WIDTHS), "-------")

    def line(self, *cells):
        padded = [cell.ljust(width) for cell, width in zip(cells, self.WIDTHS)]
        print("  ".join([*padded, *cells[len(padded):]]).rstrip(), flush=True)

    def add(self, what, measured, goal="", ratio=None):
        """ratio: how much of the goal's allowance is used; up to 1 is good."""
        verdict = "" if ratio is None else "met" if ratio <= 1 else f"missed by {ratio:.2f} x"
        self.rows.append((what, ratio))
        self.line(what, measured, goal, verdict)

    def group(self, name):
        print(f"\n[{name}]", flush=True)


# ---- yardsticks ----

def control(table):
    """What this machine can do at all: a client that only posts, a server that only answers, the disk."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, lab() as world:
        folder = pathlib.Path(name)
        table.add("disk: write 4 KiB + fdatasync", f"{bench.disk_us(folder):.0f} us")
        nginx, url = bench.nginx_no_content(folder)
        try:
            for connections in (16, CONNECTIONS):
                before = bench.cpu_us(nginx.process.pid)
                rate, client = bench.wrk(folder, url, "none", connections, 2)
                server = (bench.cpu_us(nginx.process.pid) - before) / (rate * 2)
                table.add(f"wrk -> nginx, POST over TLS, {connections} conn.",
                          f"{rate:,.0f}/s; CPU {client:.1f} us (wrk), {server:.1f} us (nginx)")
        finally:
            nginx.process.kill()
        world.start_sims()
        url = f"{world.bitbucket.url}/rest/api/latest/projects/GEN0/repos/repo-0/commits/{bench.harness.sha(1)}/builds"
        rate, _ = bench.wrk(folder, url, world.token, 1, 1)
        table.add("wrk -> sim-bitbucket, one connection", f"{1e6 / rate:.0f} us there and back")
        for connections in (16, CONNECTIONS):
            before = bench.cpu_us(world.bitbucket.process.pid)
            rate, client = bench.wrk(folder, url, world.token, connections, 2)
            server = (bench.cpu_us(world.bitbucket.process.pid) - before) / (rate * 2)
            table.add(f"wrk -> sim-bitbucket, {connections} conn.",
                      f"{rate:,.0f}/s; CPU {client:.1f} us (wrk), {server:.1f} us (sim)")
            table.facts["post_us", connections] = client
            table.facts["post_rate", connections] = rate
        world.start()


def store(table):
    """The durable queue by itself: put, claim, done, outbox and journal, 256 updates a commit."""
    for what, words in (("empty", [100000]), ("10,000 repositories, 100,000 queued", [100000, 10000, 100000])):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, bench.on(bench.MEASURED):
            done = subprocess.run([bench.BENCH / "bench_store", folder, *map(str, words)], check=True, timeout=120,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True)
        seen = dict(word.split("=") for word in done.stdout.split())
        cpu, wall = float(seen["cpu_us"]), float(seen["wall_us"])
        table.add(f"store alone, {what}", f"CPU {cpu:.1f} us, with the disk {wall:.1f} us an update", "CPU <= 8 us",
                  cpu / 8)


# ---- the status road ----

class Flow:
    """So many updates through the daemon, from Eyes' feed to the last outcome at Eyes."""

    def __init__(self, world, count, watch=lambda: None, **more):
        pids = {"daemon": world.daemon.pid, "eyes": world.eyes.process.pid, "bitbucket": world.bitbucket.process.pid}
        writes = world.bitbucket.state()["writes"]
        before = {name: bench.cpu_us(pid) for name, pid in pids.items()}
        split, robbed = bench.cpu_split_us(world.daemon.pid), bench.robbed_us(world.daemon.pid)
        commits = world.histogram(COMMIT)
        begin = time.monotonic()
        number = world.generate(count, **more)

        def finished():
            watch()
            return world.generator(number)["finished"] >= count

        wait_for(finished, lambda: f"{world.generator(number)}\n{world.status()['queue']}\n{world.tail()}",
                 SLOW_SECONDS, every=min(0.2, count / 2e6))
        self.seconds = time.monotonic() - begin
        self.cpu = {name: (bench.cpu_us(pid) - before[name]) / count for name, pid in pids.items()}
        after = bench.cpu_split_us(world.daemon.pid)
        self.system_share = (after[1] - split[1]) / max(1, sum(after) - sum(split))
        self.rate = count / self.seconds
        self.robbed = (bench.robbed_us(world.daemon.pid) - robbed) / 1e6 / self.seconds
        commits = [after - before for after, before in zip(world.histogram(COMMIT), commits)]
        self.commit_share = commits[0] / 1000 / self.seconds
        self.commit_ms, self.batch = commits[0] / max(1, commits[1]), count / max(1, commits[1])
        self.busy = {name: us * self.rate / 1e6 for name, us in self.cpu.items()}
        # With server-side idempotence a repeated POST does no harm, but without faults there is no reason for one.
        seen = world.bitbucket.state()["writes"] - writes
        outcomes = world.eyes.state()["outcomes"]
        if seen != count or outcomes["delivered"] < count or world.generator(number)["accepted"] != count:
            raise AssertionError(f"{count} updates: {seen} POSTs, {outcomes}, {world.generator(number)}")

    def text(self):
        sims = self.busy["eyes"] + self.busy["bitbucket"]
        robbed = f", robbed {self.robbed:.0%}" if self.robbed > 0.02 else ""
        return f"{self.rate:,.0f}/s; core busy {self.busy['daemon']:.0%}{robbed}, simulators' {sims:.0%}"

    def disk(self):
        return f"{self.commit_share:.0%} of the time, {self.commit_ms:.2f} ms for {self.batch:.0f} updates"


def set_up(world, repositories=1, **more):
    world.start_sims(repositories, **more)
    world.start()
    world.set_up(repositories)


def road(table):
    """Updates from Eyes to Bitbucket, durable, over TLS; all must be delivered, acknowledged and posted once."""
    with lab(EYES_SCM_CONNECTIONS=16) as world:
        set_up(world)
        Flow(world, 2000)
        add_flow(table, 16, Flow(world, 100_000), with_goal=False)
    with lab(EYES_SCM_CONNECTIONS=CONNECTIONS) as world:
        set_up(world)
        time.sleep(1)
        rss, anon = bench.memory_mb(world.daemon.pid)
        table.add("memory, idle after set-up", f"RSS {rss:.1f} MB, RssAnon {anon:.1f} MB", "RSS <= 10, RssAnon <= 4 MB",
                  max(rss / 10, anon / 4))
        Flow(world, 2000)
        flow = Flow(world, 100_000)
        add_flow(table, CONNECTIONS, flow, with_goal=True)
        table.facts["road_us"] = flow.cpu["daemon"]
        memory(table, world, flow.rate)


def add_flow(table, connections, flow, with_goal):
    us = flow.cpu["daemon"]
    goal = (">= 40,000/s", 40_000 / flow.rate) if with_goal else ()
    table.add(f"status road, {connections} connections", flow.text(), *goal)
    goal = ("<= 24 us", us / 24) if with_goal else ()
    post = table.facts.get(("post_us", connections))
    compared = f"; {us / post:.1f} x a bare POST by wrk" if post else ""
    table.add("... CPU", f"{us:.1f} us an update ({flow.system_share:.0%} in the kernel){compared}", *goal)
    table.add("... commits", flow.disk())


def memory(table, world, expected_rate):
    """The rest of the million, in the same daemon: what it costs then, and what memory stays."""
    samples = []
    count = max(1000, min(UPDATES - 102_000, int(expected_rate * LONG_SECONDS)))
    if count < UPDATES - 102_000:
        table.add("...", f"too slow for {UPDATES:,} updates in {LONG_SECONDS} s: fewer are made")

    def sample():
        if not samples or time.monotonic() - samples[-1][0] > 0.5:
            rss, anon = bench.memory_mb(world.daemon.pid)
            samples.append((time.monotonic(), rss, anon))

    flow = Flow(world, count, sample)
    used = world.status()["store"]["used_percent"]
    table.add(f"... the next {count:,} updates", f"{flow.rate:,.0f}/s, CPU {flow.cpu['daemon']:.1f} us an update",
              "as before, <= 1.3 x", flow.cpu["daemon"] / table.facts["road_us"] / 1.3)
    table.add("... commits", flow.disk())
    table.add("memory, most under load", f"RSS {max(s[1] for s in samples):.1f} MB (with the store's pages in the page"
              f" cache), RssAnon {max(s[2] for s in samples):.1f} MB")
    time.sleep(1)
    rss, anon = bench.memory_mb(world.daemon.pid)
    table.add(f"memory, after {count + 102_000:,} updates",
              f"RSS {rss:.1f} MB, RssAnon {anon:.1f} MB; store {used} % used", "RssAnon <= 7 MB", anon / 7)


# ---- start ----

def start(table):
    """From before exec to an answer on the control socket: libraries, store, listeners; CAs load beside."""
    with lab() as world:
        set_up(world)
        world.stop_daemon()
        times = [bench.start_to_ready_ms(world) for _ in range(11)]
        add_start(table, "start to ready, nothing queued", times, 8)
        world.start()
    with lab(EYES_SCM_CONNECTIONS=16) as world:
        set_up(world)
        hold_back(world, world.bitbucket, 100_000)
        world.stop_daemon()
        times = [bench.start_to_ready_ms(world) for _ in range(7)]
        add_start(table, "start to ready, 100,000 queued", times, 30)
        world.start()


def add_start(table, what, times, goal):
    middle = statistics.median(times)
    table.add(what, f"{middle:.1f} ms (best {min(times):.1f}, worst {max(times):.1f}, {len(times)} starts)",
              f"<= {goal} ms", middle / goal)


def hold_back(world, sim, count, **more):
    """Leaves so many in the queue: their server answers 503."""
    sim.fault("status", status=503, match={"method": "POST"})
    number = world.generate(count, sim, **more)
    wait_for(lambda: world.generator(number)["accepted"] >= count,
             lambda: f"{world.generator(number)}\n{world.tail()}", 60)


# ---- latency ----

def latency(table):
    """sim-eyes stamps each update at the moment it gives it, sim-bitbucket looks at the same clock when the POST is
    there: polling is not in it; both TLS ends, parsing, the commit to disk and both simulators are."""
    with lab() as world:
        set_up(world)
        Flow(world, 500, per_second=200)
        world.bitbucket.control("DELETE", "latency")
        flow = Flow(world, 2000, per_second=250, stamp=True)
        seen = world.bitbucket.control("GET", "latency")
        p50, p99 = seen["p50_us"] / 1000, seen["p99_us"] / 1000
        table.add("added latency, given by Eyes -> POST arrived",
                  f"p50 {p50:.2f} ms, p99 {p99:.2f} ms (max {seen['max_us'] / 1000:.1f}, n={seen['count']:,})",
                  "p50 <= 0.6, p99 <= 2 ms", max(p50 / 0.6, p99 / 2))
        table.add("... of which the commit takes", f"{flow.commit_ms:.2f} ms on average")


# ---- scale ----

def scale(table):
    """The same flow through an empty daemon, and through one with 10,000 repositories while another server's 100,000
    updates wait."""
    count = 100_000
    with lab(EYES_SCM_CONNECTIONS=CONNECTIONS, **BIG) as world:
        set_up(world)
        Flow(world, 2000)
        empty = Flow(world, count)
    with lab(EYES_SCM_CONNECTIONS=CONNECTIONS, **BIG) as world:
        begin = time.monotonic()
        set_up(world, 10_000)
        took = time.monotonic() - begin
        rss, anon = bench.memory_mb(world.daemon.pid)
        table.add("enabling 10,000 repositories, checked live",
                  f"{took:.1f} s; then RSS {rss:.1f}, RssAnon {anon:.1f} MB")
        down = world.start_generated("down", 100)
        world.add_server(down)
        world.enable_generated(down, 100)
        hold_back(world, down, 100_000, repositories=100)
        Flow(world, 2000, repositories=10_000)
        full = Flow(world, count, repositories=10_000)
        waiting = world.status()["queue"]
        ratio = full.cpu["daemon"] / empty.cpu["daemon"]
        table.add("scale: 10,000 repositories, 100,000 queued", f"{full.cpu['daemon']:.1f} us an update, empty"
                  f" {empty.cpu['daemon']:.1f} us: {ratio:.2f} x", "<= 1.3 x", ratio / 1.3)
        table.add("... updates/s", f"{full.rate:,.0f}/s, empty {empty.rate:,.0f}/s; {waiting.get('waiting', 0):,} wait")
        rss, anon = bench.memory_mb(world.daemon.pid)
        table.add("... memory", f"RSS {rss:.1f} MB, RssAnon {anon:.1f} MB")
        world.stop_daemon()
        times = [bench.start_to_ready_ms(world) for _ in range(5)]
        add_start(table, "... start to ready", times, 30)
        world.start()
        idle_polls(table, world)


# ---- idle ----

def idle_polls(table, big):
    """Eyes is asked as often for 10,000 repositories as for one."""
    with lab(EYES_POLL_WAIT="2s") as small:
        set_up(small)
        big.settings["EYES_POLL_WAIT"] = "2s"
        big.stop_daemon()
        big.start()
        time.sleep(3)
        before = [polls(world) for world in (big, small)]
        time.sleep(12)
        counts = [polls(world) - count for world, count in zip((big, small), before)]
    ratio = 1 if abs(counts[0] - counts[1]) <= 1 else counts[0] / max(1, counts[1])
    table.add("polls a minute, holding each for 2 s",
              f"{counts[0] * 5} with 10,000 repositories, {counts[1] * 5} with one", "the same", ratio)


def polls(world):
    """Requests that Eyes saw; the daemon has nothing to acknowledge meanwhile."""
    return world.eyes.state()["requests"]


def idle(table):
    """Voluntary context switches of all threads, with the default settings."""
    with lab() as world:
        set_up(world)
        time.sleep(8)  # until what follows a start, such as idle connections, is over
        seconds = 12
        before, cpu = bench.wake_ups(world.daemon.pid), bench.cpu_us(world.daemon.pid)
        time.sleep(seconds)
        rate = (bench.wake_ups(world.daemon.pid) - before) / seconds
        used = (bench.cpu_us(world.daemon.pid) - cpu) / seconds
        table.add("idle wake-ups", f"{rate:.2f}/s, CPU {used:.0f} us/s", "<= 1/s", rate)


# ---- a rate-limited server ----

def rate(table):
    """60 at once, then 5 a second: 20 targets with a running state, then 90 whose running state is at once followed by
    a final one. The best there is: 110 POSTs, the final states first, one 429 to learn from."""
    with lab() as world:
        set_up(world, record=10000)
        since = world.bitbucket.requests()[-1]["number"]
        running = [world.command(repository="GEN0/repo-0", commit=1000 + i, state="INPROGRESS") for i in range(20)]
        pairs = [world.command(repository="GEN0/repo-0", commit=5000 + i, state=state, sequence=i)
                 for i in range(90) for state in ("INPROGRESS", "SUCCESSFUL")]
        world.bitbucket.control("POST", "faults", {"rate_limit": {"burst": 60, "per_second": 5}})
        begin = time.monotonic()
        world.send_all(running + pairs)
        final = ("delivered", "superseded")
        world.wait_outcomes([command["id"] for command in running + pairs], final, 60)
        took = time.monotonic() - begin
        posts = world.bitbucket.posts(since)
    good = [post for post in posts if post["status"] < 300]
    limited = [post for post in posts if post["status"] == 429]
    first = limited[0]["monotonic_us"] if limited else 0
    late = [post for post in limited if post["monotonic_us"] > first + 1e6]
    targets = len(running) + len(pairs) // 2
    early = sum("SUCCESSFUL" in post["body"] for post in good[:60])
    table.add("rate-limited server: POSTs a target",
              f"{len(good) / targets:.2f} ({len(good)} for {targets}) in {took:.1f} s", "1", len(good) / targets)
    table.add("... answers 429", f"{len(limited)}, {len(late)} of them more than 1 s after the first",
              "none after the first", 1 if not late else 1 + len(late))
    table.add("... final states first", f"{early} of the first {len(good[:60])} are final", ">= 7 of 8",
              0.875 * min(60, len(good)) / max(1, early))


# ---- the page and its API ----

IDLE_CONNECTIONS = 2000
PAGE_ROWS, PAGE_REPOSITORIES = 50, 10_000
PAGE_GOAL = 30_000


def web(table):
    """Over plain HTTP with keep-alive: the daemon, and nginx when it is its turn, on the measured core, wrk on the
    other."""
    with lab(EYES_HTTP_CONNECTIONS=IDLE_CONNECTIONS + 100) as world, \
            tempfile.TemporaryDirectory(prefix="bench-") as folder:
        world.start_sims()
        world.start()
        world.set_account()
        world.add_server()
        browser = Browser(world)
        browser.sign_in()
        idle_connections(table, world, browser)
        static_page(table, world, browser, pathlib.Path(folder))
        world.stop_daemon()
        with bench.on(bench.MEASURED):  # enabling so many takes longer than all the rest
            subprocess.run([bench.BENCH / "bench_repos", world.state_dir, "1", str(PAGE_REPOSITORIES), world.token],
                           check=True, timeout=60, stdin=subprocess.DEVNULL)
        world.start()
        page_of_many(table, world, browser.moved(), pathlib.Path(folder))


def idle_connections(table, world, browser):
    """What a connection takes that waits for its next request; all stay open, and the daemon still answers."""
    request = f"GET / HTTP/1.1\r\nHost: {browser.host}\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    pid = world.daemon.pid
    before = bench.memory_mb(pid)
    opened = []
    try:
        for _ in range(IDLE_CONNECTIONS):
            opened.append(browser.connect())
        for connection in opened:
            connection.sendall(request)
        for connection in opened:
            if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                raise AssertionError(f"one of {IDLE_CONNECTIONS} connections is not answered\n{world.tail()}")
        browser.get("session")
        count = int(re.search(r"^eyes_scm_http_connections_open (\d+)", world.api("GET", "/metrics")[1].decode(),
                              re.M)[1])
        rss, anon = bench.memory_mb(pid)
    finally:
        for connection in opened:
            connection.close()
    if count < IDLE_CONNECTIONS:
        raise AssertionError(f"{count} of {IDLE_CONNECTIONS} connections are open\n{world.tail()}")
    time.sleep(0.3)
    table.add(f"memory, {IDLE_CONNECTIONS:,} idle connections",
              f"RSS {rss:.1f}, RssAnon {anon:.1f} MB, before {before[0]:.1f}, {before[1]:.1f}:"
              f" {(anon - before[1]) * 1000 / IDLE_CONNECTIONS:.1f} KB each;"
              f" closed {bench.memory_mb(pid)[1]:.1f} MB")


def static_page(table, world, browser, folder):
    """The same bytes and headers from nginx, in turn with the daemon. What is compared is how many requests a core
    answers when it is busy: the rate of either may be bounded by wrk, or by who else is on the core."""
    start = browser.ask("GET", "/", expect=200).body.decode()
    paths = ["/", max(re.findall(r'"(/a/[^"]+)"', start), key=lambda path: len(browser.ask("GET", path).body))]
    accept = {"Accept-Encoding": "gzip"}  # as every browser does
    replies = {path: browser.ask("GET", path, headers=accept, expect=200) for path in paths}
    nginx = bench.nginx_static(folder, [(reply.headers, reply.body) for reply in replies.values()])
    try:
        for number, (path, reply) in enumerate(replies.items()):
            same_answer(browser, nginx.port, f"/{number}", accept, reply)
            servers = {"daemon": (world.daemon.pid, f"http://127.0.0.1:{browser.port}{path}"),
                       "nginx": (nginx.process.pid, f"http://127.0.0.1:{nginx.port}/{number}")}
            seen = {name: bench.Served(folder, pid, url, bench.wrk_headers(accept), CONNECTIONS, 1)
                    for name, (pid, url) in servers.items()}
            ratio = seen["nginx"].us / seen["daemon"].us
            name = path.rpartition("/")[2] or path
            table.add(f"static: {name}, {len(reply.body):,} bytes, gzip", seen["daemon"].text())
            table.add("... nginx", seen["nginx"].text())
            table.add("... requests a busy core, of nginx's",
                      f"{ratio:.2f}; as rates {seen['daemon'].rate / seen['nginx'].rate:.2f}", ">= 0.7", 0.7 / ratio)
    finally:
        nginx.process.kill()


def same_answer(browser, port, path, headers, reply):
    """nginx adds that it is nginx, and that the connection is kept."""
    own, browser.port = browser.port, port
    try:
        other = browser.ask("GET", path, headers=headers, expect=200)
    finally:
        browser.port = own
    sent = [{name: value for name, value in one.headers.items() if name not in ("Date", "Server", "Connection")}
            for one in (reply, other)]
    if sent[0] != sent[1] or reply.body != other.body:
        raise AssertionError(f"nginx answers {other}, not {reply}")


def page_of_many(table, world, browser, folder):
    """Each request asks for another page."""
    path = f"/api/v1/repositories?limit={PAGE_ROWS}&after="
    for after in (0, PAGE_REPOSITORIES - 2 * PAGE_ROWS):
        reply = browser.ask("GET", f"{path}{after}", expect=200)
        if len(reply.json["repositories"]) != PAGE_ROWS or not reply.json["next"]:
            raise AssertionError(str(reply))
    fields = {"Cookie": f"{COOKIE}={browser.cookie}", TOKEN_HEADER: browser.token, "Sec-Fetch-Site": "same-origin",
              "Accept": "application/json"}
    script = bench.wrk_headers(fields) + f"""
local requests, at = {{}}, 0
function init()
    for i = 0, {PAGE_REPOSITORIES // PAGE_ROWS - 1} do
        requests[i] = wrk.format("GET", "{path}" .. i * 7919 % {PAGE_REPOSITORIES // PAGE_ROWS} * {PAGE_ROWS})
    end
end
function request()
    at = (at + 1) % {PAGE_REPOSITORIES // PAGE_ROWS}
    return requests[at]
end
"""
    served = min((bench.Served(folder, world.daemon.pid, f"http://127.0.0.1:{browser.port}", script, CONNECTIONS, 1)
                  for _ in range(2)), key=lambda served: served.us)
    rss, anon = bench.memory_mb(world.daemon.pid)
    table.add(f"page of {PAGE_ROWS} rows out of {PAGE_REPOSITORIES:,}, {len(reply.body) / 1000:.1f} KB", served.text())
    able = 1e6 / served.us
    table.add("... requests a busy core", f"{able:,.0f}/s", f">= {PAGE_GOAL:,}/s", PAGE_GOAL / able)
    table.add("... memory", f"RSS {rss:.1f} MB, RssAnon {anon:.1f} MB")


# ---- events ----

EVENT_REPOSITORIES, EVENT_COUNT = 8, 150_000
EVENT_GOALS = ((64, 30_000, 5), (256, 45_000, None))  # connections, events/s, p99 in ms


def events(table):
    """Signed events over plain HTTP, each answered with 202 once it is on disk. The goal is about taking them in alone:
    Eyes takes none meanwhile, they wait. Then how fast the backlog reaches it, and both at once."""
    for connections, goal, goal_ms in EVENT_GOALS:
        with lab(EYES_EVENTS="relay", EYES_HTTP_CONNECTIONS=300, EYES_STORE_SIZE="4G", **BIG) as world:
            set_up(world, EVENT_REPOSITORIES)
            targets = event_targets(world)
            world.eyes.fault("status", status=503, match={"path": "/api/externals/bitbucket/events"})
            bench.post_events(targets, connections, 2000)
            pid, commits = world.daemon.pid, world.histogram(COMMIT)
            before, robbed = bench.cpu_us(pid), bench.robbed_us(pid)
            seen = bench.post_events(targets, connections, EVENT_COUNT)
            if event_counts(world)["waiting"] < EVENT_COUNT:
                raise AssertionError(f"Eyes was to take none: {event_counts(world)}")
            us = (bench.cpu_us(pid) - before) / EVENT_COUNT
            robbed = (bench.robbed_us(pid) - robbed) / 1e6 / seen["seconds"]
            commits = [after - begin for after, begin in zip(world.histogram(COMMIT), commits)]
            table.add(f"events, {connections} connections, durable, Eyes holds",
                      f"{seen['per_second']:,.0f}/s, CPU {us:.1f} us, core busy {us * seen['per_second'] / 1e6:.0%}"
                      f"{f', robbed {robbed:.0%}' if robbed > 0.02 else ''}", f">= {goal:,}/s", goal / seen["per_second"])
            p50, p99 = (seen["latency_us"][name] / 1000 for name in ("p50", "p99"))
            table.add("... 202 after", f"p50 {p50:.2f} ms, p99 {p99:.2f} ms", *((f"p99 <= {goal_ms} ms", p99 / goal_ms)
                                                                             if goal_ms else ()))
            table.add("... commits", f"{commits[0] / 10 / seen['seconds']:.0f}% of the time, {commits[0] / commits[1]:.2f} ms"
                      f" for {EVENT_COUNT / commits[1]:.0f} events")
            if goal_ms:
                passed_on(table, world)
                both_at_once(table, world, targets, connections)


def event_targets(world):
    """What post_events reads: a line for each repository."""
    lines, port = [], web_port(world)
    for row in json.loads(world.api("GET", f"/api/v1/repositories?limit={EVENT_REPOSITORIES}")[1])["repositories"]:
        secret = json.loads(world.api("POST", f"/api/v1/repositories/{row['id']}/webhook/by-hand", {})[1])["secret"]
        lines.append(f"http://127.0.0.1:{port}/api/bitbucket-events-proxy/{row['id']} {secret} {row['project']}/{row['slug']}")
    return lines


def event_counts(world):
    return json.loads(world.api("GET", "/api/v1/relay")[1])["counts"]


def both_at_once(table, world, targets, connections):
    """Taken in and passed on beside it, by one core; sim-eyes and the client share the other one."""
    before = bench.cpu_us(world.daemon.pid)
    seen = bench.post_events(targets, connections, EVENT_COUNT // 3)
    us, waiting = (bench.cpu_us(world.daemon.pid) - before) / (EVENT_COUNT // 3), event_counts(world)["waiting"]
    table.add("... while others are passed on", f"{seen['per_second']:,.0f}/s in, p99 {seen['latency_us']['p99'] / 1000:.2f} ms,"
              f" {max(0, EVENT_COUNT // 3 - waiting) / seen['seconds']:,.0f}/s out, CPU {us:.1f} us an event taken in")
    wait_for(lambda: event_counts(world)["waiting"] == 0, world.tail, SLOW_SECONDS)


def passed_on(table, world):
    """The backlog, in order for each repository, over TLS to sim-eyes, which looks at each."""
    pid = world.daemon.pid
    world.eyes.heal()
    world.api("POST", "/api/v1/relay/retry", {"all": True})
    wait_for(lambda: event_counts(world)["waiting"] < EVENT_COUNT, world.tail, SLOW_SECONDS)
    count, before, begin = event_counts(world)["waiting"], bench.cpu_us(pid), time.monotonic()
    wait_for(lambda: event_counts(world)["waiting"] == 0, lambda: f"{event_counts(world)}\n{world.tail()}", SLOW_SECONDS)
    took = time.monotonic() - begin
    table.add("... passed on to Eyes", f"{count / took:,.0f}/s, CPU {(bench.cpu_us(pid) - before) / count:.1f} us an event")


ROWS = {row.__name__: row for row in (control, store, road, start, latency, scale, idle, rate, web, events)}
