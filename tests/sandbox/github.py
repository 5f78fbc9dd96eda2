"""A stand-in for the parts of GitHub's REST API that scripts/github asks, on a port of this machine: comments, issues and
workflow runs of one repository, page by page, with what GitHub refuses. Prints its port; ends with its standard input.

    GET /_state           all of it, for the test
    POST /_comments       a comment of somebody else's: {"issue", "user", "body"}
    POST /_runs           a workflow run: {"workflow", "head_sha", "conclusion", "id"}
"""
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN, REPOSITORY, BOT = "a-token-of-the-job", "somebody/databases", "github-actions[bot]"
# GitHub's answer to a longer one: 422, "Body is too long (maximum is 65536 characters)".
LONGEST = 65_536
# Small, so that a test has to turn pages.
PAGE = 2
STATE: dict = {"comments": [], "issues": [], "runs": []}


class GitHub(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, status: int, body: object, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def body(self) -> dict:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")

    def handle_one(self, method: str) -> None:
        address = urlsplit(self.path)
        if address.path.startswith("/_"):
            return self.reply(200, own(method, address.path, self.body()))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.reply(401, {"message": "Bad credentials"})
        path = address.path.removeprefix(f"/repos/{REPOSITORY}/")
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        body = self.body()
        if len(body.get("body", "")) > LONGEST:
            return self.reply(422, {"message": "Validation Failed", "errors": [{"code": "too_long"}]})
        for (asked, pattern), answer in ANSWERS.items():
            found = re.fullmatch(pattern, path)
            if asked == method and found:
                status, result = answer(found, query, body)
                return self.paged(address.path, query, result) if isinstance(result, list) else self.reply(status, result)
        return self.reply(404, {"message": "Not Found"})

    def paged(self, path: str, query: dict, result: list) -> None:
        page = int(query.get("page", 1))
        headers = {}
        if len(result) > page * PAGE:
            host, port = self.server.server_address
            headers["Link"] = f'<http://{host}:{port}{path}?page={page + 1}>; rel="next", <http://{host}:{port}{path}?page=9>; rel="last"'
        self.reply(200, result[(page - 1) * PAGE:page * PAGE], **headers)

    def do_GET(self):  # noqa: N802, the library's name
        self.handle_one("GET")

    def do_POST(self):  # noqa: N802
        self.handle_one("POST")

    def do_PATCH(self):  # noqa: N802
        self.handle_one("PATCH")


def own(method: str, path: str, body: dict) -> object:
    if method == "POST" and path == "/_comments":
        add_comment(body["issue"], body["user"], body["body"])
    elif method == "POST" and path == "/_runs":
        STATE["runs"].append(body)
    return STATE


def add_comment(issue: int, user: str, body: str) -> dict:
    comment = {"id": 1000 + len(STATE["comments"]), "issue": issue, "user": {"login": user}, "body": body, "edits": 0}
    STATE["comments"].append(comment)
    return comment


def comments(found, _query, _body):
    return 200, [comment for comment in STATE["comments"] if comment["issue"] == int(found[1])]


def comment(found, _query, body):
    return 201, add_comment(int(found[1]), BOT, body["body"])


def edit_comment(found, _query, body):
    mine = next((comment for comment in STATE["comments"] if comment["id"] == int(found[1])), None)
    if mine is None:
        return 404, {"message": "Not Found"}
    mine.update(body=body["body"], edits=mine["edits"] + 1)
    return 200, mine


def issues(_found, query, _body):
    return 200, [issue for issue in STATE["issues"] if issue["state"] == query.get("state", "open")]


def issue(_found, _query, body):
    made = {"number": 1 + len(STATE["issues"]), "state": "open", "user": {"login": BOT}, **body}
    STATE["issues"].append(made)
    return 201, made


def edit_issue(found, _query, body):
    mine = next(issue for issue in STATE["issues"] if issue["number"] == int(found[1]))
    mine.update(body)
    return 200, mine


def runs(found, query, _body):
    mine = [run for run in STATE["runs"] if run["workflow"] == found[1] and run["head_sha"] == query["head_sha"]]
    return 200, {"total_count": len(mine), "workflow_runs": mine}


ANSWERS = {
    ("GET", r"issues/(\d+)/comments"): comments,
    ("POST", r"issues/(\d+)/comments"): comment,
    ("PATCH", r"issues/comments/(\d+)"): edit_comment,
    ("GET", r"issues"): issues,
    ("POST", r"issues"): issue,
    ("PATCH", r"issues/(\d+)"): edit_issue,
    ("GET", r"actions/workflows/([^/]+)/runs"): runs,
}

server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
