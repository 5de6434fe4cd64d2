"""The simulators themselves: what they promise of webhooks and events, without the daemon between them."""

import hashlib
import hmac
import json
import time
import unittest

import harness
from harness import wait_for

WEBHOOKS = "api/1.0/projects/PRJ/repos/web/webhooks"
ALL = ["repo:refs_changed", "pr:opened", "pr:modified", "pr:from_ref_updated", "pr:merged", "pr:declined", "pr:deleted"]


class Webhooks(harness.E2E):
    def setUp(self):
        self.sims = self.world()
        self.eyes = self.sims.start_eyes()
        self.bitbucket = self.sims.start_bitbucket()

    def wanted(self, **more):
        return {"name": "eyes-scm test", "url": self.eyes.event_address(instance="i1"), "events": ALL, "active": True, **more}

    def make(self, **more):
        status, _, webhook = self.bitbucket.rest("POST", WEBHOOKS, self.wanted(**more))
        self.assertEqual(status, 201, webhook)
        return webhook

    def refused(self, status, method="POST", path=WEBHOOKS, body=None, **more):
        got, headers, answer = self.bitbucket.rest(method, path, body, **more)
        self.assertEqual(got, status, answer)
        return headers, answer["errors"][0] if isinstance(answer, dict) else answer

    def test_a_webhook_is_made_read_replaced_and_deleted(self):
        made = self.make(configuration={"secret": "s1"})
        path = f"{WEBHOOKS}/{made['id']}"
        self.assertIsInstance(made["createdDate"], int)
        self.assertEqual(sorted(made["events"]), sorted(ALL))
        self.assertEqual(self.bitbucket.rest("GET", path)[2], made)
        self.assertEqual(made["configuration"], {"secret": "s1"})
        status, _, put = self.bitbucket.rest("PUT", path, self.wanted(name="other", events=ALL[:2], active=False))
        self.assertEqual((status, put["name"], put["events"], put["active"], put["configuration"]),
                         (200, "other", ALL[:2], False, {}))
        self.assertEqual([row["secret_sha256"] for row in self.bitbucket.webhooks()], [None])
        self.assertEqual(self.bitbucket.rest("DELETE", path)[0], 204)
        for method in ("GET", "DELETE"):
            _, error = self.refused(404, method, path)
            self.assertIn("NoSuchWebhook", error["exceptionName"])
        self.assertEqual(self.bitbucket.webhooks(), [])

    def test_a_page_has_as_many_as_asked_for(self):
        ids = [self.make(name=f"n{i}", events=ALL[:1] if i % 2 else ALL[1:2])["id"] for i in range(30)]
        first = self.bitbucket.rest("GET", WEBHOOKS)[2]
        self.assertEqual((first["size"], first["isLastPage"], first["nextPageStart"]), (25, False, 25))
        rest = self.bitbucket.rest("GET", WEBHOOKS + "?start=25")[2]
        self.assertEqual((rest["size"], rest["isLastPage"], rest["nextPageStart"]), (5, True, None))
        self.assertEqual([one["id"] for one in first["values"] + rest["values"]], ids)
        pushes = self.bitbucket.rest("GET", WEBHOOKS + "?limit=100&event=repo:refs_changed")[2]["values"]
        self.assertEqual([one["id"] for one in pushes], ids[1::2])

    def test_what_is_wrong_with_a_webhook_is_told(self):
        good = self.wanted()
        for field, values in {"name": (None, "", " ", "x" * 256), "url": (None, "", "ftp://host/", "host", "http://"),
                              "events": (None, [])}.items():
            for value in values:
                with self.subTest(field=field, value=value):
                    body = {name: given for name, given in {**good, field: value}.items() if given is not None}
                    self.assertEqual(self.refused(400, body=body)[1]["context"], field)
        _, error = self.refused(400, body={**good, "events": ["pr:opened", "pr:nothing"]})
        self.assertEqual((error["context"], error["message"]), ("events[1].id", "the event pr:nothing is unknown"))
        self.assertEqual(self.bitbucket.webhooks(), [])

    def test_events_are_those_of_the_version(self):
        for version, knows in (("9.4.0", True), ("7.0.0", True), ("6.10.0", False), ("6.4.0", None)):
            with self.subTest(version=version):
                self.bitbucket.setup(version=version)
                status, _, said = self.bitbucket.rest("GET", "webhooks/latest/capabilities")
                self.assertEqual(status, 404 if knows is None else 200)
                if knows is not None:
                    self.assertEqual("pr:from_ref_updated" in said["application-webhooks"], knows)
                self.assertEqual(self.bitbucket.rest("POST", WEBHOOKS, self.wanted())[0], 201 if knows else 400)

    def test_only_administrators_may_and_writes_need_the_xsrf_header(self):
        self.bitbucket.token("reader", user="rita", admin=())
        path = f"{WEBHOOKS}/{self.make()['id']}"
        for method, where in (("GET", WEBHOOKS), ("POST", WEBHOOKS), ("GET", path), ("PUT", path), ("DELETE", path),
                              ("POST", WEBHOOKS + "/test?url=http://x"), ("GET", path + "/statistics/summary")):
            with self.subTest(method=method, path=where):
                headers, error = self.refused(401, method, where, self.wanted(), token="reader")
                self.assertEqual(headers["X-AUSERNAME"], "rita")
                self.assertIn("AuthorisationException", error["exceptionName"])
                if method != "GET":
                    self.assertEqual(self.refused(403, method, where, self.wanted(), **{"X-Atlassian-Token": ""})[1],
                                     "XSRF check failed")

    def test_secrets_are_shown_as_the_version_does(self):
        path = f"{WEBHOOKS}/{self.make(configuration={'secret': 's1'})['id']}"
        for mask, shown in (("no", {"secret": "s1"}), ("stars", {"secret": "*****"}), ("omit", {})):
            self.bitbucket.setup(mask_secrets=mask)
            self.assertEqual(self.bitbucket.rest("GET", path)[2]["configuration"], shown)

    def test_a_connection_test_calls_the_address(self):
        address = harness.urllib.parse.quote(self.eyes.event_address(), safe="")
        said = self.bitbucket.rest("POST", f"{WEBHOOKS}/test?url={address}")[2]
        self.assertEqual((said["response"]["status"], json.loads(said["request"]["body"])), (200, {"test": True}))
        event, = self.eyes.events()
        self.assertEqual((event["event"], event["signature"], event["size"]), ("diagnostics:ping", "none", 14))
        said = self.bitbucket.rest("POST", f"{WEBHOOKS}/test?url=http://localhost:1/x")[2]
        self.assertIn("refused", said["exception"]["message"])

    def test_events_are_delivered_signed_and_to_those_that_want_them(self):
        self.make(configuration={"secret": "s1"}, events=["repo:refs_changed", "pr:merged"])
        self.make(active=False)
        self.eyes.control("POST", "setup", {"events": {"secret": "s1"}})
        self.bitbucket.setup(repositories=[{"project": "PRJ", "slug": "web", "any_commit": False}])
        sent = []
        sent += self.bitbucket.wait_delivered(self.bitbucket.push(commit=harness.sha(7), pad=30000))
        sent += self.bitbucket.wait_delivered(self.bitbucket.pull_request("merged", pad=12345))
        self.assertEqual(self.bitbucket.pull_request("opened")["deliveries"], 0)
        got = self.eyes.events()
        self.assertEqual([event["signature"] for event in got], ["ok", "ok"])
        for name in ("request_id", "sha256", "size", "event"):
            self.assertEqual([event[name] for event in got], [delivery[name] for delivery in sent])
        self.assertEqual([event["size"] for event in got], [30000, 12345])
        self.assertEqual({event["repository"] for event in got}, {"PRJ/web"})
        push = self.eyes.requests("externals")[0]
        body = json.loads(push["body"])
        mac = hmac.new(b"s1", push["body"].encode(), hashlib.sha256).hexdigest()
        self.assertEqual(push["headers"]["x-hub-signature"], "sha256=" + mac)
        self.assertEqual((body["eventKey"], body["changes"][0]["toHash"]), ("repo:refs_changed", harness.sha(7)))
        for commit, status in ((7, 200), (8, 404)):
            path = f"api/1.0/projects/PRJ/repos/web/commits/{harness.sha(commit)}"
            self.assertEqual(self.bitbucket.rest("GET", path)[0], status)

    def test_dates_change_their_form_with_version_10(self):
        self.make()
        for version, kind in (("9.4.0", int), ("10.0.0", str)):
            self.bitbucket.setup(version=version)
            self.bitbucket.wait_delivered(self.bitbucket.pull_request("opened"))
            body = json.loads(self.eyes.requests("externals")[-1]["body"])
            self.assertIsInstance(body["pullRequest"]["createdDate"], kind)
            self.assertRegex(body["date"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$")

    def test_bodies_can_be_of_any_size(self):
        self.make()
        for version in ("9.4.0", "7.0.0"):
            self.bitbucket.setup(version=version)
            for size in (5000, 5001, 3000000):
                self.assertEqual(self.bitbucket.wait_delivered(self.bitbucket.push(pad=size))[0]["size"], size)

    def test_many_pushes_are_all_different(self):
        self.make()
        fired = self.bitbucket.push(count=1000)
        self.bitbucket.wait_delivered(fired)
        events = self.eyes.events(event="repo:refs_changed")
        self.assertEqual((len(events), len({event["request_id"] for event in events}),
                          len({event["sha256"] for event in events})), (1000, 1000, 1000))

    def test_a_redelivery_is_the_same_once_more(self):
        self.make(configuration={"secret": "s1"})
        first, = self.bitbucket.wait_delivered(self.bitbucket.push())
        again = self.bitbucket.wait_delivered(self.bitbucket.redeliver(request_ids=[first["request_id"]], times=2))
        self.assertEqual([one["again"] for one in again], [first["number"]] * 2)
        events = self.eyes.events()
        self.assertEqual([event["before"] for event in events], [0, 1, 1])
        self.assertEqual(len({(event["request_id"], event["sha256"]) for event in events}), 1)
        self.assertEqual(self.eyes.state()["events"]["duplicates"], 2)

    def test_a_failing_target_is_skipped_for_longer_and_longer(self):
        self.bitbucket.setup(time_scale=1000)  # nothing opens again by itself
        webhook = self.make()["id"]
        path = f"{WEBHOOKS}/{webhook}"
        fault = self.eyes.fault("status", status=500, match={"path": "externals"})
        outcomes = [self.bitbucket.wait_delivered(self.bitbucket.push())[0] for _ in range(6)]
        self.assertEqual([one["outcome"] for one in outcomes], ["failure"] * 5 + ["skipped"])
        self.assertEqual(self.eyes.hits(fault), 5)
        row, = self.bitbucket.webhooks()
        self.assertTrue(9e6 < row["skipped_for_ms"] <= 1e7, row)
        said = self.bitbucket.rest("GET", path + "/statistics/summary")[2]["repo:refs_changed"]
        self.assertEqual((said["counts"]["failures"], said["lastFailure"]["result"]),
                         (5, {"description": "500", "outcome": "FAILURE"}))
        self.eyes.heal()
        self.bitbucket.setup(time_scale=0.001)
        self.assertEqual(self.bitbucket.rest("PUT", path, self.wanted())[0], 200)  # and is asked again at once
        self.assertEqual(self.bitbucket.wait_delivered(self.bitbucket.push())[0]["outcome"], "success")
        latest = self.bitbucket.rest("GET", path + "/latest")[2]
        self.assertEqual(latest["result"], {"description": "200", "outcome": "SUCCESS"})
        self.assertEqual(self.bitbucket.rest("GET", path + "/latest?outcome=ERROR")[0], 204)

    def test_no_answer_in_time_is_an_error(self):
        self.bitbucket.setup(delivery_timeout_ms=100)
        self.make()
        self.eyes.fault("hang", match={"path": "externals"})
        one, = self.bitbucket.wait_delivered(self.bitbucket.push())
        self.assertEqual((one["outcome"], one["status"]), ("error", 0))
        self.assertTrue(one["error"])

    def test_the_circuit_closes_again(self):
        self.bitbucket.setup(time_scale=0.01)
        self.make()
        self.eyes.fault("status", times=5, status=404, match={"path": "externals"})
        for _ in range(5):
            self.bitbucket.wait_delivered(self.bitbucket.push())
        self.assertTrue(self.bitbucket.webhooks()[0]["skipped_for_ms"] <= 100)
        started = time.monotonic()
        wait_for(lambda: self.bitbucket.wait_delivered(self.bitbucket.push())[0]["outcome"] == "success", "it is called again")
        self.assertLess(time.monotonic() - started, harness.SECONDS)

    def test_a_repository_that_moved_keeps_its_webhooks(self):
        self.make()
        self.bitbucket.setup(rename={"PRJ/web": "NEW/shop"})
        status, headers, _ = self.bitbucket.rest("GET", WEBHOOKS + "?limit=3")
        self.assertEqual(status, 307)
        self.assertRegex(headers["Location"],
                         rf"^https://[^/]*:{self.bitbucket.port}/rest/api/1.0/projects/NEW/repos/shop/webhooks\?limit=3$")
        self.bitbucket.setup(moved="follow")
        self.assertEqual(self.bitbucket.rest("GET", "api/1.0/projects/PRJ/repos/web")[2]["project"]["key"], "NEW")
        self.bitbucket.setup(moved="gone")
        self.refused(404, "GET")
        self.assertEqual(self.bitbucket.rest("GET", "api/1.0/projects/NEW/repos/shop/webhooks")[2]["size"], 1)
        self.bitbucket.wait_delivered(self.bitbucket.push("NEW/shop"))
        self.assertEqual(self.eyes.events()[0]["repository"], "NEW/shop")

    def test_nothing_is_pushed_to_an_archived_repository(self):
        self.bitbucket.setup(repositories=[{"project": "PRJ", "slug": "web", "archived": True}])
        self.assertTrue(self.bitbucket.rest("GET", "api/1.0/projects/PRJ/repos/web")[2]["archived"])
        with self.assertRaisesRegex(AssertionError, "409"):
            self.bitbucket.push()


class Events(harness.E2E):
    def setUp(self):
        self.sims = self.world()
        self.eyes = self.sims.start_eyes()

    def post(self, path="bitbucket", query=None, body=b'{"test": true}', **headers):
        query = f"orgId={harness.ORGANIZATION}&serverId=bitbucket.example.com" if query is None else query
        sent = {"Content-Type": "application/json", "X-Event-Key": "repo:refs_changed", "X-Request-Id": "r1", **headers}
        connection = self.eyes.connect()
        try:
            connection.request("POST", f"/api/externals/{path}/events?{query}", body,
                               {name: value for name, value in sent.items() if value is not None})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def test_what_is_not_an_event_is_refused_and_a_violation(self):
        self.sims.expected_violations.append("event")
        wrong = [({"query": "serverId=x"}, 400), ({"query": "orgId=other&serverId=x"}, 404),
                 ({"query": f"orgId={harness.ORGANIZATION}"}, 400), ({"body": b"{"}, 400), ({"body": b'{"a":"\xff"}'}, 400),
                 ({"X-Event-Key": None}, 400), ({"X-Request-Id": None}, 400), ({"Content-Type": "text/plain"}, 400),
                 ({"X-Eyes-Api-Key": "wrong"}, 401)]
        for number, (case, status) in enumerate(wrong, 1):
            with self.subTest(case=case):
                self.assertEqual(self.post(**case), status)
                self.assertEqual(self.eyes.violations()["count"], number)
        self.assertEqual(self.eyes.events(), [])

    def test_key_and_signature_are_noted(self):
        body = b'{"repository":{"slug":"web","project":{"key":"PRJ"}}}'
        good = "sha256=" + hmac.new(b"s1", body, hashlib.sha256).hexdigest()
        self.assertEqual(self.post(body=body, **{"X-Hub-Signature": good}), 200)
        self.eyes.control("POST", "setup", {"events": {"secret": "s1"}})
        self.assertEqual(self.post(body=body, **{"X-Hub-Signature": good, "X-Eyes-Api-Key": self.sims.key}), 200)
        wrong = good[:-1] + ("1" if good[-1] == "0" else "0")
        self.assertEqual(self.post(body=body, **{"X-Hub-Signature": wrong}), 200)
        self.assertEqual(self.post(body=body), 200)
        events = self.eyes.events()
        self.assertEqual([event["signature"] for event in events], ["unchecked", "ok", "wrong", "none"])
        self.assertEqual([event["key"] for event in events], [False, True, False, False])
        self.assertEqual({event["repository"] for event in events}, {"PRJ/web"})
        state = self.eyes.state()["events"]
        self.assertEqual((state["count"], state["forged"], state["unsigned"], state["duplicates"]), (4, 1, 1, 3))

    def test_events_of_github(self):
        body = b'{"repository":{"full_name":"octo/web"}}'
        self.assertEqual(self.post("github", body=body, **{"X-GitHub-Event": "push", "X-GitHub-Delivery": "d1"}), 200)
        event, = self.eyes.events()
        self.assertEqual((event["source"], event["event"], event["request_id"], event["repository"]),
                         ("github", "push", "d1", "octo/web"))

    def test_faults_work_on_events(self):
        self.eyes.fault("status", times=1, status=503, match={"path": "externals"})
        self.assertEqual([self.post(), self.post()], [503, 200])
        self.assertEqual(len(self.eyes.events()), 1)


if __name__ == "__main__":
    unittest.main()
