// The lookup against a real server: node test.js, started by test.sh.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { asUser, getApiKey, handBack, listApiKeys, NoApiKey, pool, requireApiKey, withApiKey } from './user_api_keys.js';

const REQUESTS = 1000;
const POOL_SIZE = Number(process.env.POOL_SIZE);
const keys = { user_a: `AIza-a-${Math.random()}`, user_b: `AIza-b-${Math.random()}` };
const turn = () => sleep(Math.random() * 5);

// The login: it signs tokens, and the database has its public key.
const login = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function tokenFor(user, seconds = 60) {
  const now = Math.floor(Date.now() / 1000);
  const text = `${base64url({ alg: 'ES256', kid: 'one' })}.${base64url({ iss: 'app-login', aud: 'app', sub: user, iat: now, exp: now + seconds })}`;
  return `${text}.${createSign('sha256').update(text).sign({ key: login.privateKey, dsaEncoding: 'ieee-p1363' }, 'base64url')}`;
}
const tokens = { user_a: tokenFor('user_a', 600), user_b: tokenFor('user_b', 600), user_old: tokenFor('user_old', -60) };

// A connection of another role.
async function as(role, work) {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL.replace('app@', `${role}@`) });
  await client.connect();
  try { return await work(client); } finally { await client.end(); }
}

test.before(() => as('postgres', async (client) => {
  await client.query('SELECT key_vault.trust_issuer($1, $2, $3)',
    ['app-login', ['app'], { keys: [{ ...login.publicKey.export({ format: 'jwk' }), alg: 'ES256', kid: 'one' }] }]);
  for (const [user, key] of Object.entries(keys)) await client.query('SELECT key_vault.set($1, $2, $3)', [user, 'gemini', key]);
}));
test.after(() => pool.end());

// Requests of both users, all at once; what share of the answers was not the own key.
async function crossings(lookUp) {
  const users = Array.from({ length: REQUESTS }, (_, number) => (number % 2 ? 'user_a' : 'user_b'));
  const answers = await Promise.all(users.map(lookUp));
  return answers.filter((key, number) => key !== keys[users[number]]).length;
}

test('a key of the current user', async () => {
  assert.equal(await asUser(tokens.user_a, () => getApiKey('gemini')), keys.user_a);
  assert.equal(await asUser(tokens.user_b, () => requireApiKey('google')), keys.user_b);
});

test('a key that is not there', async () => {
  assert.equal(await asUser(tokens.user_a, () => getApiKey('exa')), null);
  await assert.rejects(asUser(tokens.user_a, () => requireApiKey('exa')), (error) =>
    error instanceof NoApiKey && error.message.startsWith('no API key found') && error.hint.includes('onboarding'));
});

test('nobody asks', async () => {
  await assert.rejects(getApiKey('gemini'), /inside asUser/);
  await assert.rejects(asUser(null, () => getApiKey('gemini')), { code: '22004' });
});

test('a token that has expired', async () => {
  await assert.rejects(asUser(tokens.user_old, () => getApiKey('gemini')), { code: '28000' });
});

// What the page shows of a user's key for Gemini
async function shown(user) {
  const rows = await asUser(tokens[user], listApiKeys);
  assert.ok(!JSON.stringify(rows).includes(keys[user]));
  return rows.find(({ provider }) => provider === 'gemini');
}

// ... of user_a's, after a provider's answer
async function shownAfter(answer) {
  const error = await asUser(tokens.user_a, () => withApiKey('gemini', answer)).then(() => null, (thrown) => thrown);
  const { last_outcome: said, last_used_at: used } = await shown('user_a');
  return { said, used, error };
}
const refuse = (status) => () => { throw Object.assign(new Error(`refused (${status})`), { status }); };

test('the page shows what the provider said of a key, and when it was last used', async () => {
  const before = Date.now();
  assert.equal((await shown('user_b')).last_outcome, null);
  let heard;
  const accepted = await shownAfter((key) => { heard = key; });
  assert.deepEqual([heard, accepted.said, accepted.error], [keys.user_a, 'accepted', null]);
  assert.ok(accepted.used >= before - 1000 && accepted.used <= Date.now() + 1000, String(accepted.used));
  for (const [status, said] of [[401, 'rejected'], [429, 'quota'], [403, 'rejected'], [500, 'rejected'], [undefined, 'rejected']]) {
    const after = await shownAfter(refuse(status));
    assert.deepEqual([after.said, after.error.status], [said, status]);
  }
  assert.equal(await asUser(tokens.user_a, () => withApiKey('gemini', async (key) => key.length)), keys.user_a.length);
  assert.equal((await shown('user_a')).last_outcome, 'accepted');
  assert.equal((await shown('user_b')).last_outcome, null);
});

test('a key that is replaced while the provider answers is not marked', async () => {
  const after = await shownAfter(async () => {
    await as('postgres', (client) => client.query('SELECT key_vault.set($1, $2, $3)', ['user_a', 'gemini', keys.user_a]));
    refuse(401)();
  });
  assert.deepEqual([after.said, after.error.status], [null, 401]);
});

test('without a key the provider is not called', async () => {
  await assert.rejects(asUser(tokens.user_a, () => withApiKey('exa', () => assert.fail('called'))), NoApiKey);
});

test('1,000 interleaved requests of two users through one pool: none crossed', async () => {
  const crossed = await crossings((user) => asUser(tokens[user], async () => {
    await turn();
    const key = await requireApiKey('gemini');
    await turn();
    assert.equal(await getApiKey('gemini'), key);
    return key;
  }));
  assert.equal(crossed, 0);
  assert.equal(pool.totalCount, POOL_SIZE);
});

