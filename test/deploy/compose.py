"""compose.py COMPOSE.YAML WORK STORE SERVICE=IMAGE...: runs the file's services with buildah, and uses them.  Speaks TAP.

What is in the file is what runs: commands, environment, volumes, order and health checks.
Only the images are those that the caller built.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

import yaml

file, work, store, *named = sys.argv[1:]
images = dict(name.split("=", 1) for name in named)
compose = yaml.safe_load(open(file))
services = compose["services"]
containers, running = {}, {}
count = failures = 0


def ok(name, holds, said=""):
    global count, failures
    count += 1
    print(f"{'ok' if holds else 'not ok'} {count} - {name}", flush=True)
    if not holds:
        failures += 1
        print("\n".join(f"# {line}" for line in str(said).splitlines()[-25:]), flush=True)


def buildah(*words):
    command = ["buildah", "--storage-driver", "vfs", "--root", f"{store}/containers", "--runroot", f"{store}/run", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def words_of(service):
    """What a runtime starts: the image's entry point, and the file's command or the image's."""
    config = json.loads(buildah("inspect", "--type", "image", images[service]))["OCIv1"]["config"]
    return (config.get("Entrypoint") or []) + (services[service].get("command") or config.get("Cmd") or [])


def command_in(service, *words):
    what = services[service]
    command = ["buildah", "--storage-driver", "vfs", "--root", f"{store}/containers", "--runroot", f"{store}/run",
               "run", "--isolation=chroot"]
    for name, value in what.get("environment", {}).items():
        command += ["--env", f"{name}={value}"]
    for volume in what.get("volumes", []):
        source, target, *mode = volume.split(":")
        if source.startswith("."):
            source = os.path.normpath(os.path.join(os.path.dirname(file), source))
        else:
            assert source in compose["volumes"], source
            source = f"{work}/volume-{source}"
            os.makedirs(source, exist_ok=True)
        command += ["-v", ":".join([source, target, *mode])]
    return command + [containers[service], "--", *words]


def start(service):
    if service not in containers:
        containers[service] = buildah("from", *[f"--add-host={name}:127.0.0.1" for name in services], images[service])
        for volume in "/etc/postgresql/key_vault", "/var/lib/postgresql/data":
            buildah("config", "--volume", f"{volume}-", containers[service])
    log = open(f"{work}/{service}.log", "ab")
    running[service] = subprocess.Popen(command_in(service, *words_of(service)), stdout=log, stderr=log,
                                        stdin=subprocess.DEVNULL)


def log_of(service):
    return open(f"{work}/{service}.log").read()


def until(condition, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return True
        time.sleep(0.5)
    return False


def is_healthy(service):
    test = services[service]["healthcheck"]["test"]
    assert test[0] == "CMD"
    return subprocess.run(command_in(service, *test[1:]), capture_output=True).returncode == 0


def bring_up():
    """Each service when those that it depends on are as far as it wants."""
    for service in services:            # the file has them in an order that will do; held below
        wanted = services[service].get("depends_on", [])
        for other in wanted:
            condition = wanted[other]["condition"] if isinstance(wanted, dict) else "service_started"
            assert other in running, f"{other} comes after {service}"
            if condition == "service_completed_successfully":
                ok(f"{other} is done", running[other].wait(60) == 0, log_of(other))
            elif condition == "service_healthy":
                ok(f"{other} is healthy", until(lambda: is_healthy(other)), log_of(other))
        start(service)


def take_down():
    subprocess.run(command_in("db", "gosu", "postgres", "pg_ctl", "-s", "-m", "fast", "-w", "stop"), check=True)
    for service in reversed(services):
        running[service].terminate()
    for service in services:
        running[service].wait(60)


def link():
    found = re.findall(r"^(http://\S+)/onboarding#(\S+)$", log_of("backend"), re.M)
    return found[-1] if found else (None, None)


def ask(path, method="GET", body=None):
    address, token = link()
    request = urllib.request.Request(address + path, method=method, data=body and json.dumps(body).encode(),
                                     headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"


def is_up():
    try:
        return link()[0] and "<html" in ask("/onboarding")
    except OSError:
        return False


def in_database(sql):
    command = command_in("db", "gosu", "postgres", "psql", "-X", "-At", "-d", "app", "-c", sql)
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
key = "AIzaSyCanary00000000000000000000000000"

bring_up()
ok("the backend prints a link, and the page is there", until(is_up), log_of("backend"))
ok("the user has no key yet", '"user_id":"me"' in ask("/api/onboarding"), ask("/api/onboarding"))
said = ask("/api/keys/gemini", "PUT", {"api_key": key})
ok("a key is entered", not re.match(r"\d{3} ", said), said)
ok("it is the user's, in the database", in_database("SELECT key_vault.get('me', 'gemini')").endswith(key))
ok("and on the page masked", key[-4:] in ask("/api/onboarding") and key not in ask("/api/onboarding"), ask("/api/onboarding"))
ok("it came through PgBouncer", "app/app@" in log_of("pgbouncer"), log_of("pgbouncer"))
ok("the database is in production", in_database("SELECT mode FROM key_vault.mode()") == "production")
ok("status finds no error", in_database("SELECT item FROM key_vault.status() WHERE state = 'error'") == "")
ok("the keyring is on a volume of its own", os.listdir(f"{work}/volume-keyring").count("app.keyring") == 1)
passwords = {name: open(f"{work}/volume-{name}/{found}").read() for name in ("superuser", "backend", "session")
             for found in os.listdir(f"{work}/volume-{name}")}
ok("each password is one of its own", len(set(passwords.values())) == 3)

many = [subprocess.Popen([sys.executable, "-c", "import sys, urllib.request; print(urllib.request.urlopen(urllib.request.Request("
                          "sys.argv[1], headers={'Authorization': 'Bearer ' + sys.argv[2]}), timeout=60).status)",
                          link()[0] + "/api/onboarding", link()[1]], stdout=subprocess.PIPE, text=True) for _ in range(12)]
ok("requests side by side go through the pooler", {one.communicate()[0].strip() for one in many} == {"200"}, log_of("backend"))

take_down()
bring_up()
ok("started again, all is there", until(is_up) and key[-4:] in ask("/api/onboarding"), log_of("backend"))
ok("with the same passwords", all(open(f"{work}/volume-{name}/{found}").read() == passwords[name]
                                  for name in passwords for found in os.listdir(f"{work}/volume-{name}")))
take_down()

print(f"1..{count}")
sys.exit(failures > 0)
