#!/usr/bin/python3
"""Our .env reader and writer against python-dotenv and npm's dotenv.

    dotenv_differential.py          TAP on standard output
    dotenv_differential.py --write  notes what is different now as known

How each of the two reads is compared to the letter, for the files in dotenv_corpus/ and
for random ones.  dotenv_corpus/known_differences lists what they do not read alike, and
on which lines that is; a line more or less fails.  What our writer makes of those files
and of random ones is read by both, too.

Needs python3-dotenv, node and npm, which fetches dotenv into build/npm once.
"""
import io
import json
import logging
import os
import random
import re
import subprocess
import sys
from unittest import mock

from dotenv import dotenv_values

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "dotenv_corpus")
KNOWN = os.path.join(CORPUS, "known_differences")
TOOL = os.path.join(HERE, "build", "dotenv_tool")
NPM = os.path.join(HERE, "build", "npm")
NPM_VERSIONS = ["16", "17", "18"]
SEED = 20260131
RANDOM_TEXTS = 6000

BOM = b"\xef\xbb\xbf"

# What might break out of quotes, end a line, start a comment, be taken for an escape
# or a variable, or be trimmed
PIECES = [
    b"a", b"sk-", b"'", b'"', b"`", b"\\", b"\\n", b"\\t", b"\\'", b'\\"', b"\\\\",
    b"\n", b"\r", b"\r\n", b"#", b" #", b" ", b"\t", b"$", b"$HOME", b"${HOME}", b"${", b"}",
    b":", b":-", b"=", b"\nDISABLE_AUTH=true", b"\xc3\xa9", b"\xf0\x9f\x98\x80",
    b"\xe2\x80\xa8", b"\xe2\x80\xa8DISABLE_AUTH='true'", b"\xc2\xa0", b"\xc2\x85", BOM,
    b"\x01", b"\x0b", b"\x0c", b"\x1c", b"\x7f", b"` #", b"' #", b'" #', b"export ", b"\xff",
]
NASTY = [
    b"", b" ", b"plain", b"two words", b" ends ", b"\tends\t", b"a#b", b"a #b", b"#", b"=", b"a=b",
    b"it's", b'say "hi"', b"it's \"both\"", b"a`b", b"`a`", b"'a'", b'"a"', b"'", b'"', b"`",
    b"a\nb", b"a\r\nb", b"a\rb", b"\n", b"\r", b"a\n", b"a\nDISABLE_AUTH=true", b"a'\nDISABLE_AUTH='true",
    b"a\"\nDISABLE_AUTH=\"true", b"a\rDISABLE_AUTH=true", b"\\", b"a\\", b"\\a", b"a\\nb", b"a\\\nb", b"C:\\dir\\new",
    b"\\\\", b"a\\\\b", b"a\\'b", b'a\\"b', b"$HOME", b"${HOME}", b"${HOME", b"$", b"${}", b"${A:-b}",
    b"${A:b}", b"a${", b"{}", b"!x", b"a;b", b"a&b", b"\xc3\xa9", "日本語".encode(), "🔑".encode(), b"\xff", b"\xed\xa0\x80",
    b"\xc2\xa0a\xc2\xa0", b"\xe2\x80\xa8", b"a\xe2\x80\xa8DISABLE_AUTH=true", b"\xef\xbb\xbf", b"\x00", b"\x01",
    b"a\x0bb\x0c", b"-----BEGIN-----\nabc\n-----END-----\n", b'{"a":"b\\nc"}', b"x" * 5000,
]
MUST_WORK = [
    b"", b"plain", b"two words", b" ends ", b"a #b", b"it's", b'say "hi"', b"it's \"both\"", b"a`b", b"a\nb", b"a\r\nb",
    b"a\nDISABLE_AUTH=true", b"a\\nb", b"C:\\dir\\new", b"a\\\\b", b"$HOME", b"${A:b}", "🔑".encode(),
    b'{"a":"b\\nc"}', b"-----BEGIN-----\nabc\n-----END-----\n",
]
MUST_BE_REFUSED = [b"${HOME}", b"${}", b"${A:-b}", b"\xff", b"\xed\xa0\x80", b"\x00", b"a\\\nb", b"'\"#"]


def to_hex(data):
    return data.hex() or "-"


def from_hex(text):
    return b"" if text == "-" else bytes.fromhex(text)


