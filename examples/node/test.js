// The lookup against a real server: node test.js, started by test.sh.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { asUser, getApiKey, NoApiKey, pool, requireApiKey } from './user_api_keys.js';

const REQUESTS = 1000;
const POOL_SIZE = Number(process.env.POOL_SIZE);
const keys = { user_a: `AIza-a-${Math.random()}`, user_b: `AIza-b-${Math.random()}` };
const turn = () => sleep(Math.random() * 5);

test.before(async () => {
  for (const [user, key] of Object.entries(keys)) {
    await pool.query('SELECT key_vault.set($1, $2, $3)', [user, 'gemini', key]);
  }
});
test.after(() => pool.end());

// Requests of both users, all at once; what share of the answers was not the own key.
async function crossings(lookUp) {
  const users = Array.from({ length: REQUESTS }, (_, number) => (number % 2 ? 'user_a' : 'user_b'));
  const answers = await Promise.all(users.map(lookUp));
  return answers.filter((key, number) => key !== keys[users[number]]).length;
}

test('a key of the current user', async () => {
  assert.equal(await asUser('user_a', () => getApiKey('gemini')), keys.user_a);
  assert.equal(await asUser('user_b', () => requireApiKey('google')), keys.user_b);
});

test('a key that is not there', async () => {
  assert.equal(await asUser('user_a', () => getApiKey('exa')), null);
  await assert.rejects(asUser('user_a', () => requireApiKey('exa')), (error) =>
    error instanceof NoApiKey && error.message.startsWith('no API key found') && error.hint.includes('onboarding'));
});

test('nobody asks', async () => {
  await assert.rejects(getApiKey('gemini'), /inside asUser/);
  await assert.rejects(asUser(null, () => getApiKey('gemini')), { code: '22004' });
});

test('1,000 interleaved requests of two users through one pool: none crossed', async () => {
  const crossed = await crossings((user) => asUser(user, async () => {
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
  asUser('user_a', () => { job = sleep(20).then(() => getApiKey('gemini')); });
  await asUser('user_b', () => getApiKey('gemini'));
  assert.equal(await job, keys.user_a);
});

test('a connection goes back without an identity, after an error too', async () => {
  await assert.rejects(asUser('user_a', () => getApiKey('nonsense')), { code: '42704' });
  const clients = await Promise.all(Array.from({ length: POOL_SIZE }, () => pool.connect()));
  for (const client of clients) {
    assert.equal((await client.query("SELECT current_setting('key_vault.user_id', true) AS id")).rows[0].id || '', '');
    client.release();
  }
});

test("the main README's function, as it stands there", async () => {
  const codes = [...readFileSync('../README.md', 'utf8').matchAll(/^<!-- by: examples\/node\/test\.js -->\n```js\n(.*?)^```/msg)];
  assert.equal(codes.length, 1);
  const [[, code]] = codes;
  const keyFor = new Function(`${code}; return keyFor`)();
  assert.deepEqual([await keyFor(pool, 'user_a', 'gemini'), await keyFor(pool, 'user_b', 'gemini')], [keys.user_a, keys.user_b]);
  await assert.rejects(keyFor(pool, 'user_a', 'exa'), { code: 'P0002' });
  assert.equal(pool.idleCount, pool.totalCount);
});

test('the address that scripts/dev.sh prints', async () => {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  assert.equal((await client.query('SELECT current_user AS name')).rows[0].name, 'app');
  await client.end();
});

test('a database that is gone is an error, not "no key"', async () => {
  execFileSync(process.env.PG_CTL, ['-D', process.env.PGDATA, '-m', 'immediate', '-w', 'stop'], { stdio: 'ignore' });
  for (let i = 0; i <= POOL_SIZE; i++) {
    await assert.rejects(asUser('user_a', () => getApiKey('gemini')), (error) => !(error instanceof NoApiKey));
  }
});
