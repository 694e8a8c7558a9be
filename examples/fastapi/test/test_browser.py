"""Two users onboard in two browser profiles; reload, replace, delete."""

import json
import os
from pathlib import Path

import browser
from backend import token_for
from keys import fingerprint, found_in, new_key
from tap import ok, same, skip

REQUIRED = ("gemini", "exa", "copilotkit")
ESCAPE = "\ue00c"


def link(world, user):
    return f"{world.backend.url}/onboarding#{token_for(user)}"


def card(provider, part=""):
    return f'[data-provider="{provider}"] {part}'


def enter(page, provider, key):
    """Opens the form of a provider and types a key; what the warning says."""
    closed = f"details:not([open]):has({card(provider).strip()}) summary"
    if page.run(f"document.querySelector({json.dumps(closed)}) !== null"):
        page.click(closed)
    if page.run(f"document.querySelector({json.dumps(card(provider, 'form'))}).hidden"):
        page.click(card(provider, ".open"))
    page.type(card(provider, "input"), key)
    return page.text(card(provider, ".warning"))


def save(page, provider):
    """What the message says."""
    page.run("document.querySelector('#message').textContent = ''")
    page.click(card(provider, ".save"))
    page.wait("document.querySelector('#message').textContent !== ''")
    return page.text("#message")


def badge(page, provider):
    return page.text(card(provider, ".badge"))


class Pictures:
    """Screenshots, when somebody wants to look at them."""

    def __init__(self):
        self.folder = os.environ.get("SCREENSHOTS")
        self.count = 0

    def take(self, page, name):
        if not self.folder:
            return
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        self.count += 1
        page.screenshot(Path(self.folder) / f"{self.count:02}-{name}.png")


def onboard(page, keys, pictures, who):
    same(page.text("#count"), "0 of 3 required keys", f"{who} has no keys")
    pictures.take(page, f"{who}-empty")
    for provider in REQUIRED:
        same(enter(page, provider, keys[provider]), "", f"... {provider}: no warning for a key of the right form")
        same(save(page, provider)[-10:], "key saved.", "... and it is saved")
    same((page.text("#count"), badge(page, "gemini")), ("All set", "Saved"), "... then all are set")


def check_warnings(page, pictures):
    said = enter(page, "openai", "AIza-not-of-openai")
    ok("does not look like a key of OpenAI" in said, "a key of another form gets a warning before it is saved", said)
    same(page.text(card("openai", ".save")), "Save anyway", "... and can be saved anyway")
    pictures.take(page, "warning")
    page.type(card("openai", "input"), " two words")
    ok("spaces" in page.text(card("openai", ".warning")), "so does one with a space in it")
    same(page.run("getComputedStyle(document.querySelector('.secret')).webkitTextSecurity"), "disc", "what is typed shows as dots")
    page.click(card("openai", ".cancel"))
    same(page.run("document.querySelector('#key-openai').value"), "", "cancelling forgets it")


def run(world):
    why = browser.why_not()
    if why:
        skip("the onboarding page in a browser", why)
        return
    pictures = Pictures()
    driver = browser.Driver(world.folder)
    pages = {}
    try:
        look_at_development(world, driver, pictures)
        world.production()
        pages = {user: driver.open(f"profile-{user}") for user in ("browser_a", "browser_b")}
        onboard_two(world, pages, pictures)
        for page in pages.values():
            page.close()
        for user, page in pages.items():
            same(found_in(page.files()), [], f"no key in what {user}'s browser wrote to disk")
    finally:
        driver.stop()


def look_at_development(world, driver, pictures):
    world.dotenv.write_text("DEBUG=true\n")
    page = driver.open("profile-developer")
    page.go(link(world, "browser_developer"))
    key = new_key("gemini")
    enter(page, "gemini", key)
    save(page, "gemini")
    ok(key in world.dotenv.read_text(), "on a laptop the page saves to .env")
    ok(".env" in page.text("#mode") and "from the .env file" in page.text(card("gemini")), "... and says so")
    pictures.take(page, "development")
    page.close()
    same(found_in(page.files()), [], "... the browser wrote no key to disk")


