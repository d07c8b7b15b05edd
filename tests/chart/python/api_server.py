"""An API server of Kubernetes with an empty database, without nodes and controllers: what it takes is kept, and nothing runs.

Arguments: the programs kube-apiserver and etcd, and a directory to work in, which holds the keys of the service accounts in
`accounts.key` and `accounts.pub`. Leaves a `kubeconfig` there. Prints one line when it is ready; then it answers one line
of JSON on standard input, {"method", "path", "type", "body"}, by one on standard output, {"status", "warnings", "body"}. It ends
with its standard input.
"""

import ctypes
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

READY_SECONDS_MAX = 60
CALL_SECONDS_MAX = 30
TOKEN = "token"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def start(log, *command):
    with open(log, "w") as file:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, preexec_fn=die_with_parent
        )


class ApiServer:
    def __init__(self, port, directory):
        self.url = f"https://127.0.0.1:{port}"
        self.authority = f"{directory}/certs/apiserver.crt"

    def call(self, method, path, body=None, form="application/json"):
        request = urllib.request.Request(self.url + path, body.encode() if body else None, method=method)
        request.add_header("Authorization", f"Bearer {TOKEN}")
        request.add_header("Content-Type", form)
        # Made by the server itself when it starts.
        context = ssl.create_default_context(cafile=self.authority)
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
        try:
            answer = urllib.request.build_opener(*handlers).open(request, timeout=CALL_SECONDS_MAX)
        except urllib.error.HTTPError as refused:
            answer = refused
        text = answer.read().decode()
        return {"status": answer.status, "warnings": answer.headers.get_all("Warning", []), "body": text}

    def wait(self, processes):
        for _ in range(READY_SECONDS_MAX * 10):
            ended = [process.args[0] for process in processes if process.poll() is not None]
            if ended:
                with open("api.log") as log:
                    raise SystemExit(f"ended at once: {ended}\n{log.read()[-4000:]}")
            try:
                if self.call("GET", "/readyz")["status"] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"not ready after {READY_SECONDS_MAX} seconds")

    def kubeconfig(self):
        return json.dumps({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": self.authority}}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        })


def main():
    kube_apiserver, etcd, directory = sys.argv[1:]
    os.chdir(directory)
    with open("tokens.csv", "w") as file:
        file.write(f"{TOKEN},admin,admin,system:masters\n")
    port, clients, peers = free_port(), f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    processes = [
        start("etcd.log", etcd, "--data-dir=etcd", f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}",
              f"--listen-peer-urls={peers}", "--unsafe-no-fsync", "--log-level=error"),
        start("api.log", kube_apiserver, f"--etcd-servers={clients}", "--bind-address=127.0.0.1", f"--secure-port={port}",
              "--cert-dir=certs", "--token-auth-file=tokens.csv", "--authorization-mode=AlwaysAllow",
              "--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=accounts.pub",
              "--service-account-signing-key-file=accounts.key", "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112"),
    ]
    try:
        server = ApiServer(port, directory)
        server.wait(processes)
        with open("kubeconfig", "w") as file:
            file.write(server.kubeconfig())
        print("ready", flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(server.call(asked["method"], asked["path"], asked["body"], asked["type"])), flush=True)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(timeout=30)


main()
