#!/usr/bin/env python3
"""A controller to start from: it takes a signal over a socket, runs a command for it, tells on
what that says, and ends with its exit code, as docs/forward-protocol.md has it.

    DEPLOY_CONFIG=/etc/deploy/controller.toml DEPLOY_STATE_DIR=/var/lib/deploy-controller \\
        receiver.py /run/deploy/deploy.sock /usr/local/bin/deploy

The command is called as deploy.sh is. Its settings and its state are its own: those of the node
say that the signal goes here, and their lock is held by the deploy that waits. Whoever may write
to the socket may deploy."""

import http.server, json, os, socket, socketserver, subprocess, sys, threading

SOCKET, *COMMAND = sys.argv[1:]
LARGEST = 1 << 20  # of a signal, in bytes
PATIENCE = 10  # for a whole request, and for a client that does not read, in seconds
running, ended, guard = {}, [], threading.Lock()  # app -> (id, process); the last ids


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = PATIENCE  # for each read and each write; handle() bounds them together
    gone = False

    def handle(self):
        self.late = threading.Timer(PATIENCE, self.hang_up)
        self.late.start()
        try:
            super().handle()
        finally:
            self.late.cancel()

    def do_POST(self):
        try:
            assert self.path == "/v1/deploys"
            length = int(self.headers["Content-Length"])
            assert 0 < length <= LARGEST
            signal = json.loads(self.rfile.read(length))
            self.late.cancel()
            deploy = {key: str(signal[key]) for key in ("id", "app", "chart_version")}
            command = [*COMMAND, "--app", deploy["app"], "--chart", str(signal["chart"]),
                       "--chart-version", deploy["chart_version"],
                       "--images", json.dumps(signal["images"])]
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            return self.reply(400, f"no signal: {error!r}")
        with guard:  # one deploy of an app at a time
            if deploy["app"] in running:
                return self.reply(409, f"run {running[deploy['app']][0]} deploys this app now")
            try:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                           text=True, errors="replace")
            except OSError as error:
                return self.reply(503, f"{COMMAND[0]} cannot be started: {error}")
            running[deploy["app"]] = (deploy["id"], process)
        try:
            end = self.follow(process)
        finally:  # whatever becomes of the client, the app is free again
            code = process.wait()
            with guard:
                del running[deploy["app"]]
                ended[:] = [*ended[-99:], deploy["id"]]
        code = code if code >= 0 else 128 - code
        end["message"] = end["message"] or f"{COMMAND[0]} ended with {code}"
        self.tell(event="finished", **deploy, outcome="failure" if code else "success",
                  exit_code=code, **end if code else {})

    def follow(self, process):
        """Tells what it says, to its end, and gives the cause and the evidence in it."""
        self.reply(200)
        cause, details = None, []
        for line in process.stdout:
            line = line.strip()[:2000]
            if line.startswith("|"):  # evidence of deploy's: it may hold logs
                details = [*details[-49:], line[1:].strip()]
            elif line.startswith("error: "):
                cause = line[7:]
            else:
                self.tell(event="progress", message=line)
        return {"message": cause, "details": details}

    def do_DELETE(self):
        with guard:
            found = [process for id, process in running.values() if self.path == f"/v1/deploys/{id}"]
        for process in found:
            process.terminate()
        self.reply(202 if found else 404, "told to stop" if found else "no such deploy")

    def do_GET(self):
        with guard:
            known = [*ended, *(id for id, _ in running.values())]
        self.reply(200 if self.path in [f"/v1/deploys/{id}" for id in known] else 404, "")

    def reply(self, status, text=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-ndjson" if text is None else "text/plain")
        self.send(self.end_headers)
        if text:
            self.send(self.wfile.write, text.encode() + b"\n")

    def tell(self, **event):
        self.send(self.wfile.write, json.dumps(event).encode() + b"\n")

    def send(self, write, *what):
        if self.gone:
            return
        try:
            write(*what)
        except OSError:  # nobody listens any more; the deploy goes on all the same
            self.gone = True
            self.hang_up()  # half a line must not look like a whole one

    def hang_up(self):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the client was first

    def address_string(self):
        return "socket"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


if __name__ == "__main__":
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    mask = os.umask(0o117)  # the socket's owner and group may write to it
    server = Server(SOCKET, Handler)
    os.umask(mask)
    server.serve_forever()
