#!/usr/bin/env python3
"""See eyes-scm work: "make demo", or "make demo ONCE=1" to have it end by itself.

Starts a simulated Eyes server and a simulated Bitbucket on this machine, and the real program between them. Prints the
address of the wizard with the key and the token to paste there; once a repository is enabled, lets Eyes announce that
the visual tests of a commit run, then that they passed, and shows what appears on the commit in Bitbucket. Then somebody
pushes while Eyes takes no events: the push waits on disk and reaches Eyes later; and a webhook that was deleted by hand
comes back. Until Ctrl-C.

ONCE=1 does the same without a person: it sets the program up with its own commands, and the exit code is 0 only when
the right statuses and the push arrived. Everything is in one temporary folder and ends with this program.
"""

import json
import os
import pathlib
import shlex
import signal
import socket
import sys
import time
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "e2e"))
import harness  # noqa: E402  (needs the two lines above)

ONCE = os.environ.get("ONCE", "") not in ("", "0")
REPOSITORY = "SHOP/web-shop"
COMMIT = "3f2a9c51d7e04b8896a1c2f05d7be34a1190cc8e"
BRANCH = "refs/heads/feature/new-checkout"
STATES = ("INPROGRESS", "SUCCESSFUL")
COLOUR = {"INPROGRESS": "33", "SUCCESSFUL": "32", "FAILED": "31", "CANCELLED": "35"} if sys.stdout.isatty() else {}


def say(text=""):
    print(text, flush=True)


def table(rows):
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        say(f"  {name:<{width}}  {value}")


def command(world, *words, file=None):
    """Runs a command of eyes-scm and shows it as one would type it."""
    say(f"\n  $ eyes-scm {shlex.join(map(str, words))}")
    answer = world.cli(*words, cwd=world.given, expect=None)
    for line in (answer.out + answer.err).rstrip().splitlines():
        say(f"    {line}".rstrip())
    if answer.code:
        raise SystemExit(f"demo: the command failed with exit code {answer.code}\n{world.tail()}")


class Watch:
    """Prints each write of a status, as it appears in Bitbucket."""

    def __init__(self, world):
        self.world, self.seen = world, set()
        self.columns = "  {:<12}  {:<14}  {:<12}  {:<18}  {:<10}  {}"
        say(self.columns.format("TIME", "REPOSITORY", "COMMIT", "KEY", "STATUS", "TEXT"))

    def look(self):
        """Prints what is new; the states of the demo's commit so far."""
        writes = [(entry["effective_ms"], entry["number"], status, entry)
                  for status in self.world.bitbucket.statuses() for entry in status["history"]]
        for at, number, status, entry in sorted(writes, key=lambda write: write[:2]):
            if number in self.seen:
                continue
            self.seen.add(number)
            clock = time.strftime("%H:%M:%S", time.localtime(at / 1000)) + f".{at % 1000:03d}"
            state = f"{entry['state']:<10}"
            if entry["state"] in COLOUR:
                state = f"\033[{COLOUR[entry['state']]}m{state}\033[0m"
            say(self.columns.format(clock, status["repository"], status["commit"][:12], status["key"], state,
                                    entry["description"] or "").rstrip())
        return [entry["state"] for _, _, status, entry in sorted(writes, key=lambda write: write[:2])
                if status["commit"] == COMMIT]

    def wait(self, states):
        harness.wait_for(lambda: self.look() == list(states),
                         lambda: f"{states} on the commit; there is {self.look()}\n{self.world.tail()}")


def update(world, state, text, **more):
    """What the Eyes server announces."""
    return world.command(repository=REPOSITORY, commit=COMMIT, state=state, description=text, ref=BRANCH,
                         url=f"{world.eyes.url}/app/batches/00000251", name="Applitools visual tests", **more)


