"""Opens EventSource in headless Chromium and prints what a page gets, a line for each event.

event_source.py PORT ADDRESS DIRECTORY

PORT       where the page is served: its origin is http://127.0.0.1:PORT
ADDRESS    the node's HTTP
DIRECTORY  where the browser keeps its things

The page says `watch open`, `subscribe open` each time that a stream begins, and for each event
`watch ID DATA` or `subscribe ID DATA`. A frame of another origin, http://localhost:PORT, tries the same
and says `stranger open` or `stranger refused`.
"""

import ctypes
import http.server
import shutil
import subprocess
import sys
import threading

port, node, directory = int(sys.argv[1]), sys.argv[2], sys.argv[3]

SCRIPT = """
let said = Promise.resolve();
function say(line) {
  said = said.then(() => fetch('/said', { method: 'POST', body: line }));
}
function listen(name, path) {
  const source = new EventSource('http://%s/api/v1/default/' + path);
  source.onopen = () => say(name + ' open');
  source.onmessage = (event) => say(name + ' ' + event.lastEventId + ' ' + event.data);
  source.addEventListener('end', (event) => say(name + ' end ' + event.data));
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) say(name + ' refused');
  };
}
""" % node

PAGES = {
    "/": "listen('watch', 'watch?models=kv'); listen('subscribe', 'topics/subscribe?filter=page');"
    f"document.write('<iframe src=\"http://localhost:{port}/stranger\"></iframe>');",
    "/stranger": "listen('stranger', 'watch');",
}


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        if script := PAGES.get(self.path):
            self.answer(200, f"<!doctype html><body><script>{SCRIPT}{script}</script>".encode())
        else:
            self.answer(404, b"")

    def do_POST(self):
        line = self.rfile.read(int(self.headers["Content-Length"])).decode()
        # One write a line: two frames speak at a time.
        sys.stdout.write(line + "\n")
        self.answer(200, b"")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
options += ["--disable-background-networking", f"--user-data-dir={directory}"]


def end_with_parent():
    """The browser gets SIGKILL when this script does."""
    ctypes.CDLL(None).prctl(1, 9)


if not shutil.which("chromium"):
    sys.exit("there is no chromium: run ci/setup")
browser = subprocess.Popen(
    ["chromium", *options, f"http://127.0.0.1:{port}/"],
    stderr=subprocess.PIPE,
    text=True,
    preexec_fn=end_with_parent,
)
trouble = browser.communicate()[1]
sys.exit(f"the browser ended with {browser.returncode}: {trouble[-2000:]}")
