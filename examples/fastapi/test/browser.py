"""Drives headless Chromium by the WebDriver protocol, with a profile of its own."""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1100,1000",
]


def why_not():
    """Why there can be no browser here, or None."""
    for program, package in ("chromium", "chromium"), ("chromedriver", "chromium-driver"):
        if not shutil.which(program):
            return f"the Debian package {package} is not installed"
    return None


class Driver:
    """chromedriver; each of its browsers is a session."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log = folder / "chromedriver.log"
        self.browsers = []
        with open(self.log, "w") as out:
            self.process = subprocess.Popen(
                ["chromedriver", "--port=0"], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)},
            )
        for _ in range(200):
            started = re.search(r"started successfully on port (\d+)", self.log.read_text())
            if started:
                break
            time.sleep(0.05)
        else:
            raise RuntimeError("chromedriver did not start:\n" + self.log.read_text())
        self.url = f"http://127.0.0.1:{started[1]}"

    def open(self, profile):
        self.browsers.append(Browser(self, self.folder / profile))
        return self.browsers[-1]

    def stop(self):
        """Ends the browsers that are open, too: after a failure there may be some."""
        for browser in self.browsers:
            browser.close()
        self.process.terminate()
        self.process.wait(10)


class Browser:
    def __init__(self, driver: Driver, profile: Path):
        self.url = driver.url
        self.profile = profile
        options = {"binary": shutil.which("chromium"), "args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = ""
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.session = f"/session/{answer['sessionId']}"
        self.console = ""

    def _ask(self, method, path, body=None):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self.url + self.session + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            problem = json.load(error)["value"]
            raise RuntimeError(f"{path}: {problem['error']}: {problem['message'].splitlines()[0]}") from None

    # What a user does

    def go(self, address):
        self._ask("POST", "/url", {"url": address})
        self.wait("document.body?.dataset.ready === 'yes'")

    def reload(self):
        self._ask("POST", "/refresh")
        self.wait("document.body?.dataset.ready === 'yes'")

    def _find(self, selector):
        return self._ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self._ask("POST", f"/element/{self._find(selector)}/click")

    def type(self, selector, text):
        self._ask("POST", f"/element/{self._find(selector)}/value", {"text": text})

    def press(self, key):
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    # What is seen

    def run(self, script):
        return self._ask("POST", "/execute/sync", {"script": f"return {script}", "args": []})

    def wait(self, condition, seconds=10):
        deadline = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited in vain for {condition}; the page says: {self.text()}")
            time.sleep(0.02)

    def text(self, selector="body"):
        return self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")

    def everything(self):
        """Whatever the page could keep: source, inputs, storage, cookies, address, history state, console."""
        self.console += json.dumps(self._ask("POST", "/se/log", {"type": "browser"}))
        return self.console + json.dumps(self.run("""[
            document.documentElement.outerHTML, [...document.querySelectorAll('input')].map((input) => input.value),
            {...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state, window.name]"""))

    def databases(self):
        """Names of the page's databases and caches, beside localStorage."""
        return self._ask("POST", "/execute/async", {"args": [], "script": """
            const done = arguments[0];
            Promise.all([indexedDB.databases(), window.caches ? caches.keys() : []]).then(([a, b]) => done([...a.map((x) => x.name), ...b]))"""})

    def screenshot(self, file: Path):
        file.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def emulate(self, command, **parameters):
        self._ask("POST", "/goog/cdp/execute", {"cmd": f"Emulation.{command}", "params": parameters})

    def close(self):
        if self.session:
            self._ask("DELETE", "")
            self.session = ""

    def files(self):
        """What the browser has written to its profile, when it is closed."""
        return b"".join(file.read_bytes() for file in sorted(self.profile.rglob("*")) if file.is_file() and not file.is_symlink())
