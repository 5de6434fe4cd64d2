"""Runs one file of end-to-end tests for tests/run.

usage: python3 tests/e2e_file.py FILE RESULTS

Appends one line of JSON to RESULTS for each finished test: name, outcome (passed, failed or skipped), seconds,
text (traceback or reason), and from/to: where in this program's output that test's own part begins and ends. The
output must go to a file for that.
"""

import importlib.util
import json
import os
import pathlib
import sys
import time
import traceback
import unittest


class Recorder(unittest.TestResult):
    def __init__(self, results):
        super().__init__()
        self.results = results
        self.running = None

    def startTest(self, test):
        super().startTest(test)
        sys.stdout.flush()
        sys.stderr.flush()
        self.running = {"name": name_of(test), "outcome": "passed", "text": "", "from": os.fstat(1).st_size}
        self.started = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        self.write(self.running)
        self.running = None

    def write(self, record):
        sys.stdout.flush()
        sys.stderr.flush()
        record["to"] = os.fstat(1).st_size
        record["seconds"] = time.monotonic() - self.started if self.running else 0
        self.results.write(json.dumps(record) + "\n")
        self.results.flush()

    def note(self, test, outcome, text):
        """Something to say about the running test, or, outside of any, about a set-up of a class or module."""
        if not self.running:
            return self.write({"name": str(test), "outcome": outcome, "text": text, "from": 0})
        self.running["outcome"] = outcome
        self.running["text"] += text

    def addError(self, test, error):
        self.note(test, "failed", "".join(traceback.format_exception(*error)))

    addFailure = addError

    def addSubTest(self, test, subtest, error):
        if error:
            self.note(test, "failed", f"{subtest}\n" + "".join(traceback.format_exception(*error)))

    def addSkip(self, test, reason):
        self.note(test, "skipped", reason)

    def addUnexpectedSuccess(self, test):
        self.note(test, "failed", "passed, but was expected to fail")


def name_of(test):
    return test.id().split(".", 1)[-1]


def main():
    file, results = pathlib.Path(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with open(results, "a") as output:
        unittest.defaultTestLoader.loadTestsFromModule(module).run(Recorder(output))


if __name__ == "__main__":
    main()
