#!/usr/bin/env python3
"""Figures of the real binary, measured from outside: /proc, wrk, and the floor program in the same run.

    bench.py figures|gateways|all --product BINARY --floor BINARY [--seconds N] [--rounds N]

CPU a request is utime + stime of the whole process tree over the requests answered, the median of the
rounds; floor and server take turns, so that both meet the same neighbours on a shared machine. The
tree is held on one core and wrk on another.
"""

import argparse
import base64
import collections
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
TICKS = os.sysconf("SC_CLK_TCK")
API = "https://bench.example.com"
PASSWORD = "a-password-for-the-bench"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def tree_of(pid):
    """pid and everything below it."""
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found += tree_of(int(child))
        except FileNotFoundError:
            pass
    return found


def cpu_seconds(pid):
    total = 0
    for member in tree_of(pid):
        with open(f"/proc/{member}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def pss_kib(pid):
    parts = []
    for member in tree_of(pid):
        with open(f"/proc/{member}/smaps_rollup", encoding="ascii") as file:
            parts.append(int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1)))
    return parts


def first_answer(port, path, begun):
    """Milliseconds from `begun` to the first 200 for a GET of `path`."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    while time.monotonic() - begun < 20:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
                sock.sendall(request)
                if b" 200 " in sock.recv(64):
                    return (time.monotonic() - begun) * 1000
        except OSError:
            pass
        time.sleep(0.001)
    raise SystemExit("the server did not answer")


class Server:
    """A data directory of its own and the processes on it."""

    def __init__(self, binary):
        self.binary = binary
        self.data = tempfile.mkdtemp(prefix="chy-bench-")
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.log = open(os.path.join(self.data, "..", os.path.basename(self.data) + ".log"), "wb")
        self.process = None
        self.run("init", "--issuer", self.issuer)

    def run(self, *args, stdin=None):
        done = subprocess.run([self.binary, "--data", self.data, "-o", "json", *args], input=stdin,
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"chancery {' '.join(args)}: {done.stderr}")
        return done.stdout

    def start(self, *settings):
        begun = time.monotonic()
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", self.binary, "--data", self.data,
             "--set", f"server.address=127.0.0.1:{self.port}", "--set", "admin.address=off",
             *settings, "serve"], stdout=self.log, stderr=self.log)
        return first_answer(self.port, "/.well-known/jwks.json", begun)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def done(self):
        self.stop()
        self.log.close()
        os.unlink(self.log.name)
        shutil.rmtree(self.data)

    def post(self, path, auth, **form):
        request = urllib.request.Request(self.issuer + path, urllib.parse.urlencode(form).encode(),
                                         {"Authorization": "Basic " + auth})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


class Sidecar:
    """`chancery gateway` for one audience of a server, on the server's core."""

    def __init__(self, binary, issuer, audience):
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        begun = time.monotonic()
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", binary, "gateway", "--issuer", issuer, "--listen",
             f"127.0.0.1:{self.port}", "--audience", audience, "--set", "server.workers=1", "--set",
             "log.access=off"], stderr=subprocess.DEVNULL)
        first_answer(self.port, "/readyz", begun)

    def done(self):
        self.process.terminate()
        self.process.wait(20)


class Floor:
    def __init__(self, binary, alg):
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(["taskset", "-c", "0", binary, alg, str(self.port)])
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)

    def done(self):
        self.process.kill()
        self.process.wait()


Sample = collections.namedtuple("Sample", "micros rate errors")


def load(target, kind, seconds, connections=16, **environment):
    before = cpu_seconds(target.process.pid)
    text = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
         "-s", os.path.join(HERE, "load.lua"), target.issuer],
        env={**os.environ, "BENCH_KIND": kind, **environment}, capture_output=True, text=True,
        check=True).stdout
    spent = cpu_seconds(target.process.pid) - before
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    lost = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = int(bad.group(1)) if bad else 0
    errors += sum(map(int, lost.groups())) if lost else 0
    if not requests:
        raise SystemExit(f"{kind}: no answer\n{text}")
    return Sample(spent / requests * 1e6, rate, errors)


def show(name, samples):
    micros = statistics.median(s.micros for s in samples)
    rate = statistics.median(s.rate for s in samples)
    errors = sum(s.errors for s in samples)
    print(f"  {name:<44} {micros:9.1f} us CPU  {rate:10.0f} /s" +
          (f"  {errors} errors" if errors else ""), flush=True)
    return micros


def basic(client):
    return base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()


def prepare(server):
    """An api and a client for each algorithm, and a user."""
    clients = {}
    for alg in ("ES256", "RS256"):
        api = f"{API}/{alg.lower()}"
        server.run("api", "create", api, "--alg", alg, "--scope", "read")
        clients[alg] = json.loads(server.run(
            "client", "create", "bench-" + alg.lower(), "--grant", "client_credentials", "--grant",
            "password", "--grant", "refresh_token", "--scope", "read", "--audience", api,
            "--introspect", api))
    server.run("user", "create", "bench", "--password-stdin", stdin=PASSWORD)
    return clients


