#!/usr/bin/python3
"""Tokens of python3-jwt and of npm's jose, read by us.

    jose_differential.py          TAP on standard output

Each signs tokens of each algorithm with keys of its own.  What they sign is taken, and
no changed token is.

Needs python3-jwt, node and npm, which fetches jose into build/npm_jose once.
"""
import base64
import json
import os
import random
import subprocess
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(HERE, "build", "jose_tool")
NPM = os.path.join(HERE, "build", "npm_jose")
NPM_VERSION = "5"
SEED = 20260131
NOW = 1700000000
CLAIMS = {"iss": "https://issuer", "aud": "app", "sub": "user_a", "iat": NOW - 10, "exp": NOW + 600}
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512"]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

count = 0
failed = False


def result(name, wrong):
    """One line of TAP; wrong is a list of what went wrong."""
    global count, failed
    count += 1
    for what in wrong[:5]:
        print("#", what)
    print("%s %d - %s" % ("not ok" if wrong else "ok", count, name))
    failed = failed or bool(wrong)


def ask(requests):
    """For each (set, token) our answer."""
    lines = "".join("%d app %s %s\n" % (NOW, json.dumps(s).encode().hex(), t.encode().hex()) for s, t in requests)
    done = subprocess.run([TOOL], input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("Bail out! %s" % done.stderr[-3000:])
    answers = done.stdout.splitlines()
    assert len(answers) == len(requests)
    return answers


def python_key(algorithm, rng):
    """A key that signs with python3-jwt, what it verifies with, and its JWK."""
    if algorithm.startswith("HS"):
        secret = rng.randbytes(int(algorithm[2:]) // 8)
        jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode()}
        return secret, secret, jwk
    if algorithm.startswith("ES"):
        key = ec.generate_private_key(CURVES[algorithm])
        return key, key.public_key(), json.loads(ec_jwk(key.public_key()))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key, key.public_key(), json.loads(RSAAlgorithm.to_jwk(key.public_key()))


def ec_jwk(key):
    """A version of python3-jwt from before ECAlgorithm.to_jwk() is Debian's."""
    size = (key.curve.key_size + 7) // 8
    numbers = key.public_numbers()
    name = {256: "P-256", 384: "P-384", 521: "P-521"}[key.curve.key_size]
    spell = lambda n: base64.urlsafe_b64encode(n.to_bytes(size, "big")).rstrip(b"=").decode()
    return json.dumps({"kty": "EC", "crv": name, "x": spell(numbers.x), "y": spell(numbers.y)})


def set_of(jwk, algorithm, kid="one"):
    """What an issuer publishes of a key, without what only some of them write."""
    return {"keys": [dict({k: v for k, v in jwk.items() if k != "key_ops"}, alg=algorithm, kid=kid)]}


def python_takes(token, key, algorithm):
    try:
        jwt.decode(token, key, algorithms=[algorithm], audience="app", options={"verify_exp": False, "verify_iat": False})
        return True
    except jwt.PyJWTError:
        return False


def changed(token, rng):
    """The token with one character changed, left out, or put in."""
    at = rng.randrange(len(token))
    how = rng.randrange(3)
    character = rng.choice(ALPHABET + ".=+/ ")
    return token[:at] + ("" if how == 0 else character) + token[at + (how != 2):]


def test_python(rng):
    for algorithm in ALGORITHMS:
        private, public, jwk = python_key(algorithm, rng)
        keys = set_of(jwk, algorithm)
        token = jwt.encode(CLAIMS, private, algorithm=algorithm, headers={"kid": "one"})
        wrong = [] if ask([(keys, token)]) == ["ok user_a"] else [ask([(keys, token)])]

        others = [t for t in (changed(token, rng) for _ in range(300)) if t != token]
        answers = ask([(keys, other) for other in others])
        wrong += ["taken: " + o for o, answer in zip(others, answers) if answer.startswith("ok")]
        if not python_takes(token, public, algorithm):
            wrong.append("python3-jwt does not take its own")
        result("python3-jwt signs with " + algorithm, wrong)

    private, public, jwk = python_key("ES256", rng)
    keys = set_of(jwk, "ES256")
    kinds = {
        "with a fraction": dict(CLAIMS, exp=NOW + 0.5, iat=NOW - 0.5),
        "with a list of audiences": dict(CLAIMS, aud=["other", "app"]),
        "with characters of all the world": dict(CLAIMS, name="日本語 🔑 \u0001"),
    }
    for name, claims in kinds.items():
        token = jwt.encode(claims, private, algorithm="ES256", headers={"kid": "one"})
        result("python3-jwt signs claims " + name, [] if ask([(keys, token)]) == ["ok user_a"] else [token])
    expired = jwt.encode(dict(CLAIMS, exp=NOW - 31), private, algorithm="ES256", headers={"kid": "one"})
    result("an expired one is refused", [] if ask([(keys, expired)]) == ["no the token has expired"] else [expired])
    unsigned = jwt.encode(CLAIMS, None, algorithm="none", headers={"kid": "one"})
    result("an unsigned one is refused", [] if ask([(keys, unsigned)]) == ["no the token is not signed"] else [unsigned])


def install_npm():
    if os.path.isdir(os.path.join(NPM, "node_modules", "jose")):
        return
    os.makedirs(NPM, exist_ok=True)
    open(os.path.join(NPM, "package.json"), "w").write("{}")
    done = subprocess.run(["npm", "install", "--prefix", NPM, "--no-audit", "--no-fund", "--ignore-scripts",
                           "jose@" + NPM_VERSION], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("Bail out! npm install jose: " + done.stderr[-3000:])


def test_npm():
    wanted = [(a, header, CLAIMS) for a in ALGORITHMS for header in ({"kid": "one"}, {"typ": "JWT"})]
    done = subprocess.run(["node", os.path.join(HERE, "jose_npm.mjs"),
                           os.path.join(NPM, "node_modules", "jose", "dist", "node", "esm", "index.js")],
                          input=json.dumps(wanted), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("Bail out! npm's jose: " + done.stderr[-3000:])
    signed = json.loads(done.stdout)
    answers = ask([({"keys": [jwk]}, token) for token, jwk in signed])
    result("npm's jose signs with each algorithm",
           ["%s: %s" % (w[0], a) for w, a in zip(wanted, answers) if a != "ok user_a"])
    answers = ask([({"keys": [signed[(i + 2) % len(signed)][1]]}, signed[i][0]) for i in range(len(signed))])
    result("and no key of its verifies another's", [a for a in answers if a.startswith("ok")])


def main():
    install_npm()
    test_python(random.Random(SEED))
    test_npm()
    print("1..%d" % count)
    sys.exit(1 if failed else 0)


main()