def onboard_two(world, pages, pictures):
    keys = {user: {provider: new_key(provider) for provider in REQUIRED} for user in pages}
    for user, page in pages.items():
        page.go(link(world, user))
        same(page.run("location.href"), f"{world.backend.url}/onboarding", "the sign-in token leaves the address")
        if user == "browser_a":
            check_warnings(page, pictures)
        onboard(page, keys[user], pictures, user)
    pictures.take(page, "all-set")

    for user, page in pages.items():
        page.reload()
        same([page.text(card(name, ".masked")) for name in REQUIRED], ["••••••••" + keys[user][name][-4:] for name in REQUIRED],
             f"after a reload {user} sees hints")
        same(found_in(page.everything()), [], "... and no key is in source, inputs, storage, cookies, address or console")
        same(page.databases(), [], "... nor does the page keep a database")
        same(page.run("JSON.stringify([localStorage.length, sessionStorage.length, document.cookie])"), '[0,0,""]', "... or anything else that a script can read")
        same(world.user(user).generate(), fingerprint(keys[user]["gemini"]), f"{user}'s request uses {user}'s key")
    pictures.take(page, "reloaded")

    page = pages["browser_a"]
    replaced = new_key("gemini")
    enter(page, "gemini", replaced)
    save(page, "gemini")
    same(page.text(card("gemini", ".masked")), "••••••••" + replaced[-4:], "a replaced key shows the new hint")
    same(world.user("browser_a").generate(), fingerprint(replaced), "... and is the one that is used")
    same(world.user("browser_b").generate(), fingerprint(keys["browser_b"]["gemini"]), "... the other user's is as it was")

    page.click(card("exa", ".delete"))
    pictures.take(page, "confirm")
    page.press(ESCAPE)
    same(badge(page, "exa"), "Saved", "Escape keeps a key")
    page.click(card("exa", ".delete"))
    page.click("#confirm [value=delete]")
    page.wait("/deleted/.test(document.querySelector('#message').textContent)")
    same((badge(page, "exa"), page.text("#count")), ("Missing", "2 of 3 required keys"), "a deleted key is missing")
    page.reload()
    same(badge(page, "exa"), "Missing", "... after a reload as well")
    same(pages["browser_b"].text(card("exa", ".badge")), "Saved", "... the other user's is there")

    world.cluster.sql("UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id = 'browser_a' AND provider = 'gemini'")
    page.reload()
    same(badge(page, "gemini"), "Enter again", "a key that nobody can read has to be entered again")
    enter(page, "gemini", replaced)
    save(page, "gemini")
    same(badge(page, "gemini"), "Saved", "... after which it is as before")

    enter(page, "openai", "AIza-saved-anyway-0123456789")
    ok("does not look like" in save(page, "openai"), "a key of another form is saved, and the database says what it thinks")
    pictures.take(page, "saved-anyway")

    check_outage(world, page, pictures)
    for user, page in pages.items():
        same(found_in(page.everything()), [], f"no key is left in {user}'s page")
        same([entry for entry in page.console.split("{") if "SEVERE" in entry and "503" not in entry], [], "... and the console has no error")
    look_at_other_screens(pages["browser_a"], pictures)


def check_outage(world, page, pictures):
    world.cluster.stop("immediate")
    key = new_key("exa")
    enter(page, "exa", key)
    ok("cannot be reached" in save(page, "exa"), "when the database is gone, saving fails aloud")
    same(page.run("document.querySelector('#key-exa').value.length"), len(key), "... and what was typed is still there")
    pictures.take(page, "outage")
    world.cluster.start()
    for _ in range(20):
        if "saved" in save(page, "exa"):
            break
    same(badge(page, "exa"), "Saved", "... to be saved when it is back")


def look_at_other_screens(page, pictures):
    page.emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    pictures.take(page, "dark")
    page.emulate("setDeviceMetricsOverride", width=380, height=800, deviceScaleFactor=2, mobile=True)
    page.run("[...document.querySelectorAll('details')].forEach((group) => { group.open = true })")
    same(page.run("document.documentElement.scrollWidth <= innerWidth"), True, "on a phone nothing sticks out")
    pictures.take(page, "phone")