def ask(command, requests):
    """Sends one request a line; the answers, one a line."""
    done = subprocess.run(command, input="".join(r + "\n" for r in requests),
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("Bail out! %s: %s" % (command[0], done.stderr[-3000:]))
    answers = done.stdout.splitlines()
    assert len(answers) == len(requests)
    return answers


def words_all(request, texts):
    """For each text the words of our tool's answer, without its ok."""
    return [answer.split()[1:] for answer in ask([TOOL], ["%s %s" % (request, to_hex(t)) for t in texts])]


def pairs(words):
    values = {}
    for name, value in zip(words[::2], words[1::2]):
        # a name in quotes may have line ends, which our reader leaves as they are
        values[re.sub(rb"\r\n?", b"\n", from_hex(name))] = None if value == "none" else from_hex(value)
    return {k: v for k, v in values.items() if v is not None}


def as_python_all(texts):
    """What python-dotenv would read, as we think."""
    return [pairs(words) for words in words_all("python", texts)]


def as_npm_all(texts):
    """What npm's dotenv would read, as we think."""
    return [pairs(words) for words in words_all("npm", texts)]


def odd_all(texts):
    """The numbers of the lines that are odd to us."""
    return [[int(word) for word in words] for words in words_all("odd", texts)]


def get_all(requests):
    """For each (text, name) the value, None for none, or a string that tells the error."""
    answers = ask([TOOL], ["get %s %s" % (to_hex(t), to_hex(n)) for t, n in requests])
    return [a.split()[1] if a.startswith("error") else from_hex(a[3:]) if len(a) > 2 else None for a in answers]


def python_one(text, interpolate=False):
    """As dotenv_values(path, encoding="utf-8-sig") would, which opens the file with universal newlines."""
    stream = io.StringIO(io.TextIOWrapper(io.BytesIO(text), encoding="utf-8-sig").read())
    values = dotenv_values(stream=stream, interpolate=interpolate)
    return {k.encode(): v.encode() for k, v in values.items() if v is not None}


def python_as_it_comes(text):
    """With ${NAME} replaced, as dotenv_values() and load_dotenv() do when nobody tells them not to."""
    with mock.patch.dict(os.environ, clear=True):
        return python_one(text, interpolate=True)


def npm_all(texts):
    """For each text a list of one dict for each version."""
    command = ["node", os.path.join(HERE, "dotenv_npm.js")]
    command += [os.path.join(NPM, "node_modules", "dotenv" + v) for v in NPM_VERSIONS]
    return [[{bytes.fromhex(k): bytes.fromhex(v) for k, v in one} for one in json.loads(answer)]
            for answer in ask(command, [to_hex(t) for t in texts])]


def change_all(requests):
    """For each request the new text, or a string that tells the error."""
    return [from_hex(a.split()[1]) if a.startswith("ok") else a.split()[1]
            for a in ask([TOOL], requests)]


def set_request(text, name, value):
    return "set %s %s %s" % (to_hex(text), to_hex(name), to_hex(value))


def install_npm():
    wanted = ["dotenv" + v for v in NPM_VERSIONS]
    if all(os.path.isdir(os.path.join(NPM, "node_modules", w)) for w in wanted):
        return
    os.makedirs(NPM, exist_ok=True)
    with open(os.path.join(NPM, "package.json"), "w") as package:
        package.write('{"private": true}\n')
    done = subprocess.run(["npm", "install", "--no-save", "--no-audit", "--no-fund"] +
                          ["dotenv%s@npm:dotenv@%s" % (v, v) for v in NPM_VERSIONS],
                          cwd=NPM, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("Bail out! npm install: " + done.stderr[-3000:])


def shown(value):
    if value is None:
        return "-"
    return json.dumps(value.decode("utf-8", "backslashreplace")) if len(value) < 200 else "(long)"


INTERPOLATED = re.compile(rb"\$\{[^}:]*(:-[^}]*)?\}")


def agreed(python, npm, name):
    """What both read for a name: the value, None for none, or KV_AMBIGUOUS."""
    values = python.get(name), npm.get(name)
    # "NAME= # comment": python-dotenv takes the comment for the value
    if values[1] == b"" and (values[0] or b"").startswith(b"#"):
        return "either"
    if values[0] != values[1] or INTERPOLATED.search(values[0] or b""):
        return "KV_AMBIGUOUS"
    return values[0]


def differences(name, python, npm, odd):
    """One line for each variable that the two do not read alike, and one for odd lines."""
    lines = ["%s odd lines: %s" % (name, ", ".join(map(str, odd)))] if odd else []
    for variable in sorted(set(python) | set(npm)):
        values = [d.get(variable) for d in (python, npm)]
        if values[0] != values[1]:
            lines.append("%s %s python=%s npm=%s" %
                         tuple([name, shown(variable)[1:-1]] + [shown(v) for v in values]))
    return lines


def random_text(rng):
    """Lines that nearly are assignments, and mere heaps of a few signs."""
    signs = [b"A", b"B", b"KEY", b"export ", b"export\n", b"=", b"=", b"=", b" ", b"\t", b"\n", b"\n", b"\r\n", b"\r",
             b"'", b'"', b"'", b'"', b"`", b"#", b" #", b"\\", b"\\n", b"\\r", b"\\'", b'\\"', b"\\`", b"\\\\", b":", b": ", b":\n",
             b"x", b"y z", b".", b"-", b"$", b"${A}", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xe2\x80\xa9", BOM, b"\xc2\x85", b"\x1c",
             b"\x1f", b"\x0b", b"\x0c", b"\xe3\x80\x80", b"\xc3\xa9", b"1"]
    some = lambda most: b"".join(rng.choice(signs) for _ in range(rng.randint(0, most)))
    kind = rng.random()
    if kind < 0.2:
        return some(14)
    if kind < 0.5:
        signs = rng.sample(signs, rng.randint(2, 9))
        return some(24)
    text = b""
    for _ in range(rng.randint(0, 4)):
        quote = rng.choice([b"'", b'"', b"", b"", b"`"])
        text += rng.choice([b"", b"export ", b" "]) + rng.choice([b"A", b"B", b"KEY", b"A.b", b"$x"])
        text += rng.choice([b"=", b"=", b"=", b" = ", b"= ", b" =", b": ", b""]) + quote + some(4) + quote
        text += rng.choice([b"", b" # c", b"#c", b" x", b" # d'c"])
        text += rng.choice([b"\n", b"\n", b"\r\n", b"\n\n", b"\n# c'\n", b"", b"\r"])
    return text


count = 0
failed = False


def result(name, problems):
    global count, failed
    count += 1
    for problem in problems[:10]:
        print("# " + str(problem))
    print("%s %d - %s" % ("not ok" if problems else "ok", count, name))
    failed = failed or bool(problems)


def check_reading(texts):
    """Where we think otherwise than the two do, and what we tell of each variable."""
    python = [python_one(t) for t in texts]
    npm = npm_all(texts)
    problems = [("python", t, a, b) for t, a, b in zip(texts, as_python_all(texts), python) if a != b]
    problems += [("npm", t, a, b[0]) for t, a, b in zip(texts, as_npm_all(texts), npm) if a != b[0]]
    names = [(t, name, agreed(p, n[0], name)) for t, p, n in zip(texts, python, npm)
             for name in sorted(set(p) | set(n[0]) | {b"ABSENT"}) if re.fullmatch(rb"[A-Za-z_][A-Za-z0-9_]*", name)]
    told = get_all([(t, name) for t, name, _ in names])
    wrong = [(t, name, told, expected) for (t, name, expected), told in zip(names, told)
             if told != expected and not (expected == "either" and told in (b"", "KV_AMBIGUOUS"))]
    return problems, wrong, sum(isinstance(expected, bytes) for _, _, expected in names)


def test_corpus(files, write):
    names = sorted(files)
    texts = [files[n] for n in names]
    found = []
    versions = []
    for name, text, npm, odd in zip(names, texts, npm_all(texts), odd_all(texts)):
        found += differences(name, python_as_it_comes(text), npm[0], odd)
        versions += [name for other in npm[1:] if other != npm[0]]
    if write:
        with open(KNOWN, "w", encoding="utf-8") as out:
            out.write("# What the two readers see differently in these files: file, variable, and each one's\n"
                      "# value, - when it has none; and the lines from which not both take a variable.  Made\n"
                      "# by dotenv_differential.py --write; see src/format/dotenv.h for the rules.\n")
            out.write("".join(line + "\n" for line in found))
        return
    with open(KNOWN, encoding="utf-8") as lines:
        known = [line.rstrip("\n") for line in lines if not line.startswith("#")]
    result("the corpus has 60 files or more", [] if len(names) >= 60 else [len(names)])
    problems, wrong, _ = check_reading(texts)
    result("we read the corpus as the two do", problems)
    result("a variable of the corpus that they read alike is read so, any other one is an error", wrong)
    result("the two read the corpus alike, but for the known differences",
           ["new: " + d for d in found if d not in known] + ["gone: " + d for d in known if d not in found])
    result("the versions of npm's dotenv read the corpus alike", versions)


def test_random_reading(rng):
    problems, wrong, values = check_reading([random_text(rng) for _ in range(RANDOM_TEXTS)])
    result("we read random files as the two do", problems)
    result("a variable that they read alike is read so, any other one is an error", wrong)
    result("that was not only about empty files", [] if values > RANDOM_TEXTS // 20 else [values])


def check_set(where, text, name, value, made, before, after):
    """What is wrong with a text that kv_dotenv_set made."""
    wanted = lambda old: {**old, name: value}
    problems = []
    if python_one(made) != wanted(python_one(text)):
        problems.append("python")
    if python_one(made, interpolate=True).get(name) != value:
        problems.append("python, interpolating")
    for version, old, new in zip(NPM_VERSIONS, before, after):
        if new != wanted(old):
            problems.append("npm " + version)
    ends = lambda t: len(re.findall(rb"\r\n|\r|\n", t))
    if ends(made) > ends(text) + 2:
        problems.append("lines added")
    return ["%s: %s %r %r: %r -> %r" % (", ".join(problems), where, name, value, text, made)] if problems else []


def test_writing(title, cases):
    texts = [c[1] for c in cases]
    made = change_all([set_request(t, n, v) for _, t, n, v in cases])
    good = [(c, m) for c, m in zip(cases, made) if isinstance(m, bytes)]
    before = npm_all([c[1] for c, _ in good])
    after = npm_all([m for _, m in good])
    told = get_all([(m, c[2]) for c, m in good])
    problems = []
    for (case, new), b, a, mine in zip(good, before, after, told):
        problems += check_set(case[0], case[1], case[2], case[3], new, b, a)
        if mine != case[3]:
            problems.append(("ours", case, new))
    result(title, problems)
    result("that was at least a half of what was tried",
           [] if len(good) * 2 > len(texts) else ["%d of %d" % (len(good), len(texts))])


def test_unsetting(cases):
    made = change_all(["unset %s %s" % (to_hex(t), to_hex(n)) for _, t, n in cases])
    good = [(c, m) for c, m in zip(cases, made) if isinstance(m, bytes)]
    before = npm_all([c[1] for c, _ in good])
    after = npm_all([m for _, m in good])
    problems = []
    for ((where, text, name), new), b, a in zip(good, before, after):
        without = lambda old: {k: v for k, v in old.items() if k != name}
        if python_one(new) != without(python_one(text)):
            problems.append(("python", where, name, text, new))
        if a[0] != without(b[0]):
            problems.append(("npm", where, name, text, new))
    result("a variable is gone for all three, and no other one", problems)
    result("that was at least nine tenths of what was tried",
           [] if len(good) * 10 > len(cases) * 9 else ["%d of %d" % (len(good), len(cases))])


def main():
    logging.disable(logging.CRITICAL)
    install_npm()
    rng = random.Random(SEED)
    files = {n: open(os.path.join(CORPUS, n), "rb").read() for n in os.listdir(CORPUS) if n.endswith(".env")}

    test_corpus(files, "--write" in sys.argv)
    if "--write" in sys.argv:
        return
    test_random_reading(rng)

    answers = change_all([set_request(b"", b"KEY", v) for v in MUST_WORK + MUST_BE_REFUSED])
    result("what can be spelled is written", [v for v, a in zip(MUST_WORK, answers) if isinstance(a, str)])
    result("what cannot be spelled is refused",
           [v for v, a in zip(MUST_BE_REFUSED, answers[len(MUST_WORK):]) if a != "KV_UNREPRESENTABLE"])

    test_writing("nasty values in every file of the corpus read back to all three",
                 [(f, t, n, v) for f, t in files.items() for n in (b"KEY", b"A", b"NEW") for v in NASTY])
    random_value = lambda: b"".join(rng.choice(PIECES) for _ in range(rng.choice([0, 1, 2, 3, 4, 5, 8])))
    test_writing("random values read back from an empty file to all three",
                 [("empty", b"", b"KEY", random_value()) for _ in range(RANDOM_TEXTS)])
    test_writing("random values in random files read back to all three",
                 [("random", random_text(rng), rng.choice([b"KEY", b"A", b"B"]), random_value())
                  for _ in range(RANDOM_TEXTS)])
    test_unsetting([(f, t, n) for f, t in files.items() for n in (b"KEY", b"A", b"B")] +
                   [("random", random_text(rng), n) for n in (b"KEY", b"A") for _ in range(RANDOM_TEXTS // 2)])
    print("1..%d" % count)
    sys.exit(1 if failed else 0)


main()