def page_port():
    """4000, as in the guide, when nobody else has it."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 4000))
            return 4000
        except OSError:
            return harness.free_port()


def start(world):
    world.start_eyes(args=("--max-wait", 25))
    # In the wizard one CA for both, which the program trusts already: choosing a CA file is not the first thing to learn.
    world.start_bitbucket(repositories=(), tls="tls-bitbucket" if ONCE else "tls")
    world.bitbucket.setup(projects=[{"key": "SHOP", "name": "Shop"}], repositories=[
        {"project": "SHOP", "slug": "web-shop", "name": "Web shop", "commits": [COMMIT]},
        {"project": "SHOP", "slug": "api", "name": "API", "commits": [COMMIT]}])
    relay = harness.free_port()
    world.settings.update(EYES_EVENTS="relay", EYES_EVENTS_LISTEN=f"127.0.0.1:{relay}",
                          EYES_SCM_PROXY_URL=f"http://127.0.0.1:{relay}")
    world.start_daemon(*([] if ONCE else ["--listen", f"localhost:{page_port()}"]))
    for name, text in (("key.txt", world.key), ("token.txt", world.token), ("ca.pem", world.bitbucket.ca.read_text())):
        path = world.file(name, text + "\n")
        path.chmod(0o600)


def addresses(world):
    listening = world.log().split("listening address=")[1].split()[0]
    say("A simulated Eyes server, a simulated Bitbucket, and eyes-scm between them, all on this machine.\n")
    table([("eyes-scm", f"http://{listening}/readyz  (which leg works)"), ("Eyes", world.eyes.url),
           ("Bitbucket", world.bitbucket.url), ("CA", " and ".join(sorted({str(world.eyes.ca), str(world.bitbucket.ca)}))),
           ("log", world.daemon.log), ("state", world.state_dir)])
    return listening


def wizard(world, listening):
    """A person sets it up in the browser; returns when a repository is enabled."""
    say("\nOpen the wizard in a browser and follow its steps:\n")
    table([("page", f"http://localhost:{listening.rsplit(':', 1)[1]}/"), ("Eyes API key", world.key),
           ("server URL", world.bitbucket.url), ("token", world.token)])
    say("\nWaiting until a repository is enabled there ... (Ctrl-C ends the demo)")
    while not any(one["state"] == "enabled" for one in world.repositories()):
        if world.daemon.ended():
            raise SystemExit(f"demo: eyes-scm ended by itself\n{world.tail()}")
        time.sleep(0.3)
    one = next(one for one in world.repositories() if one["state"] == "enabled")
    global REPOSITORY
    REPOSITORY = f"{one['project']}/{one['slug']}"
    say(f"{REPOSITORY} is enabled.")


def set_up(world):
    say("\nSet it up: the key of Eyes, the address of Bitbucket, and a token for a repository.")
    command(world, "account", "set", "--key-file", "key.txt")
    command(world, "server", "add", world.bitbucket.url, "--ca-file", "ca.pem")
    command(world, "repo", "list", "--token-file", "token.txt")
    command(world, "repo", "enable", REPOSITORY, "--token-file", "token.txt")


def play(world):
    """A developer pushes a commit: the visual tests begin, and end well."""
    say(f"\nNow Eyes announces the visual tests of commit {COMMIT[:12]}, first running, then passed:\n")
    watch = Watch(world)
    ids = world.send_all([update(world, STATES[0], "12 visual tests are running")])
    watch.wait(STATES[:1])
    if not ONCE:
        time.sleep(1.5)  # so that a person can see one after the other
    ids += world.send_all([update(world, STATES[1], "12 passed",
                                  testResults={"successful": 12, "failed": 0, "skipped": 0})])
    watch.wait(STATES)
    world.wait_outcomes(ids)
    command(world, "status")
    return watch


def arrived(world, push):
    """The push as Eyes has it, or None."""
    return next((event for event in world.eyes.control("GET", "events")["events"]
                 if event["request_id"] == push["request_ids"][0]), None)


def push_while_eyes_is_down(world):
    """Nothing that Bitbucket told is lost."""
    say("\nNow Eyes takes no events for a while (it answers 503), and a developer pushes to the branch:")
    rule = world.eyes.fault("status", status=503, match={"path": "/api/externals/bitbucket/events"})
    push = world.bitbucket.control("POST", "push", {"repository": REPOSITORY, "ref": BRANCH})
    harness.wait_for(lambda: world.eyes.hits(rule), lambda: f"Eyes is told of the push\n{world.tail()}")
    command(world, "events", "list")
    if arrived(world, push):
        raise AssertionError("the event arrived although Eyes took none")
    if not ONCE:
        time.sleep(3)
    began = time.monotonic()
    world.eyes.heal()
    event = harness.wait_for(lambda: arrived(world, push), lambda: f"the push reaches Eyes\n{world.tail()}")
    say(f"\n  Eyes takes events again: {event['event']} arrived {time.monotonic() - began:.1f} s later, unchanged.")


def webhook_comes_back(world):
    """Somebody deletes the webhook in Bitbucket by hand."""
    [hook] = world.bitbucket.control("GET", f"webhooks?repository={REPOSITORY}")["webhooks"]
    say(f"\nSomebody deletes webhook {hook['id']} of {REPOSITORY} in Bitbucket. It comes back within an hour; at once with:")
    path = f"api/1.0/projects/{REPOSITORY.replace('/', '/repos/')}/webhooks/{hook['id']}"
    status, _, _ = world.bitbucket.rest("DELETE", path)
    if status != 204:
        raise AssertionError(f"Bitbucket answers {status} to deleting the webhook")
    command(world, "webhook", "check", REPOSITORY)
    [again] = world.bitbucket.control("GET", f"webhooks?repository={REPOSITORY}")["webhooks"]
    if again["id"] == hook["id"] or again["url"] != hook["url"]:
        raise AssertionError(f"it is not back as it was: {again}")


def stay(world, watch):
    """Until Ctrl-C: shows whatever else is announced."""
    project, slug = REPOSITORY.split("/")
    again = json.dumps({"server": world.bitbucket.url, "project": project, "repository": slug, "commit": COMMIT,
                        "state": "FAILED", "description": "11 passed, 1 unresolved"})
    target = f"{world.bitbucket.url}/rest/api/1.0/projects/{project}/repos/{slug}/commits/{COMMIT}/builds?key="
    say("\nIt stays up until Ctrl-C. In another terminal, try its commands:\n")
    say(f"  export EYES_STATE_DIR={world.state_dir}")
    say(f"  {harness.EYES_SCM} status")
    say("\nLet Eyes announce something else; it will appear here:\n")
    say(f"  curl --cacert {world.eyes.ca} {world.eyes.url}/sim/commands -d '{again}'")
    say("\nAsk Bitbucket itself:\n")
    say(f"  curl --cacert {world.bitbucket.ca} -H \"Authorization: Bearer $(cat {world.given}/token.txt)\" \\")
    say(f"    '{target}{urllib.parse.quote('tests/applitools', safe='')}'\n")
    while not world.daemon.ended():
        watch.look()
        time.sleep(0.2)
    raise SystemExit(f"demo: eyes-scm ended by itself\n{world.tail()}")


def interrupted(_number, _frame):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, interrupted)
    missing = [path for path in (harness.EYES_SCM, harness.SIM_EYES, harness.SIM_BITBUCKET) if not os.access(path, os.X_OK)]
    if missing:
        raise SystemExit(f"demo: {missing[0]} is not built; run \"make demo\"")
    world = harness.World(prefix="eyes-scm-demo-", EYES_POLL_WAIT="25s", EYES_LOG_LEVEL="info")
    wrong = []
    try:
        start(world)
        listening = addresses(world)
        if ONCE:
            set_up(world)
        else:
            wizard(world, listening)
        watch = play(world)
        push_while_eyes_is_down(world)
        webhook_comes_back(world)
        if not ONCE:
            stay(world, watch)
    except KeyboardInterrupt:
        say("\nStopping.")
    except AssertionError as error:
        wrong.append(str(error))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        wrong += world.close()
        world.remove()
    if wrong:
        raise SystemExit("demo: " + "\n".join(wrong))
    if ONCE:
        say("\nThe right statuses and the push arrived, and everything has stopped.")


if __name__ == "__main__":
    main()
