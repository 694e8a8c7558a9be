// A user's API keys, for whatever runs on behalf of that user.
//
//     asUser(request.token, async () => {
//       const text = await withApiKey('gemini', (key) => generate(key, topic));
//     });
//
// The token is the one by which the user is signed in; the database verifies it, and lets
// the transaction reach that user's keys alone.  Whose keys they are travels with the asynchronous calls (AsyncLocalStorage), so
// two requests that take turns never see each other's.  A key is looked up where it
// is needed and kept nowhere: not in process.env, not in a client that all share.

import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';

const users = new AsyncLocalStorage();

export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Number(process.env.POOL_SIZE ?? 10) });

// A connection that breaks is replaced.  Without listeners, for those in use as well, the process would end.
const report = (error) => console.error(`database: ${error.message}`);
pool.on('error', report);
pool.on('connect', (client) => client.on('error', report));

// There is no key.  hint says what to do about it.
export class NoApiKey extends Error {
  constructor({ message, hint }) {
    super(message);
    this.hint = hint;
  }
}

// Runs work for the token's user, with everything that it calls or starts.
export function asUser(token, work) {
  return users.run({ token }, work);
}

// The current user's key, or null.  A database that cannot be reached is an error, never null.
export async function getApiKey(provider) {
  const [row] = await transaction('SELECT key_vault.get(NULL, $1) AS key', [provider]);
  return row.key;
}

// The current user's key, or NoApiKey.
export async function requireApiKey(provider) {
  try {
    const [row] = await transaction('SELECT key_vault.require(NULL, $1) AS key', [provider]);
    return row.key;
  } catch (error) {
    throw error.code === 'P0002' ? new NoApiKey(error) : error;
  }
}

// What a provider's answer says of the key.  Errors of OpenAI's, Anthropic's and Google's clients have a status.
const OUTCOMES = { 401: 'rejected', 403: 'rejected', 429: 'quota' };

// Calls the provider with the current user's key, and records what it said of that key, for
// the page of keys.  No connection is held while it answers.
export async function withApiKey(provider, call) {
  const [found] = await transaction('SELECT api_key, version FROM key_vault.lookup(NULL, $1)', [provider]);
  const key = found?.api_key ?? await requireApiKey(provider); // which says why there is none
  try {
    const answer = await call(key);
    await recordOutcome(provider, 'accepted', found);
    return answer;
  } catch (error) {
    if (OUTCOMES[error?.status]) await recordOutcome(provider, OUTCOMES[error.status], found);
    throw error;
  }
}

// The version says which key it was: one that the user has replaced meanwhile is not marked.
// The provider has answered by now, so a database that is gone takes nothing away.
async function recordOutcome(provider, outcome, found) {
  await transaction('SELECT key_vault.record_outcome(NULL, $1, $2, version => $3)', [provider, outcome, found?.version]).catch(report);
}

// What a page shows of the current user's keys.  It holds no key.
export function listApiKeys() {
  return transaction(`SELECT provider, configured, source, hint, expires_at, missing, last_used_at, last_outcome, last_outcome_at
    FROM key_vault.onboarding(NULL)`);
}

// One statement, in a transaction that acts for the token's user.  The identity ends with it.
async function transaction(sql, parameters) {
  const context = users.getStore();
  if (!context) throw new Error('API keys are looked up inside asUser()');
  const client = await pool.connect();
  let broken;
  try {
    await client.query('BEGIN');
    // without a token: the .env file in development, an error in production
    if (context.token != null) await client.query('SELECT key_vault.authenticate($1)', [context.token]);
    const { rows } = await client.query(sql, parameters);
    await client.query('COMMIT');
    return rows;
  } catch (error) {
    await client.query('ROLLBACK').catch((problem) => { broken = problem; });
    throw error;
  } finally {
    await handBack(client, broken);
  }
}

// Before another user's request gets the connection.  What injected SQL left in the session
// would run in that request, and take that user's key.  pg's pool has no hook for this, so
// all of your code hands connections back this way.
export async function handBack(client, broken) {
  if (!broken) await client.query('DISCARD ALL').catch((problem) => { broken = problem; });
  client.release(broken);
}