test('the control: with process.env, keys cross', async (t) => {
  const crossed = await crossings(async (user) => {
    process.env.GEMINI_API_KEY = keys[user];
    await turn();
    return process.env.GEMINI_API_KEY;
  });
  delete process.env.GEMINI_API_KEY;
  t.diagnostic(`the old way: ${crossed} of ${REQUESTS} requests ran with the other user's key`);
  assert.ok(crossed > 0);
});

test('what a request starts goes on as its user, after the request has ended', async () => {
  let job;
  asUser(tokens.user_a, () => { job = sleep(20).then(() => getApiKey('gemini')); });
  await asUser(tokens.user_b, () => getApiKey('gemini'));
  assert.equal(await job, keys.user_a);
});

test('a connection goes back without an identity, after an error too', async () => {
  await assert.rejects(asUser(tokens.user_a, () => getApiKey('nonsense')), { code: '42704' });
  const clients = await Promise.all(Array.from({ length: POOL_SIZE }, () => pool.connect()));
  for (const client of clients) {
    assert.equal((await client.query("SELECT current_setting('key_vault.user_id', true) AS id")).rows[0].id || '', '');
    client.release();
  }
});

// An endpoint that nobody should write: its text goes into SQL as it comes.
async function search(token, title) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT key_vault.authenticate($1)', [token]);
    const results = await client.query(`SELECT title FROM posts WHERE title = '${title}'`);
    await client.query('COMMIT');
    return JSON.stringify([results].flat().map(({ rows }) => rows));
  } catch (error) {
    await client.query('ROLLBACK');
    return error.code;
  } finally {
    await handBack(client);
  }
}

const keep = "set_config('stash.loot', concat(current_setting('stash.loot', true), key_vault.get(NULL, 'gemini')), false)";
const attacks = [
  "' UNION ALL SELECT key_vault.get('user_b', 'gemini') --",
  "' UNION ALL SELECT key_vault.get(user_id, 'gemini') FROM posts --",
  "'; SET LOCAL key_vault.user_id = 'user_b'; SELECT key_vault.get(NULL, 'gemini') --",
  "'; RESET ALL; SELECT key_vault.get('user_b', 'gemini') --",
  "'; COMMIT; SELECT key_vault.get('user_b', 'gemini') --",
  `'; CREATE TEMP VIEW posts AS SELECT ${keep} AS title --`,
  `'; PREPARE title AS SELECT ${keep} --`,
  "'; DECLARE c CURSOR WITH HOLD FOR SELECT key_vault.get(NULL, 'gemini') --",
];

test('SQL that is injected with user_a\'s token does not reach user_b', async (t) => {
  for (const attack of attacks) {
    let heard = await search(tokens.user_a, attack);
    t.diagnostic(`${heard.length === 5 ? heard : 'found nothing'}  ${attack}`);
    for (let i = 0; i < POOL_SIZE; i++) {
      await search(tokens.user_b, 'two');
      assert.equal(await asUser(tokens.user_b, () => getApiKey('gemini')), keys.user_b);
      heard += await search(tokens.user_a, "' UNION ALL SELECT current_setting('stash.loot', true) --");
    }
    assert.ok(!heard.includes(keys.user_b), attack);
  }
});

test('the control: at level service the same takes user_b\'s key', () => as('app_service', async (client) => {
  for (const attack of attacks.slice(0, 1).concat(attacks.slice(2, 5))) {
    await client.query('BEGIN');
    const results = await client.query(`SELECT title FROM posts WHERE title = '${attack}'`).catch((error) => ({ rows: [error.code] }));
    await client.query('ROLLBACK');
    assert.ok(JSON.stringify([results].flat().map(({ rows }) => rows)).includes(keys.user_b), attack);
  }
}));

test("the main README's function, as it stands there", async () => {
  const codes = [...readFileSync('../README.md', 'utf8').matchAll(/^<!-- by: examples\/node\/test\.js -->\n```js\n(.*?)^```/msg)];
  assert.equal(codes.length, 1);
  const [[, code]] = codes;
  const keyFor = new Function(`${code}; return keyFor`)();
  const service = new pg.Pool({ connectionString: process.env.DATABASE_URL.replace('app@', 'app_service@'), max: 2 });
  assert.deepEqual([await keyFor(service, 'user_a', 'gemini'), await keyFor(service, 'user_b', 'gemini')], [keys.user_a, keys.user_b]);
  await assert.rejects(keyFor(service, 'user_a', 'exa'), { code: 'P0002' });
  assert.equal(service.idleCount, service.totalCount);
  await service.end();
});

test('the address that scripts/dev.sh prints', async () => {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  assert.equal((await client.query('SELECT current_user AS name')).rows[0].name, 'app');
  await client.end();
});

test('a database that is gone is an error, not "no key"', async () => {
  const stop = () => execFileSync(process.env.PG_CTL, ['-D', process.env.PGDATA, '-m', 'immediate', '-w', 'stop'], { stdio: 'ignore' });
  assert.equal(await asUser(tokens.user_a, () => withApiKey('gemini', () => { stop(); return 'an answer'; })), 'an answer');
  for (let i = 0; i <= POOL_SIZE; i++) {
    await assert.rejects(asUser(tokens.user_a, () => getApiKey('gemini')), (error) => !(error instanceof NoApiKey));
  }
});
