"""The world of one browser test, driven through standard input: tests/e2e/harness.py, and nothing of its own.

usage: python3 tests/ui/world.py

Takes lines {"do": "bitbucket.token", "args": [...], "named": {...}}: a dotted name below harness.World, called when it
can be. Answers each with {"value": ...} or {"error": text}. {"do": "new", "named": {settings}} comes first, and
{"do": "end"}, or the end of the input, stops everything; its value is the list of what is wrong.
"""

import json
import os
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402  (needs the two lines above)


class UiWorld(harness.World):
    """As for end-to-end tests, but on one port, so that a page finds the daemon again after a restart."""

    def __init__(self, **settings):
        super().__init__(prefix="ui-", **{"EYES_LOG_LEVEL": "info", **settings})
        self.port = harness.free_port()
        self.settings["EYES_LISTEN"] = f"127.0.0.1:{self.port}"
        self.url = f"http://localhost:{self.port}"
        self.settings["EYES_SCM_PROXY_URL"] = self.url  # where Bitbucket sends events with EYES_EVENTS=relay

    def file_text(self, path):
        return pathlib.Path(path).read_text()

    def free_port(self):
        return harness.free_port()


def plain(value):
    """As JSON; None for what has no such form."""
    if isinstance(value, pathlib.Path):
        return str(value)
    if isinstance(value, harness.Answer):
        return {"code": value.code, "out": value.out, "err": value.err}
    if isinstance(value, (set, tuple)):
        return [plain(one) for one in value]
    try:
        json.dumps(value)
    except TypeError:
        return None
    return value


def find(world, name):
    for part in name.split("."):
        world = getattr(world, part)
    return world


def end(world):
    wrong = world.close()
    world.remove()
    return wrong


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the harness prints is not an answer
    world = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if asked["do"] == "new":
                world = UiWorld(**asked.get("named", {}))
                value = None
            elif asked["do"] == "end":
                value, world = end(world) if world else [], None
            else:
                value = find(world, asked["do"])
                if callable(value):
                    value = value(*asked.get("args", []), **asked.get("named", {}))
            answer = {"value": plain(value)}
        except Exception as error:  # the test is told, whatever it is
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    if world:
        end(world)


if __name__ == "__main__":
    main()
