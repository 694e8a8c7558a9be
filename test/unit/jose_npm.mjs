// What jose_differential.py asks of npm's jose: a list of [algorithm, header, claims] as
// JSON on standard input.  Answers with a list of [token, public key], each signed with a
// key of its own.
import { pathToFileURL } from 'node:url'
import { readFileSync } from 'node:fs'
const jose = await import(pathToFileURL(process.argv[2]))

const answers = []
for (const [alg, header, claims] of JSON.parse(readFileSync(0))) {
  let key, jwk
  if (alg.startsWith('HS')) {
    key = await jose.generateSecret(alg, { extractable: true })
    jwk = await jose.exportJWK(key)
  } else {
    const pair = await jose.generateKeyPair(alg, { extractable: true })
    key = pair.privateKey
    jwk = await jose.exportJWK(pair.publicKey)
  }
  const token = await new jose.SignJWT(claims).setProtectedHeader({ alg, ...header }).sign(key)
  answers.push([token, { ...jwk, alg, ...(header.kid ? { kid: header.kid } : {}) }])
}
console.log(JSON.stringify(answers))
