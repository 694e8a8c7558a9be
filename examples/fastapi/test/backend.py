"""Starts a backend under uvicorn, and talks to it as a user."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jwt

SECRET = os.urandom(32).hex()


def token_for(user, seconds=600, secret=SECRET, algorithm="HS256", **claims):
    now = int(time.time())
    claims = {"iss": "app-login", "aud": "app", "sub": user, "iat": now, "exp": now + seconds, **claims}
    return jwt.encode(claims, secret, algorithm=algorithm)


class Backend:
    def __init__(self, app: str, folder: Path, log: Path, **environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        with open(log, "a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "--port", str(self.port), app],
                cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "JWT_SECRET": SECRET, **environment},
            )
        self._wait()

    def _wait(self):
        for _ in range(200):
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the backend did not start:\n" + self.log.read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Client:
    """One user's connection to a backend.  Every answer is kept, to be searched for keys."""

    answers = []

    def __init__(self, backend: Backend, user=None, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", backend.port, timeout=60)
        token = token or (token_for(user) if user else None)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method, path, body=None, **headers):
        """(status, the answer's JSON or text)"""
        sent = None if body is None else body if isinstance(body, (str, bytes)) else json.dumps(body)
        self.connection.request(
            method, path, sent, {**self.headers, "Content-Type": "application/json", **headers}
        )
        response = self.connection.getresponse()
        text = response.read().decode()
        Client.answers.append(f"{response.getheaders()} {text}")
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    def onboard(self, **keys):
        return [self.ask("PUT", f"/api/keys/{name}", {"api_key": key})[0] for name, key in keys.items()]

    def generate(self):
        """The fingerprint of the key that the provider was called with, or the status."""
        status, answer = self.ask("POST", "/api/generate", {"topic": "keys"})
        return answer["text"] if status == 200 else status

    def providers(self):
        return {row["name"]: row for row in self.ask("GET", "/api/onboarding")[1]["providers"]}