def figures(options):
    server = Server(options.product)
    try:
        server.start()
        time.sleep(2)
        parts = pss_kib(server.process.pid)
        print(f"idle memory before the first login (PSS of the tree): {sum(parts) / 1024:.1f} MiB "
              f"({' + '.join(f'{p / 1024:.1f}' for p in parts)})")
        clients = prepare(server)
        server.stop()
        times = []
        for _ in range(9):
            times.append(server.start())
            server.stop()
        print(f"start with existing data to first JWKS: {statistics.median(times):.1f} ms "
              f"(median of 9; {min(times):.1f} to {max(times):.1f})")
        sizes(options)
        lines()
        server.start()
        tokens(options, server, clients)
    finally:
        server.done()


def sizes(options):
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["strip", "-o", file.name, options.product], check=True)
        print(f"binary, stripped: {os.path.getsize(file.name) / 1024:.0f} KiB")


def lines():
    def count(room, *endings):
        total = 0
        for folder, folders, names in os.walk(os.path.join(TOP, room)):
            folders[:] = [f for f in folders if f != "node_modules"]
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(endings) or (room == "scripts" and "." not in name):
                    with open(path, "rb") as file:
                        total += file.read().count(b"\n")
        return total

    rooms = [("lib/base", ".c", ".h"), ("lib/jose", ".c", ".h"), ("lib/oauth", ".c", ".h"),
             ("keys", ".c", ".h"), ("server", ".c", ".h"), ("migrations", ".sql"),
             ("tests", ".c", ".h", ".mjs", ".py", ".lua"), ("scripts", ".sh", ".py")]
    print("lines: " + ", ".join(f"{room[0]} {count(*room)}" for room in rooms))


def tokens(options, server, clients):
    print(f"client-credentials token, {options.rounds} rounds of {options.seconds} s, interleaved:")
    for alg, client in clients.items():
        floor = Floor(options.floor, alg)
        try:
            rounds = {"floor": [], "chancery": []}
            for _ in range(options.rounds):
                rounds["floor"].append(load(floor, "token", options.seconds,
                                            BENCH_AUTH="YmVuY2g6YmVuY2g="))
                rounds["chancery"].append(load(server, "token", options.seconds,
                                               BENCH_AUTH=basic(client)))
        finally:
            floor.done()
        low = show(f"{alg} floor", rounds["floor"])
        ours = show(f"{alg} chancery", rounds["chancery"])
        print(f"  {alg} above the floor: {ours - low:.1f} us, {ours / low:.2f} times", flush=True)


FRESH_TOKENS = 12000  # far more than a sidecar remembers, so that none is met again in time


def gateways(options):
    """A token that a sidecar meets again, and tokens that it has to verify each time."""
    server = Server(options.product)
    try:
        server.start("--set", "log.access=off")
        clients = prepare(server)
        print(f"sidecar on one core, {options.rounds} rounds of {options.seconds} s:")
        for alg, client in clients.items():
            audience = f"{API}/{alg.lower()}"
            sidecar = Sidecar(options.product, server.issuer, audience)
            try:
                for name, count in (("repeated", 1), ("verified each time", FRESH_TOKENS)):
                    with tempfile.NamedTemporaryFile("w") as file:
                        for _ in range(count):
                            file.write(server.post("/oauth2/token", basic(client),
                                                   grant_type="client_credentials")["access_token"] + "\n")
                        file.flush()
                        show(f"gateway {alg}, {name}",
                             [load(sidecar, "gateway", options.seconds, BENCH_TOKENS=file.name,
                                   BENCH_AUDIENCE=audience) for _ in range(options.rounds)])
            finally:
                sidecar.done()
    finally:
        server.done()


def others(options):
    server = Server(options.product)
    try:
        server.start()
        clients = prepare(server)
        print(f"other requests, {options.rounds} rounds of {options.seconds} s:")

        def rounds(name, kind, **environment):
            show(name, [load(server, kind, options.seconds, **environment)
                        for _ in range(options.rounds)])

        rounds("JWKS", "jwks")
        for alg, client in clients.items():
            auth = basic(client)
            token = server.post("/oauth2/token", auth, grant_type="client_credentials")["access_token"]
            rounds(f"introspect {alg}", "introspect", BENCH_AUTH=auth, BENCH_TOKEN=token)
        for alg, client in clients.items():
            auth = basic(client)
            samples = []
            with tempfile.NamedTemporaryFile("w") as file:
                for _ in range(options.rounds):
                    file.truncate(0)
                    file.seek(0)
                    for _ in range(16):
                        answer = server.post("/oauth2/token", auth, grant_type="password",
                                             username="bench", password=PASSWORD)
                        file.write(answer["refresh_token"] + "\n")
                    file.flush()
                    samples.append(load(server, "refresh", options.seconds, BENCH_AUTH=auth,
                                        BENCH_TOKENS=file.name))
                show(f"refresh, rotated and durable, {alg}", samples)
        rounds("password, Argon2id 19 MiB t=2", "password", BENCH_AUTH=basic(clients["ES256"]),
               BENCH_TOKEN=PASSWORD)
        print(f"memory after load (PSS): {sum(pss_kib(server.process.pid)) / 1024:.1f} MiB")
    finally:
        server.done()


def main():
    parser = argparse.ArgumentParser(description="see the head of this file")
    parser.add_argument("what", choices=["figures", "gateways", "all"])
    parser.add_argument("--product", required=True)
    parser.add_argument("--floor", required=True)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.what != "gateways":
        figures(options)
    if options.what != "figures":
        gateways(options)
    if options.what == "all":
        others(options)


if __name__ == "__main__":
    main()
